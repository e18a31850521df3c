"""Base classifier with a network that is a sum: inputs, order, batches, windows, errors, bounds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import soundfile
import torch

from audio_cls.audio.waveform import Wave
from audio_cls.audio.windows import list_windows
from audio_cls.config import AudioConfig
from audio_cls.errors import AudioError, ModelError, SettingError
from audio_cls.inference import reading
from audio_cls.inference.base_classifier import BaseClassifier
from audio_cls.inference.batching import ModelInput, ModelOutput
from audio_cls.inference.label_rule import LabelRule
from audio_cls.inference.prediction import Prediction

RATE = 100
HEAVY = (
    *("datasets", "sklearn", "scipy.stats", "pandas", "pyarrow", "matplotlib", "evaluate", "peft"),
    *("gradio", "onnx", "onnxruntime", "sounddevice", "av"),
)


class SumClassifier(BaseClassifier):
    """Logits of a window: the sum of its samples, and 0. Its embedding: length and sum."""

    def __init__(self, num_workers: int = 2, **settings: Any) -> None:  # noqa: ANN401
        self.batches: list[list[int]] = []
        values = {"audio": AudioConfig(max_seconds=1.0), "equal_lengths": False, **settings}
        model_input = ModelInput(sampling_rate=RATE, **values)
        super().__init__(model_input, LabelRule(("high", "low")), num_workers)

    def run_model(self, waves: Sequence[Wave], *, with_embeddings: bool = False) -> ModelOutput:
        """Return the logits."""
        self.batches.append([len(wave) for wave in waves])
        sums = np.array([wave.sum(dtype=np.float64) for wave in waves])
        sums[sums > 1e30] = np.nan
        embeddings = np.stack([[len(wave) for wave in waves], sums], axis=1).astype(np.float32)
        logits = np.stack([sums, np.zeros_like(sums)], axis=1)
        return ModelOutput(logits, embeddings if with_embeddings else None)


def share(value: float) -> float:
    """Return the softmax of (value, 0)."""
    return float(1 / (1 + np.exp(-value)))


def make(value: float, seconds: float) -> tuple[np.ndarray, int]:
    """Return constant sound as an input."""
    return np.full(round(seconds * RATE), value, np.float32), RATE


def test_one_input_gives_one_prediction_in_every_form(tmp_path: Path) -> None:
    classify = SumClassifier()
    soundfile.write(tmp_path / "a.wav", make(0.01, 0.5)[0], RATE, subtype="FLOAT")
    data = (tmp_path / "a.wav").read_bytes()
    for source, name in (
        (tmp_path / "a.wav", str(tmp_path / "a.wav")),
        (str(tmp_path / "a.wav"), str(tmp_path / "a.wav")),
        (data, "<bytes>"),
        (make(0.01, 0.5), "<array>"),
    ):
        found = classify(source)
        assert isinstance(found, Prediction)
        assert (found.file, found.label, found.seconds) == (name, "high", 0.5)
        assert found.score == pytest.approx(share(0.5), abs=1e-6)


@pytest.mark.parametrize("key", ["array", "raw"])
def test_the_dictionary_of_datasets_and_of_pipelines_is_one_input(key: str) -> None:
    samples, rate = make(0.01, 2.5)
    source = {"path": None, key: samples, "sampling_rate": rate}
    classifier = SumClassifier()
    assert classifier(source) == classifier((samples, rate))
    assert classifier([source]) == [classifier((samples, rate))]
    assert list(classifier.windows(source)) == list(classifier.windows((samples, rate)))
    with pytest.raises(AudioError, match="'path', 'sampling_rate'; give"):
        classifier({"path": "a.wav", "sampling_rate": rate})


def test_a_tensor_needs_its_rate_and_is_never_several_inputs() -> None:
    samples, rate = make(0.01, 2.5)
    classify = SumClassifier()
    tensor = torch.from_numpy(samples)
    with pytest.raises(
        AudioError, match=r"Tensor; give a path, bytes, or \(samples, sampling_rate"
    ):
        classify(tensor)
    (found,) = classify([tensor])
    assert "Tensor; give" in str(found.error)
    assert classify((tensor, rate)) == classify((samples, rate))
    for bad in (tensor.clone().requires_grad_(), tensor.bfloat16(), [samples, samples[1:]]):
        with pytest.raises(AudioError, match="not an array of samples: "):
            classify((bad, rate))


@pytest.mark.parametrize("how", ["mean-logit", "first", "vote"])
def test_a_clip_and_its_windows_are_scored_once(
    monkeypatch: pytest.MonkeyPatch, how: Literal["mean-logit", "first", "vote"]
) -> None:
    monkeypatch.setattr(reading, "PART_SAMPLES", 300)
    ramp = (np.arange(1_005, dtype=np.float32) / 1e5, RATE)
    audio = AudioConfig(max_seconds=1.0, hop_seconds=0.5, aggregate=how)
    classify, other = SumClassifier(audio=audio), SumClassifier(audio=audio)
    done: list[float] = []
    prediction, windows = classify.with_windows(ramp, done.append)
    assert sum(map(len, classify.batches)) == len(windows) == 20
    assert (prediction, windows) == (other(ramp), list(other.windows(ramp)))
    assert done == sorted(done) and len(done) > 2 and done[-1] == 10.05
    with pytest.raises(AudioError, match="missing file"):
        classify.with_windows("missing.wav")


@pytest.mark.parametrize("workers", [0, 2])
def test_the_seconds_that_are_done_are_counted(
    monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(reading, "PART_SAMPLES", 300)
    classify = SumClassifier(workers)
    windows = classify.windows(make(0.1, 20))
    for _ in range(7):
        next(windows)
    assert classify.audio_seconds == 6.0  # two parts of three windows
    list(windows)
    classify([make(0.1, 1.5), None, make(0.1, 0.5)])
    assert classify.audio_seconds == 22.0


@pytest.mark.parametrize("number", [RATE, float(RATE), np.int64(RATE)])
def test_a_sampling_rate_that_comes_first_is_an_error_with_the_order(number: Any) -> None:  # noqa: ANN401
    samples, _ = make(0.01, 2.5)
    message = r"sampling rate first; give \(samples, sampling_rate\), in this order"
    for call in (
        SumClassifier(),
        SumClassifier().embed,
        lambda x: list(SumClassifier().windows(x)),
    ):
        with pytest.raises(AudioError, match=message):
            call((number, samples))
    (prediction,) = SumClassifier()([(samples, RATE, "name")])
    assert "a tuple of 3; give (samples" in str(prediction.error)


def test_a_list_gives_a_list_and_a_generator_an_iterator_in_order() -> None:
    inputs = [make(0.001 * n, 0.1 + 0.17 * (n % 7)) for n in range(100)]
    for workers in (0, 1, 3):
        classify = SumClassifier(workers, batch_size=4)
        found = classify(inputs)
        assert isinstance(found, list)
        lazy = classify(one for one in inputs)
        assert isinstance(lazy, Iterator)
        assert list(lazy) == found
        for number, (wave, _) in enumerate(inputs):
            windows = list_windows(len(wave), classify.model_input.audio, RATE)
            mean = np.mean([(stop - start) * 0.001 * number for start, stop in windows])
            assert found[number].score == pytest.approx(max(share(mean), share(-mean)), abs=2e-6)


def test_short_inputs_share_batches_bounded_by_count_and_samples() -> None:
    inputs = [make(0.1, 0.2 + 0.1 * (n % 8)) for n in range(64)]
    classify = SumClassifier(batch_size=8, max_batch_samples=400)
    classify(inputs)
    assert sum(len(batch) for batch in classify.batches) == 64
    assert max(len(batch) for batch in classify.batches) == 8
    assert max(len(batch) * max(batch) for batch in classify.batches) <= 400
    equal = SumClassifier(batch_size=8, equal_lengths=True)
    equal(inputs)
    assert {len(set(batch)) for batch in equal.batches} == {1}
    fixed = SumClassifier(batch_size=8, max_samples=100, max_batch_samples=300)
    fixed(inputs)
    assert max(len(batch) for batch in fixed.batches) == 3


def test_a_generator_is_read_ahead_within_bounds() -> None:
    taken = []

    def inputs() -> Iterator[tuple[np.ndarray, int]]:
        for number in range(1_000):
            taken.append(number)
            yield make(0.1, 1.0)

    lazy = SumClassifier(2, batch_size=4)(inputs())
    next(lazy)
    assert len(taken) < 40


def test_among_several_a_bad_input_has_an_error_and_no_other_is_lost(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    inputs = [make(0.1, 0.5), tmp_path / "bad.wav", tmp_path, None, make(np.nan, 1.0), make(0.1, 3)]
    found = SumClassifier()(inputs)
    assert [one.error is None for one in found] == [True, False, False, False, False, True]
    assert found[1].file == str(tmp_path / "bad.wav")
    words = ["unreadable", "is a folder", "not an input: NoneType", "not finite"]
    for prediction, word in zip(found[1:5], words, strict=True):
        assert word in str(prediction.error)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "NoneType; give a path"),
        (np.zeros(100), "ndarray; give a path"),
        ({"array": np.zeros(100)}, "keys .array.; give"),
        ((np.zeros(100), -1), "wrong sampling rate"),
        ((np.zeros(0), RATE), "empty"),
        ("missing.wav", "missing file: missing.wav"),
    ],
)
def test_one_bad_input_raises(source: object, reason: str) -> None:
    for call in (SumClassifier(), SumClassifier().embed):
        with pytest.raises(AudioError, match=reason):
            call(source)
    with pytest.raises(AudioError, match=reason):
        list(SumClassifier().windows(source))  # type: ignore[arg-type]


def test_scores_that_are_not_finite_are_an_error() -> None:
    loud = make(1e30, 1.0)
    (found, good) = SumClassifier()([loud, make(0.1, 1.0)])
    assert "scores are not finite" in str(found.error) and good.error is None
    with pytest.raises(ModelError, match="not finite"):
        SumClassifier()(loud)


def test_windows_are_those_of_evaluation_with_times_from_samples() -> None:
    ramp = (np.arange(1_005, dtype=np.float32) / 1e5, RATE)
    classify = SumClassifier()
    options: tuple[dict[str, float], ...] = (
        {}, {"window_seconds": 0.7}, {"overlap": 0.5}, {"hop_seconds": 0.13},
        {"window_seconds": 2.0, "overlap": 0.9},
    )  # fmt: skip
    for given in options:
        window = given.get("window_seconds", 1.0)
        hop = given.get("hop_seconds", window * (1 - given.get("overlap", 0.0)))
        cfg = AudioConfig(window_seconds=window, hop_seconds=hop)
        found = list(classify.windows(ramp, **given))
        places = [(one.start_sample, one.stop_sample) for one in found]
        assert places == list_windows(1_005, cfg, RATE)
        assert [(one.start, one.end) for one in found] == [(a / RATE, b / RATE) for a, b in places]
        for one in found:
            total = float(ramp[0][one.start_sample : one.stop_sample].sum(dtype=np.float64))
            assert one.scores["high"] == pytest.approx(share(total), abs=2e-6)


def test_windows_cover_the_input_also_where_evaluation_uses_the_first_only() -> None:
    classify = SumClassifier(audio=AudioConfig(max_seconds=1.0, aggregate="first"))
    assert len(list(classify.windows(make(0.1, 5)))) == 5
    assert classify((np.r_[np.zeros(100), np.ones(100)].astype(np.float32), RATE)).score == 0.5


def test_a_stream_gives_the_windows_of_the_whole_as_soon_as_they_are_complete() -> None:
    wave = np.sin(np.arange(4_321)) * 0.01
    classify = SumClassifier()
    read = []

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, len(wave), 50):
            read.append(start)
            yield np.stack([wave, wave], axis=1)[start : start + 50]

    for rate in (RATE, 441):
        read.clear()
        stream = classify.stream(blocks(), rate, window_seconds=1.5, overlap=0.5)
        first = next(stream)
        assert (first.start_sample, first.stop_sample) == (0, 150)
        delay = 0 if rate == RATE else 3_700  # samples that soxr keeps
        assert 50 * len(read) < 150 * rate / RATE + delay + 50
        rest = list(stream)
        whole = list(classify.windows((wave, rate), window_seconds=1.5, overlap=0.5))
        assert [replace(one, file="<array>") for one in [first, *rest]] == whole
    with pytest.raises(AudioError, match="empty"):
        list(classify.stream([], RATE))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"overlap": 1.0}, "share of the window"),
        ({"overlap": 0.96}, "every 0.04 s; the shortest step is 0.05 s. Give at most 0.95"),
        ({"overlap": 0.5, "hop_seconds": 0.5}, "exclude each other"),
        ({"window_seconds": 2.0}, "input of this model is 1 s long"),
        ({"hop_seconds": 0.0}, "hop-seconds"),
    ],
)
def test_window_settings_out_of_range_are_refused_at_once(
    options: dict[str, float], reason: str
) -> None:
    classify = SumClassifier(max_samples=RATE)
    for call in (classify.windows, classify.stream):
        with pytest.raises(SettingError, match=reason):
            call("missing.wav", *([RATE] if call == classify.stream else []), **options)  # type: ignore[operator]


def test_embeddings_are_the_mean_over_windows() -> None:
    classify = SumClassifier()
    found = classify.embed([make(0.01, 1.5), make(0.5, 0.2)])
    assert found.dtype == np.float32 and found.shape == (2, 2)
    assert found == pytest.approx(np.array([[100, 1.0], [20, 10.0]]), rel=1e-6)
    assert classify.embed(make(0.5, 0.2)).shape == (2,)
    (prediction,) = classify([make(0.5, 0.2)], with_embeddings=True)
    assert prediction.embedding is not None and prediction.embedding.tolist() == [20, 10]
    assert classify(make(0.5, 0.2)).embedding is None
    with pytest.raises(AudioError, match="missing file"):
        classify.embed([make(0.5, 0.2), "missing.wav"])


def test_remarks_are_about_the_whole_input() -> None:
    classify = SumClassifier()
    wave = np.zeros(500, np.float32)
    assert classify((wave, RATE)).remark == "digital silence"
    wave[-1] = 0.5
    assert classify((wave, RATE)).remark is None
    assert classify((wave[-5:], RATE)).remark == "only 0.050 s long"


def test_a_long_input_is_read_in_parts_that_later_inputs_do_not_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "PART_SAMPLES", 300)
    inputs = [make(0.01, 40), make(0.02, 0.5), make(0.01, 25)]
    for workers in (0, 2):
        found = SumClassifier(workers)(inputs)
        scores = [share(1.0), share(1.0), share(1.0)]
        assert [one.score for one in found] == pytest.approx(scores, abs=2e-6)
        assert [one.seconds for one in found] == [40, 0.5, 25]


def list_imported(code: str, names: tuple[str, ...]) -> list[str]:
    """Run code in a new process; return which of the modules it imported."""
    code += f"\nimport sys\nprint(*(name for name in {names} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_it_works_without_torch_and_imports_nothing_heavy() -> None:
    code = """
import sys
sys.modules["torch"] = None
from audio_cls.inference import BaseClassifier, Prediction, WindowPrediction"""
    assert list_imported(code, ("transformers", *HEAVY)) == []


@pytest.mark.slow
def test_predict_imports_torch_and_transformers_but_nothing_else_that_is_heavy() -> None:
    code = """
import audio_cls.workflows.prediction.predict
from audio_cls import Classifier
Classifier"""
    assert list_imported(code, HEAVY) == []
