"""Figure of training examples: those of the loader, without effect on the training."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from datasets import Audio, ClassLabel, Dataset
from matplotlib.figure import Figure
from PIL import Image
from tiny_models import write_tiny_checkpoint
from tiny_runs import QUIET, make_config, set_up
from tones import encode_sound, make_tone, write_split_tones

from audio_cls.audio.augmentation.spec_augment import FrameLayout
from audio_cls.config import RunConfig
from audio_cls.data.training_loader import DrawnExample, read_first_examples
from audio_cls.evaluation.reports import training_examples
from audio_cls.models.processor import InputSpec, WaveProcessor
from audio_cls.runs.run_files import EXAMPLES_FIGURE
from audio_cls.training.loop import TrainingRun
from audio_cls.workflows import train as workflow
from audio_cls.workflows.methods import fine_tune

FAMILIES: dict[str, dict[str, Any]] = {
    "hubert": {**QUIET, "hidden_dropout": 0.1},  # some, so that a changed random state shows
    "whisper": {"max_source_positions": 1500},
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return tones of two classes, of unequal length."""
    return write_split_tones(tmp_path_factory.mktemp("clips"), 10, 0.3)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a model of waveforms and one of features."""
    root = tmp_path_factory.mktemp("models")
    for family, values in FAMILIES.items():
        write_tiny_checkpoint(family, root / family, **values)
    return {family: root / family for family in FAMILIES}


def configure(clips: Path, checkpoint: Path, folder: Path, **changes: Any) -> RunConfig:  # noqa: ANN401
    """Return the settings of a run of two steps."""
    AcceleratorState._reset_state(reset_partial_state=True)  # type: ignore[no-untyped-call]
    return make_config(clips, checkpoint, folder, **{"max_steps": 2, **changes})


def read_examples(run: TrainingRun, count: int = 4) -> list[DrawnExample]:
    """Return the first examples of a run."""
    dataset: Any = run.loader.dataset
    processor = run.loader.collate_fn.keywords["processor"]  # type: ignore[attr-defined]
    return read_first_examples(run.loader, run.sampler, dataset.clips, processor, count)


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("hubert", {"mixup_alpha": 0.4, "gain_db": 6.0}),
        ("whisper", {"time_masks": 2, "frequency_masks": 1}),
    ],
)
def test_examples_are_the_first_of_the_loader_without_padding(
    family: str, changes: dict[str, Any], clips: Path, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    run = set_up(configure(clips, checkpoints[family], tmp_path / "run", **changes))
    run.sampler.set_epoch(3)  # of a resumed run
    before = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())
    examples = read_examples(run)
    after = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]
    assert run.sampler.state_dict() == {"epoch": 3, "step": 0}
    run.sampler.set_epoch(0)
    batch = next(iter(run.loader))[0]
    name = "input_values" if family == "hubert" else "input_features"
    assert len(examples) == len(batch.inputs[name]) == 4
    for example, inputs, label in zip(examples, batch.inputs[name], batch.labels, strict=True):
        one = example.inputs[name][0]
        assert torch.allclose(one, inputs[..., : one.shape[-1]], atol=1e-5)
        assert np.allclose(example.label, label)


def write_shard(path: Path, numbers: range) -> None:
    """Write a parquet file of tones; the third cannot be decoded."""
    sounds = [
        {"bytes": encode_sound(make_tone(300 + 90 * n, 0.4, seed=n), 16_000), "path": f"c{n}.wav"}
        for n in numbers
    ]
    sounds[2]["bytes"] = b"no sound"
    table = Dataset.from_dict({"audio": sounds, "label": [n % 2 for n in numbers]})
    table = table.cast_column("audio", Audio(decode=False)).cast_column("audio", Audio())
    table.cast_column("label", ClassLabel(names=["low", "high"])).to_parquet(path)


def test_streamed_clips_that_cannot_be_used_are_not_among_the_examples(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    for split, numbers in (("train", range(6)), ("validation", range(6)), ("test", range(6))):
        write_shard(tmp_path / "data" / f"{split}-00000-of-00001.parquet", numbers)
    cfg = configure(
        tmp_path, checkpoints["hubert"], tmp_path / "run", streaming=True, max_bad_audio_ratio=0.5
    )
    run = set_up(cfg)
    examples = read_examples(run, 6)
    assert len(examples) == 5 and all(np.abs(one.wave).max() > 0 for one in examples)
    again = read_examples(run, 6)
    for one, other in zip(examples, again, strict=True):
        assert np.array_equal(one.wave, other.wave)


@pytest.mark.parametrize("freeze", ["none", "backbone"])
def test_drawing_does_not_change_the_training(
    freeze: str, clips: Path, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    weights = []
    for name in ("with", "without"):
        cfg = configure(clips, checkpoints["hubert"], tmp_path / name, freeze=freeze)
        with mock.patch.object(workflow, "draw_figures"):
            if name == "with":
                workflow.run_training(cfg)
            else:
                with mock.patch.object(fine_tune, "save_training_examples"):
                    workflow.run_training(cfg)
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
        assert (tmp_path / name / EXAMPLES_FIGURE).exists() == (name == "with")
    assert weights[0] == weights[1]
    image = Image.open(tmp_path / "with" / EXAMPLES_FIGURE)
    assert 1000 < image.width < 1200 and 500 < image.height < 800


def test_a_resumed_run_keeps_the_figure_of_its_first_start(
    clips: Path, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "run" / EXAMPLES_FIGURE

    def train(**changes: object) -> None:
        constant = {"scheduler": "constant", "warmup_ratio": 0.0, **changes}
        cfg = configure(clips, checkpoints["hubert"], tmp_path / "run", **constant)
        with mock.patch.object(workflow, "draw_figures"):
            workflow.run_training(cfg)

    train()
    drawn = path.read_bytes()
    with mock.patch.object(training_examples, "draw_examples") as draw:
        train(max_steps=3, resume="auto")
    assert draw.call_count == 0
    assert path.read_bytes() == drawn
    path.unlink()  # as in a run that an earlier version began
    train(max_steps=4, resume="auto")
    assert path.read_bytes() == drawn


def test_a_dry_run_does_not_draw(clips: Path, checkpoints: dict[str, Path], tmp_path: Path) -> None:
    cfg = configure(clips, checkpoints["hubert"], tmp_path / "run", dry_run=True)
    with (
        mock.patch.object(fine_tune, "save_training_examples") as draw,
        mock.patch.object(workflow, "draw_figures"),
    ):
        workflow.run_all(cfg)
    assert draw.call_count == 0


def make_processor(layout: FrameLayout | None, name: str) -> WaveProcessor:
    """Return a processor with what a figure asks of it."""
    extractor: Any = mock.Mock(num_mel_bins=8, feature_size=1)
    spec = InputSpec(
        input_name=name,
        sampling_rate=1000,
        has_mask=False,
        pads_safely=True,
        min_samples=1,
        max_samples=None,
        feature_layout=layout,
    )
    return WaveProcessor(extractor, spec)


def read_axes(figure: Figure) -> list[tuple[str, str, str]]:
    """Return title, x label and y label of each panel."""
    return [(one.get_title(), one.get_xlabel(), one.get_ylabel()) for one in figure.axes]


def test_waveforms_have_seconds_and_labels() -> None:
    wave = np.sin(np.arange(5000) / 9).astype(np.float32)
    inputs = {"input_values": torch.from_numpy(wave)[None]}
    examples = [DrawnExample(wave, label, inputs) for label in (0, 1, 1, 0)]
    processor = make_processor(None, "input_values")
    figure = training_examples.draw_examples(examples, ["low", "hi$h"], processor)
    assert read_axes(figure) == [
        ("low", "", "amplitude"), ("hi$h", "time (s)", ""),
        ("hi$h", "time (s)", ""), ("low", "time (s)", "amplitude"),
    ]  # fmt: skip
    assert figure.axes[0].get_xlim() == (0, 5)


@pytest.mark.parametrize("time_axis", [1, 2])
def test_features_are_cut_to_the_clip_and_their_padding_is_named(time_axis: int) -> None:
    features = torch.zeros(1, 100, 8)  # 10 frames per second
    inputs = {"input_features": features if time_axis == 1 else features.mT}
    wave = np.zeros(3000, np.float32)  # 3 s
    processor = make_processor(FrameLayout("input_features", time_axis, 10.0), "input_features")
    label = np.array([1, 0, 1], np.float32)
    figure = training_examples.draw_examples(
        [DrawnExample(wave, label, inputs)], ["a", "b", "c"], processor
    )
    assert read_axes(figure) == [("a, c", "time (s)", "mel band")]
    assert figure.axes[0].get_images()[0].get_array().shape == (8, 30)  # type: ignore[union-attr]
    assert figure.axes[0].get_xlim() == (0, 3)
    assert [text.get_text() for text in figure.axes[0].texts] == ["padded to 10 s"]
