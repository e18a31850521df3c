"""The promises of audio_cls.models, tried on a tiny random checkpoint of each of the families."""

from __future__ import annotations

import dataclasses
import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import errors as hub_errors
from tiny_models import FAMILIES, make_extractor, write_tiny_checkpoint
from tiny_runs import QUIET as STILL

from audio_cls.config import AudioConfig, ModelConfig, RunConfig
from audio_cls.errors import ModelError, SettingError
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint, resolve_audio_settings
from audio_cls.models.input_length import fit_patch_positions
from audio_cls.models.load import load_for_inference, load_for_training
from audio_cls.models.probe import probe_input_spec
from audio_cls.models.processor import WaveProcessor
from audio_cls.training.optim.losses import cross_entropy_per_clip

RATE = 16_000
LABELS = ("blues", "jazz", "rock")
FIXED = {"audio-spectrogram-transformer", "whisper"}
ONE_SECOND = AudioConfig(max_seconds=1.0)

# (family, its feat_extract_norm or None for the tiny default) -> (has_mask, pads_safely)
FRONTS = {"hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm"}  # with a norm over time
PADDING: dict[tuple[str, str | None], tuple[bool, bool]] = {
    ("audio-spectrogram-transformer", None): (False, True),
    ("data2vec-audio", None): (False, False),
    ("hubert", None): (False, False),
    ("hubert", "layer"): (True, True),
    ("sew", None): (False, False),
    ("sew", "layer"): (True, False),  # frames squeezed in pairs: safe for even ones only
    ("sew-d", None): (False, False),
    ("unispeech", None): (False, False),
    ("unispeech", "layer"): (True, True),
    ("unispeech-sat", None): (False, False),
    ("unispeech-sat", "layer"): (True, True),
    ("wav2vec2", None): (False, False),
    ("wav2vec2", "layer"): (True, True),
    ("wav2vec2-bert", None): (True, True),
    ("wav2vec2-conformer", None): (True, False),
    ("wavlm", None): (False, False),
    ("wavlm", "layer"): (True, True),
    ("whisper", None): (False, True),
}


def make_clip(seconds: float, seed: int = 0) -> np.ndarray:
    """White noise with a tone in it, (T,) float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    wave = 0.1 * rng.standard_normal(len(time)) + 0.3 * np.sin(2 * np.pi * 300 * (seed + 1) * time)
    return wave.astype(np.float32)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a tiny checkpoint once a session; nobody may change it."""
    written: dict[str, Path] = {}

    def write(family: str, norm: str | None = None) -> Path:
        key = f"{family}-{norm}"
        if key not in written:
            overrides: dict[str, Any] = {} if norm is None else {"feat_extract_norm": norm}
            written[key] = write_tiny_checkpoint(family, tmp_path_factory.mktemp(key), **overrides)
        return written[key]

    return write


def load(
    folder: Path, audio: AudioConfig = ONE_SECOND, labels: tuple[str, ...] = LABELS
) -> AudioModel:
    torch.manual_seed(0)
    return load_for_training(open_checkpoint(ModelConfig(model=str(folder))), audio, labels)


@torch.no_grad()
def score(audio_model: AudioModel, *waves: np.ndarray) -> torch.Tensor:
    """Logits (B, L) of one batch in evaluation mode."""
    audio_model.model.train(mode=False)
    logits: torch.Tensor = audio_model.model(**audio_model.processor(waves)).logits
    return logits


def find_head(audio_model: AudioModel) -> Any:  # noqa: ANN401
    """The layer that gives the logits."""
    head: Any = audio_model.model.classifier
    return head.dense if hasattr(head, "dense") else head


def amplify_head(audio_model: AudioModel) -> None:
    """Make logits of a fresh head as large as a trained one's, so that 1e-4 means something."""
    scale = float(score(audio_model, make_clip(0.5)).abs().max())
    find_head(audio_model).weight.data.mul_(1.0 / scale)


def ask_stock_pipeline(folder: Path, wave: np.ndarray) -> dict[str, float]:
    """Probabilities by label, from transformers alone."""
    classify = transformers.pipeline("audio-classification", model=str(folder), device="cpu")
    answers = classify({"raw": wave, "sampling_rate": RATE}, top_k=None)
    return {answer["label"]: answer["score"] for answer in answers}


# --- the matrix: every family trains, is saved, and is used by others ---


def test_the_matrix_has_twelve_families() -> None:
    assert len(FAMILIES) == 12
    assert {family for family, _ in PADDING} == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_trains_and_gives_the_same_scores_in_a_stock_pipeline(
    family: str, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    audio_model = load(checkpoint(family))
    audio_model.model.train()
    optimizer = torch.optim.SGD(audio_model.model.parameters(), lr=0.5)
    waves = [make_clip(0.6, seed) for seed in range(4)]
    targets = torch.tensor([0, 1, 2, 0])
    loss = cross_entropy_per_clip(
        audio_model.model(**audio_model.processor(waves)).logits, targets
    ).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    gradients = [
        weight.grad for weight in audio_model.model.parameters() if weight.grad is not None
    ]
    assert len(gradients) > 10
    assert all(gradient.isfinite().all() for gradient in gradients)

    audio_model.save(tmp_path)
    names = {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    wave = make_clip(0.87, seed=9)
    scores = score(audio_model, wave).softmax(-1)[0]
    expected = ask_stock_pipeline(tmp_path, wave)
    assert [expected[label] for label in LABELS] == pytest.approx(scores.tolist(), abs=1e-5)
    again = load_for_inference(tmp_path)
    assert again.labels == LABELS
    # Only training uses the encoder without padding: loading for inference does not look for it.
    trained_spec = dataclasses.replace(audio_model.processor.input_spec, unpadded_encoder=None)
    assert again.processor.input_spec == trained_spec
    torch.testing.assert_close(score(again, wave), score(audio_model, wave), rtol=0, atol=1e-6)


# --- padding ---


@pytest.mark.parametrize(("family", "norm"), PADDING)
def test_padding_never_changes_a_score(
    family: str, norm: str | None, checkpoint: Callable[..., Path]
) -> None:
    audio_model = load(checkpoint(family, norm), AudioConfig(max_seconds=12.0))
    amplify_head(audio_model)
    input_spec = audio_model.processor.input_spec
    assert (input_spec.has_mask, input_spec.pads_safely) == PADDING[family, norm]
    assert (input_spec.unpadded_encoder is not None) == (family in FRONTS and norm is None)
    seconds = np.random.default_rng(0).permutation(np.geomspace(0.3, 12.0, 16))
    waves = [make_clip(length, seed) for seed, length in enumerate(seconds)]
    alone = torch.cat([score(audio_model, wave) for wave in waves])
    for size in (4, 16):
        batches = [score(audio_model, *waves[at : at + size]) for at in range(0, len(waves), size)]
        error = (torch.cat(batches) - alone).abs().max()
        assert (error <= 1e-4) == input_spec.trains_padded, f"{error=}"
    equal = [make_clip(0.777, seed) for seed in range(4)]
    singly = torch.cat([score(audio_model, wave) for wave in equal])
    torch.testing.assert_close(score(audio_model, *equal), singly, rtol=0, atol=1e-4)


def test_a_mask_that_makes_padding_harmless_is_used_whatever_the_extractor_sets(
    tmp_path: Path,
) -> None:
    folder = write_tiny_checkpoint("wav2vec2", tmp_path / "a", feat_extract_norm="layer")
    make_extractor("wav2vec2", config=None).save_pretrained(folder)  # says: no mask
    audio_model = load(folder)
    assert audio_model.processor.input_spec.has_mask
    assert audio_model.processor.input_spec.pads_safely
    audio_model.save(tmp_path / "b")
    assert json.loads((tmp_path / "b/preprocessor_config.json").read_text())[
        "return_attention_mask"
    ]


def test_a_head_of_zeros_does_not_hide_that_padding_matters(
    checkpoint: Callable[..., Path],
) -> None:
    audio_model = load(checkpoint("hubert"))
    find_head(audio_model).weight.data.zero_()
    found = probe_input_spec(audio_model.model, audio_model.processor.extractor)
    assert found == audio_model.processor.input_spec
    assert not found.pads_safely


def test_the_settings_of_the_course_reach_model_and_disk(
    checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    audio = AudioConfig(normalize=True, attention_mask=True)
    audio_model = load(checkpoint("hubert"), audio)
    inputs = audio_model.processor([5 * make_clip(1.0), make_clip(0.5)])
    assert inputs["attention_mask"].sum(-1).tolist() == [RATE, RATE // 2]
    assert inputs["input_values"][0].std().item() == pytest.approx(1.0, abs=1e-3)
    assert not audio_model.processor.input_spec.pads_safely
    audio_model.save(tmp_path)
    saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert saved["do_normalize"]
    assert saved["return_attention_mask"]
    assert load_for_inference(tmp_path).processor.input_spec.has_mask
    masked = load(checkpoint("wav2vec2", "layer"), AudioConfig(attention_mask=False))
    assert list(masked.processor([make_clip(1.0)])) == ["input_values"]
    assert not masked.processor.input_spec.pads_safely


# --- the shortest and the longest wave ---


@pytest.mark.parametrize("family", FAMILIES)
def test_the_shortest_clips_survive_training_and_not_much_is_added(
    family: str, checkpoint: Callable[..., Path]
) -> None:
    audio_model = load(checkpoint(family))
    input_spec = audio_model.processor.input_spec
    audio_model.model.train()
    for waves in ([make_clip(0.01)], [make_clip(0.01), make_clip(0.05)], [np.zeros(1, np.float32)]):
        assert audio_model.model(**audio_model.processor(waves)).logits.isfinite().all()
    assert input_spec.min_samples <= 0.06 * RATE
    if family not in FIXED:
        if family != "wav2vec2-conformer":  # whose batch norm wants two frames in training
            audio_model.model.eval()
        too_short = dataclasses.replace(input_spec, min_samples=1)
        barely = WaveProcessor(audio_model.processor.extractor, too_short)
        with pytest.raises((RuntimeError, ValueError)):
            inputs = barely([make_clip(input_spec.min_samples / RATE)[:-80]])
            values = inputs[input_spec.input_name], audio_model.model(**inputs).logits
            assert not all(one.isfinite().all() for one in values)  # the model may mask a NaN
            raise ValueError


@pytest.mark.parametrize("family", FAMILIES)
def test_short_clips_score_as_the_stock_pipeline_scores_them(
    family: str, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    audio_model = load(checkpoint(family))
    amplify_head(audio_model)
    audio_model.save(tmp_path)
    shortest = audio_model.processor.input_spec.min_samples / RATE
    for seconds in (shortest, 0.07, 0.1, 0.19):
        wave = make_clip(seconds)
        scores = score(audio_model, wave).softmax(-1)[0].tolist()
        expected = ask_stock_pipeline(tmp_path, wave)
        assert [expected[label] for label in LABELS] == pytest.approx(scores, abs=1e-5)


def test_the_convolutions_need_400_samples_with_and_without_spec_augment(tmp_path: Path) -> None:
    for number, is_masked in enumerate((True, False)):
        folder = tmp_path / str(number)
        write_tiny_checkpoint("wav2vec2", folder, apply_spec_augment=is_masked)
        assert load(folder).processor.input_spec.min_samples == 400


def test_spec_augment_masks_clips_that_are_long_enough_for_it(tmp_path: Path) -> None:
    shape = {"mask_time_prob": 0.9, "mask_time_length": 10}
    shape = {**STILL, "apply_spec_augment": True, **shape}
    audio_model = load(write_tiny_checkpoint("wav2vec2", tmp_path, **shape))
    model = audio_model.model
    for samples, is_varied in ((16_000, True), (9 * 320, False)):  # 50 frames, and 9
        inputs = audio_model.processor([make_clip(1.0)[:samples]])
        model.eval()
        plain = model(**inputs).logits
        model.train()
        assert torch.equal(model(**inputs).logits, plain) != is_varied


def test_a_window_that_torchaudio_asserts_is_found_like_any_other_limit(
    checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = transformers.ASTFeatureExtractor
    stock = kind._extract_fbank_features

    def extract(self: Any, waveform: np.ndarray, **options: Any) -> np.ndarray:  # noqa: ANN401
        assert len(waveform) >= 400, "choose a window size 400"  # as torchaudio.compliance.kaldi
        features: np.ndarray = stock(self, waveform, **options)
        return features

    monkeypatch.setattr(kind, "_extract_fbank_features", extract)
    assert load(checkpoint("audio-spectrogram-transformer")).processor.input_spec.min_samples >= 400


def test_a_clip_that_is_filled_up_scores_the_same_in_any_batch(
    checkpoint: Callable[..., Path],
) -> None:
    audio_model = load(checkpoint("wav2vec2", "layer"))
    amplify_head(audio_model)
    short, longer = make_clip(0.05), make_clip(0.9)
    together = score(audio_model, longer, short)[1]
    torch.testing.assert_close(score(audio_model, short)[0], together, rtol=0, atol=1e-4)


def find_positions(audio_model: AudioModel) -> torch.Tensor:
    """Whisper's position embedding, (positions, H)."""
    model: Any = audio_model.model
    positions: torch.Tensor = model.encoder.embed_positions.weight
    return positions


def test_whisper_is_cut_to_whole_seconds(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    whole = load(checkpoint("whisper"), AudioConfig(max_seconds=30.0))
    positions = find_positions(whole)
    assert whole.processor.input_spec.max_samples == 30 * RATE
    for asked, seconds in ((1.0, 1), (1.2, 2), (0.4, 1), (29.5, 30)):
        audio_model = load(checkpoint("whisper"), AudioConfig(max_seconds=asked))
        assert audio_model.processor.input_spec.max_samples == seconds * RATE
        assert audio_model.processor([make_clip(asked)])["input_features"].shape == (
            1,
            80,
            100 * seconds,
        )
        assert audio_model.model.config.max_source_positions == 50 * seconds
        kept = find_positions(audio_model)
        torch.testing.assert_close(kept, positions[: 50 * seconds])
        assert not kept.requires_grad


def test_clips_longer_than_the_input_of_whisper_are_refused(
    checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"--max-seconds 31 .* at most 30 s .* --max-seconds 30;"):
        load(checkpoint("whisper"), AudioConfig(max_seconds=31.0))
    with pytest.raises(ModelError, match="takes at most 600 s"):  # not an allocation of terabytes
        load(checkpoint("audio-spectrogram-transformer"), AudioConfig(max_seconds=1e9))
    load(checkpoint("whisper"), AudioConfig(max_seconds=2.0)).save(tmp_path)
    with pytest.raises(ModelError, match=r"Use --max-seconds 2; .* windows"):
        load(tmp_path, AudioConfig(max_seconds=3.0))


@pytest.mark.parametrize(
    ("seconds", "frames"), [(1.0, 106), (0.1, 16), (10.24, 1024), (12.0, 1206)]
)
def test_patch_positions_fit_the_clips(
    seconds: float, frames: int, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    audio_model = load(
        checkpoint("audio-spectrogram-transformer"), AudioConfig(max_seconds=seconds)
    )
    wave = make_clip(seconds)
    assert audio_model.processor([wave])["input_values"].shape == (1, frames, 32)
    assert audio_model.processor.input_spec.max_samples is not None
    audio_model.save(tmp_path)
    scores = score(audio_model, wave).softmax(-1)[0].tolist()
    expected = ask_stock_pipeline(tmp_path, wave)
    assert [expected[label] for label in LABELS] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize(
    ("family", "seconds"),
    [("hubert", 30.0), ("whisper", 30.0), ("audio-spectrogram-transformer", 10.24)],
)
def test_the_default_of_max_seconds_is_the_input_length_of_the_checkpoint(
    family: str, seconds: float, checkpoint: Callable[..., Path]
) -> None:
    folder = checkpoint(family)
    opened = open_checkpoint(ModelConfig(model=str(folder)))
    assert resolve_audio_settings(AudioConfig(), opened).max_seconds == seconds
    assert resolve_audio_settings(ONE_SECOND, opened) == ONE_SECOND
    assert opened.sampling_rate == RATE
    own = load(folder, AudioConfig())
    assert own.model.config.audio_cls["max_seconds"] == seconds
    given = load(folder, AudioConfig(max_seconds=seconds))
    assert given.processor.input_spec == own.processor.input_spec
    if family == "audio-spectrogram-transformer":  # as it was trained: nothing is stretched
        assert own.processor([make_clip(1.0)])["input_values"].shape == (1, 1024, 32)
    with pytest.raises(SettingError, match=rf"--window-seconds .* --max-seconds {seconds:g}"):
        RunConfig(audio=resolve_audio_settings(AudioConfig(window_seconds=seconds + 15), opened))


def test_patch_positions_are_cut_or_interpolated_in_time_only() -> None:
    tokens = torch.full((1, 2, 1), -7.0)
    grid = torch.tensor([[0.0, 1.0, 2.0, 3.0], [10.0, 11.0, 12.0, 13.0]])
    positions = torch.cat([tokens, grid.reshape(1, 8, 1)], dim=1)
    cut = fit_patch_positions(positions, num_bands=2, num_steps=2)
    assert cut.flatten().tolist() == [-7, -7, 0, 1, 10, 11]
    stretched = fit_patch_positions(positions, num_bands=2, num_steps=8).flatten()
    low, high = stretched[2:10], stretched[10:]
    assert stretched[:2].tolist() == [-7, -7]
    assert (low.diff() >= 0).all()
    torch.testing.assert_close(low.mean(), torch.tensor(1.5))
    torch.testing.assert_close(high, low + 10)


# --- what loading promises ---


def test_loading_logs_nothing_and_keeps_random_states(
    checkpoint: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = checkpoint("wav2vec2-conformer")  # it has batch norm, whose buffers count
    with caplog.at_level(logging.INFO, logger="audio_cls"):
        audio_model = load(folder)
    assert [record.message for record in caplog.records] == []
    assert audio_model.head == "new classification head"
    assert capfd.readouterr() == ("", "")
    model = audio_model.model
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    assert any("num_batches_tracked" in name for name in before)
    model.train()
    frozen: Any = model.classifier
    frozen.eval()
    numpy_state, torch_state = np.random.get_state(), torch.get_rng_state()
    probe_input_spec(model, audio_model.processor.extractor)
    assert pickle.dumps(np.random.get_state()) == pickle.dumps(numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    assert model.training
    assert not frozen.training
    assert all(weight.grad is None for weight in model.parameters())


def test_the_encoder_of_a_speech_recogniser_is_really_loaded(tmp_path: Path) -> None:
    config = transformers.AutoConfig.from_pretrained(write_tiny_checkpoint("whisper", tmp_path))
    recogniser: Any = transformers.WhisperForConditionalGeneration(config)
    recogniser.half()
    recogniser.save_pretrained(tmp_path)
    model: Any = load(tmp_path, AudioConfig(max_seconds=30.0)).model
    source = recogniser.model.encoder.state_dict()
    for name, weight in model.encoder.state_dict().items():
        assert weight.dtype == torch.float32
        torch.testing.assert_close(weight, source[name].float())


def test_a_head_is_kept_for_the_same_labels_only(
    checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    first = load(checkpoint("hubert"))
    first.save(tmp_path)
    head = find_head(first).weight
    assert torch.equal(find_head(load(tmp_path)).weight, head)
    others = load(tmp_path, labels=("jazz", "blues", "rock"))
    assert not torch.equal(find_head(others).weight, head)
    assert others.model.config.id2label == {0: "jazz", 1: "blues", 2: "rock"}
    assert len(find_head(load(tmp_path, labels=("a", "b", "c", "d"))).weight) == 4


def test_a_multi_label_checkpoint_becomes_single_label(tmp_path: Path) -> None:
    write_tiny_checkpoint("hubert", tmp_path, problem_type="multi_label_classification")
    load(tmp_path).save(tmp_path)
    assert sum(ask_stock_pipeline(tmp_path, make_clip(0.5)).values()) == pytest.approx(1.0)


def test_from_scratch_needs_no_weights_and_follows_the_seed(tmp_path: Path) -> None:
    write_tiny_checkpoint("hubert", tmp_path, dtype="float16")
    (tmp_path / "model.safetensors").unlink()
    scratch = ModelConfig(model=str(tmp_path), from_scratch=True)
    sums = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        model = load_for_training(open_checkpoint(scratch), ONE_SECOND, LABELS).model
        assert model.dtype == torch.float32
        sums.append(sum(weight.double().sum().item() for weight in model.parameters()))
    assert sums[0] == sums[1] != sums[2]


def test_the_wave_encoder_is_small_and_survives_a_pickle(checkpoint: Callable[..., Path]) -> None:
    processor = load(checkpoint("whisper")).processor
    packed = pickle.dumps(processor)
    assert len(packed) < 1_000_000
    waves = [make_clip(0.5), make_clip(0.7)]
    again = pickle.loads(packed)(waves)
    assert torch.equal(again["input_features"], processor(waves)["input_features"])


# --- what a user can get wrong ---


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("/nowhere/at/all", "There is no folder '/nowhere/at/all'"),
        ("./runs/typo/here", "There is no folder './runs/typo/here'"),
        ("two words", "There is no folder 'two words'"),
    ],
)
def test_a_name_that_is_nothing_is_refused(name: str, text: str) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        load_for_training(open_checkpoint(ModelConfig(model=name)), ONE_SECOND, LABELS)
    assert caught.value.__cause__ is not None


def test_a_text_model_is_refused(tmp_path: Path) -> None:
    transformers.BertConfig(hidden_size=8, num_attention_heads=1).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"has no preprocessor_config.json.*Choose another"):
        load(tmp_path)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
@pytest.mark.parametrize("fault", ["missing", "cut short"])
def test_a_broken_checkpoint_names_the_file(file: str, fault: str, tmp_path: Path) -> None:
    path = write_tiny_checkpoint("hubert", tmp_path) / file
    content = path.read_bytes()
    path.unlink()
    if fault == "cut short":
        path.write_bytes(content[: len(content) // 2])
    message = f"has no {file},? that can be used"
    if fault == "missing":
        message = f"has no {file}, which an audio model needs"
        if file == "model.safetensors":
            message = r"has a config.json and no weights \(model.safetensors\)"
    with pytest.raises(ModelError, match=message):
        load(tmp_path)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    write_tiny_checkpoint("hubert", tmp_path / "a")
    write_tiny_checkpoint("whisper", tmp_path / "b")
    (tmp_path / "b/model.safetensors").replace(tmp_path / "a/model.safetensors")
    with pytest.raises(ModelError, match="the checkpoint of another kind of model"):
        load(tmp_path / "a")


def test_an_encoder_is_no_finished_classifier(checkpoint: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match=r"not a trained classifier: .* classifier.weight"):
        load_for_inference(checkpoint("hubert"))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("GatedRepoError", "is gated: accept its terms at https://huggingface.co/me/mine"),
        ("RepositoryNotFoundError", "neither a folder nor on the Hub"),
        ("RevisionNotFoundError", "no branch, tag or commit 'v9'. Check the revision"),
        ("LocalEntryNotFoundError", "the Hub cannot be reached for its config.json"),
        ("HfHubHTTPError", "the Hub cannot be reached for its config.json"),
    ],
)
def test_errors_of_the_hub_are_one_sentence(kind: str, text: str) -> None:
    error: Any = getattr(hub_errors, kind)
    needs_response = issubclass(error, hub_errors.HfHubHTTPError)
    refusal = error("no", response=mock.MagicMock()) if needs_response else error("no")
    cfg = ModelConfig(model="me/mine", model_revision="v9")
    with (
        mock.patch("transformers.utils.hub.hf_hub_download", side_effect=refusal),
        pytest.raises(ModelError, match=text) as caught,
    ):
        load_for_training(open_checkpoint(cfg), ONE_SECOND, LABELS)
    assert caught.value.__cause__ is not None


def test_without_a_network_the_default_model_is_named_as_such() -> None:
    with (
        mock.patch(
            "transformers.utils.hub.hf_hub_download",
            side_effect=hub_errors.LocalEntryNotFoundError("no"),
        ),
        pytest.raises(ModelError, match=r"The default of --model, '.*give a local checkpoint"),
    ):
        open_checkpoint(ModelConfig())


@pytest.mark.parametrize("family", sorted(FIXED))
def test_a_feature_extractor_that_does_not_fit_the_model_is_named(
    family: str, tmp_path: Path
) -> None:
    folder = write_tiny_checkpoint(family, tmp_path / "checkpoint")
    load_for_training(  # the check passes
        open_checkpoint(ModelConfig(model=str(folder))), ONE_SECOND, LABELS, is_multilabel=False
    )
    file = folder / "preprocessor_config.json"
    kind = json.loads(file.read_text())["feature_extractor_type"]
    wrong = {"feature_extractor_type": kind, "checkpoint": 3, "feature_size": 7, "num_mel_bins": 99}
    file.write_text(json.dumps(wrong))
    checkpoint = open_checkpoint(ModelConfig(model=str(folder)))
    with pytest.raises(ModelError, match=r"preprocessor_config\.json of .* does not fit"):
        load_for_training(checkpoint, ONE_SECOND, LABELS, is_multilabel=False)
