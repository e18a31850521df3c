"""Whole runs of --method auto on tones: choice, files, one test, continuation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import make_config, write_quiet_checkpoint

from audio_cls.config import RunConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.errors import SettingError, TrainingError
from audio_cls.evaluation.baseline.report import NAME
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.scorer import Scorer
from audio_cls.run_warnings import collect_warnings
from audio_cls.runs.open_folder import is_finished
from audio_cls.runs.records.candidates import CandidateRow
from audio_cls.runs.results import RunResults, read_results
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.workflows.methods.auto import halving
from audio_cls.workflows.methods.auto.baseline import warn_if_baseline_is_better
from audio_cls.workflows.methods.auto.candidate import Progress, train_candidate
from audio_cls.workflows.train import run_training

SETTINGS: dict[str, Any] = {"method": "auto", "epochs": 3, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny HuBERT."""
    return write_quiet_checkpoint(tmp_path_factory.mktemp("model") / "hubert")


def _interrupt_second(
    cfg: RunConfig,
    shared: MethodInputs,
    *args: Any,  # noqa: ANN401
    **options: Any,  # noqa: ANN401
) -> Progress:
    """Train the first candidate; at the second one, act as Ctrl-C does."""
    if str(cfg.train.output_dir).endswith("fine-tune-2"):
        raise KeyboardInterrupt
    return train_candidate(cfg, shared, *args, **options)


@pytest.fixture(scope="module")
def scored(
    tone_folder: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[int]]:
    """Do a run that is interrupted and continued.

    Returns:
        Its folder, and the number of clips of each call of the scorer, in both starts.
    """
    folder = tmp_path_factory.mktemp("auto") / "run"
    calls: list[int] = []
    score = Scorer.score

    def record(self: Scorer, model: torch.nn.Module, clips: Clips) -> Scores:
        calls.append(len(clips))
        return score(self, model, clips)

    changes = {**SETTINGS, "validation_size": 0.2, "test_size": 0.15}
    cfg = make_config(tone_folder, checkpoint, folder, **changes)
    again = make_config(tone_folder, checkpoint, folder, **changes, resume="auto")
    summary = folder / "candidates" / "fine-tune-1" / "summary.csv"
    with (
        mock.patch("audio_cls.workflows.train.draw_figures"),
        mock.patch.object(Scorer, "score", record),
    ):
        with (
            mock.patch.object(halving, "train_candidate", _interrupt_second),
            pytest.raises(KeyboardInterrupt),
        ):
            run_training(cfg)
        before = summary.read_text()
        with mock.patch("audio_cls.workflows.methods.auto.auto.run_linear_probe") as probe:
            run_training(again)
    probe.assert_not_called()
    assert summary.read_text().startswith(before)  # with the times of its first start
    return folder, calls


def _read(folder: Path) -> RunResults:
    return read_results(folder / "results.json")


def test_every_candidate_is_listed_with_its_validation_figures(
    scored: tuple[Path, list[int]],
) -> None:
    results = _read(scored[0])
    assert results.candidates is not None
    rows = {one.name: one for one in results.candidates.rows}
    assert {"probe", "interpolation", "fine-tune-1", "fine-tune-2"} <= rows.keys()
    assert sum(bool(one.is_kept) for one in rows.values()) == 1
    for one in rows.values():
        assert one.log_loss is not None
        assert one.seconds is not None
        assert one.metrics.keys() == rows["probe"].metrics.keys() >= {"accuracy", "log_loss"}
    compared = [one for one in rows.values() if one.difference is not None]
    assert min(one.difference or 0.0 for one in compared) == 0
    kept = results.candidates.kept
    assert kept.difference is not None
    assert kept.difference <= (kept.standard_error or 0.0)
    assert results.validation["accuracy"] == kept.metrics["accuracy"]
    assert results.timing.train_seconds == pytest.approx(
        sum(one.seconds or 0.0 for one in rows.values() if not one.is_baseline), abs=0.05
    )


def test_the_plain_baseline_of_the_run_is_a_row(scored: tuple[Path, list[int]]) -> None:
    results = _read(scored[0])
    assert results.candidates is not None
    row = results.candidates.rows[-1]
    assert (row.name, row.is_baseline, row.is_kept) == ("log-mel + LR", True, False)
    assert row.metrics["accuracy"] == results.baseline.validation
    assert row.log_loss == pytest.approx(row.metrics["loss"], abs=1e-5)  # there are no groups
    assert row.note == f"baseline, is never kept: {NAME}, C {results.baseline.c:g}"


def test_a_warning_says_that_the_baseline_has_the_lower_loss() -> None:
    texts = collect_warnings()
    kept, plain = CandidateRow(log_loss=0.5), CandidateRow(log_loss=0.6)
    warn_if_baseline_is_better(kept, plain, "validation")
    assert texts == []
    warn_if_baseline_is_better(plain, plain, "8 held-out training clips")
    assert texts[0].startswith("The log loss of the kept model on 8 held-out training clips, 0.60")


def test_the_test_clips_are_scored_once(scored: tuple[Path, list[int]]) -> None:
    folder, calls = scored
    num_test, num_validation = (
        len((folder / "splits" / f"{role}.txt").read_text().split())
        for role in ("test", "validation")
    )
    assert num_test != num_validation
    assert calls.count(num_test) == 1
    assert calls[-1] == num_test


def test_the_saved_model_is_the_kept_candidate(scored: tuple[Path, list[int]]) -> None:
    """Its encoder is that of the start if it is the probe; fine-tuning begins with that model."""
    folder = scored[0]
    kept = (_read(folder).candidates or pytest.fail("none")).kept.name
    assert is_finished(folder)
    weights = load_file(folder / "model.safetensors")
    start = load_file(folder / "candidates" / "start" / "model.safetensors")
    assert weights.keys() == start.keys()
    encoder = [name for name in weights if not name.startswith(("projector", "classifier"))]
    assert len(encoder) > 10
    same = all(torch.equal(weights[name], start[name]) for name in encoder)
    assert same == (kept == "probe")
    settings = (folder / "candidates" / "fine-tune-1" / "run_config.yaml").read_text()
    assert f"{folder.name}/candidates/start" in settings


def test_candidates_keep_settings_and_tables_but_no_weights(
    scored: tuple[Path, list[int]],
) -> None:
    base = scored[0] / "candidates"
    for name in ("fine-tune-1", "fine-tune-2"):
        files = {path.name for path in (base / name).iterdir()}
        assert {"run_config.yaml", "summary.csv"} <= files
        assert not {"checkpoints", "epochs", "model.safetensors", "README.md"} & files
        assert "predictions.csv" not in files
    steps = [
        len((base / f"fine-tune-{n}" / "summary.csv").read_text().splitlines()) for n in (1, 2)
    ]
    assert sorted(steps) == [2, 3]  # header and evaluations: one epoch, and two


def test_a_candidate_that_fails_costs_no_other(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> Progress:
        raise TrainingError("The loss is NaN.")

    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", baseline="no", **SETTINGS)
    with (
        mock.patch("audio_cls.workflows.train.draw_figures"),
        mock.patch.object(halving, "train_candidate", fail),
    ):
        run_training(cfg)
    results = _read(tmp_path / "run")
    assert results.candidates is not None
    assert results.candidates.kept.name == "probe"
    assert [one.log_loss for one in results.candidates.rows[1:]] == [None, None]
    assert any("The loss is NaN" in text for text in results.warnings or [])


def test_the_losses_in_its_folder_are_those_of_the_table(scored: tuple[Path, list[int]]) -> None:
    folder = scored[0]
    tree = json.loads((folder / "candidates/probe/validation.json").read_text())
    rows = (_read(folder).candidates or pytest.fail("none")).rows
    assert rows[0].log_loss == pytest.approx(np.mean(tree["losses"]), abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"from_scratch": True}, "needs a pretrained --model.*: give --method fine-tune"),
        ({"refit": True, "folds": 3, "fold_validation": "none"}, "leaves no validation clips"),
        ({"freeze": "backbone"}, "--method probe, which trains the head alone"),
        ({"keep_checkpoints": 3}, "--keep-checkpoints 3 has no effect"),
        ({"resume": "run/checkpoints/step-3"}, "give --resume auto"),
        ({"streaming": True, "max_steps": 5}, "--method auto"),
    ],
)
def test_what_auto_cannot_do_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingError, match=text):
        RunConfig.from_flat({"dataset": "clips", "method": "auto", **changes})
