"""The benchmark: contenders do the same work, and the table shows what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from forked import Forked
from transformers import AutoModelForAudioClassification

from audio_cls.benchmark import (
    cases,
    preset_cost,
    profile_step,
    random_checkpoints,
    runner,
    scaling,
    synthetic_clips,
)
from audio_cls.benchmark import tables as table
from audio_cls.models.kernels.install import install_fast_kernels
from audio_cls.presets import list_presets


@pytest.fixture
def forked_children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run the children in forks; `test_every_contender_...` starts real ones."""

    def run_python(_: str, module: str, spec: str, *, cache: Path) -> None:
        Forked(f"{module.replace('.', '/')}.py", [spec], tmp_path / "log").finish()

    monkeypatch.setattr(runner, "run_python", run_python)


def test_clips_are_the_same_each_time_and_split_by_class(tmp_path: Path) -> None:
    for name in ("a", "b"):
        synthetic_clips.write_clips(tmp_path / name, "train", 9, (0.1, 0.2))
    first, second = (pq.read_table(tmp_path / name / "train.parquet") for name in ("a", "b"))
    assert first.equals(second)
    assert first["label"].to_pylist() == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    sizes = [len(cell["bytes"]) for cell in first["audio"].to_pylist()]
    assert all(44 + 3200 <= size <= 44 + 6402 for size in sizes)


def test_clips_in_several_files_are_those_of_one(tmp_path: Path) -> None:
    seconds = (0.01, synthetic_clips.SECONDS_AT_ONCE / 2)  # two clips a block
    synthetic_clips.write_clips(tmp_path / "one", "train", 7, seconds)
    synthetic_clips.write_clips(tmp_path / "cut", "train", 7, seconds, clips_per_file=4)
    profile_step = [f"train-0000{n}-of-00002.parquet" for n in range(2)]
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == profile_step
    tables = [pq.read_table(tmp_path / "cut" / part) for part in profile_step]
    assert [len(table) for table in tables] == [4, 3]
    assert pa.concat_tables(tables).equals(pq.read_table(tmp_path / "one" / "train.parquet"))


def test_many_clips_come_from_all_cores_in_order(tmp_path: Path) -> None:
    count = 2 * synthetic_clips.FEW_BLOCKS + 3
    synthetic_clips.write_clips(
        tmp_path, "train", count, (0.01, synthetic_clips.SECONDS_AT_ONCE / 2)
    )
    cells = pq.read_table(tmp_path / "train.parquet")["audio"].to_pylist()
    assert [cell["path"] for cell in cells] == [f"train-{n:06d}.wav" for n in range(count)]


@pytest.mark.parametrize(("kind", "peaks"), [("low", 1), ("chord", 3)])
def test_classes_differ_in_their_spectrum(kind: str, peaks: int) -> None:
    wave = synthetic_clips.make_wave(kind, 1.0, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    loud = np.flatnonzero(spectrum > spectrum.max() / 2)
    assert len(np.split(loud, np.flatnonzero(np.diff(loud) > 20) + 1)) == peaks


def test_ratios_are_to_the_faster_trainer_and_memory_to_the_course() -> None:
    def make(total: float, train: float, memory: float) -> dict[str, float]:
        return {"total_seconds": total, "train_seconds": train, "peak_memory_mb": memory}

    contenders = {
        "mapped": make(40, 30, 2000),
        "on-the-fly": make(50, 20, 1000),
        "audio_cls": make(10, 5, 500),
    }
    assert table.find_ratios(contenders) == {"total": 4, "train": 4, "memory": 0.25}


def test_a_full_case_keeps_its_settings_and_grows() -> None:
    small, full = cases.CASES["mixed"], cases.CASES["mixed"].enlarge()
    assert full.train_clips > small.train_clips
    assert full.seconds == (0.5, 12)
    assert (full.batch_size, full.freeze) == (small.batch_size, small.freeze)
    assert full.length_buckets == small.length_buckets == 32


@pytest.mark.long
def test_every_contender_trains_on_the_same_clips_and_has_a_row() -> None:
    case = cases.Case("tiny", (0.5, 0.5), 8, 4, 1, 4, "features")
    result = runner.compare(case, repeats=1, gpu=False)
    assert result["flops"]["frozen"] > 0
    for run in result["contenders"].values():
        assert run["total_seconds"] > 0
        assert run["peak_memory_mb"] > 100
        assert 0 <= run["accuracy"] <= 1
    text = table.format_result("tiny", result)
    assert text.count("| Trainer, ") == 2
    assert "times as fast" in text
    assert result["part"]["kind"] == "linear layers"
    assert 0 < result["part"]["share_of_matrix_product"] < 1
    assert "largest linear layers" in text
    assert "aten::" in runner.profile(case, gpu=False)
    alone = {**result, "contenders": {"audio_cls": result["contenders"]["audio_cls"]}}
    assert "times as fast" not in table.format_result("tiny", alone)


def test_growth_has_a_row_for_every_number_of_clips() -> None:
    row = {
        "clips": 12.0,
        "prepare_seconds": 1.0,
        "prepare_again_seconds": 0.5,
        "epoch_seconds": 2.0,
        "clips_per_second": 6.0,
        "peak_memory_mb": 600.0,
        "peak_memory_again_mb": 500.0,
        "stream_prepare_seconds": 0.7,
        "stream_epoch_seconds": 3.0,
        "stream_peak_memory_mb": 400.0,
    }
    text = scaling.format_growth([row])
    assert "| 12 | 1.0 | 0.5 | 2.0 | 6 | 600 | 500 | 0.7 | 3.0 | 400 |" in text


@pytest.mark.long
@pytest.mark.usefixtures("forked_children")
def test_growth_is_measured_decoded_again_and_streamed() -> None:
    (row,) = scaling.measure_growth((128,), gpu=False)
    assert row["clips"] == 128
    assert all(value > 0 for value in row.values())
    cells = scaling.format_growth([row]).splitlines()[-1].strip("| ").split(" | ")
    assert cells[0] == "128"
    assert len(cells) == len(row) == len(scaling.COLUMNS)


def test_the_largest_part_is_the_one_with_the_most_trained_arithmetic(tmp_path: Path) -> None:
    random_checkpoints.write_checkpoint("tiny", tmp_path)
    model = AutoModelForAudioClassification.from_pretrained(tmp_path)
    install_fast_kernels(model)
    inputs = {"input_values": torch.randn(2, 16_000)}
    kind, part = profile_step.find_largest_part(model, inputs)
    assert kind == "convolutions over the waveform"
    model.freeze_feature_encoder()
    kind, part = profile_step.find_largest_part(model, inputs)
    assert kind == "linear layers"  # projections, q, k, v, output and feed-forward
    of_a_frame = 16 * 32 + (4 + 2) * 32 * 32 + 32 * 256
    assert part.flops == 2 * (2 * 49 * of_a_frame + 2 * 256 * 2)  # the head sees a frame a clip
    assert profile_step.measure_part(part) > 0


def test_every_preset_that_needs_a_download_can_be_measured() -> None:
    assert set(cases.RECIPES) == set(list_presets()) - {"demo"}


@pytest.mark.long
@pytest.mark.usefixtures("forked_children")
def test_a_preset_is_measured_by_steps_and_over_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = cases.RECIPES["keyword-spotting"].flags
    small = cases.Recipe("tiny", (0.3, 0.3), 64, 8, flags)
    monkeypatch.setitem(preset_cost.RECIPES, "keyword-spotting", small)
    for full in (False, True):
        numbers = preset_cost.measure_preset("keyword-spotting", full=full)
        assert numbers["clips_per_step"] == 32
        assert all(value > 0 for value in numbers.values())
        minutes = small.train_clips / 32 * numbers["step_seconds"] / 60
        assert numbers["epoch_minutes"] == pytest.approx(minutes)
        row = preset_cost.format_row("keyword-spotting", numbers)
        assert row.startswith("| keyword-spotting | tiny | 0.3 s | 32 | ")
        heading = preset_cost.format_heading(full=full)
        assert ("4 steps" in heading) != full
        assert heading.splitlines()[-2].count("|") == row.count("|")
