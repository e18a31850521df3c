"""Validation by one window of each clip after an epoch, and by all windows of the best epoch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tiny_models import write_tiny_checkpoint
from tiny_runs import make_config, prepare

from audio_cls.data.loading.datasets import WindowDataset
from audio_cls.distributed.accelerator import start_accelerator
from audio_cls.evaluation.scorer import make_scorer
from audio_cls.evaluation.validate import make_summarizer, make_validator
from audio_cls.workflows.methods.fitted_model import FittedModel


@pytest.mark.parametrize("windows", ["one", "all"])
def test_epochs_score_the_windows_that_are_asked_for_and_the_end_scores_all(
    windows: str, tone_folder: Path, tmp_path: Path
) -> None:
    checkpoint = write_tiny_checkpoint("hubert", tmp_path / "checkpoint")
    values: dict[str, Any] = {"max_seconds": 0.2, "eval_windows": windows}
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", **values)
    clips, audio_model = prepare(cfg)
    scorer = make_scorer(audio_model, cfg, start_accelerator(cfg.train))
    all_windows = WindowDataset(clips.validation, cfg.audio).windows
    assert len(all_windows) > len(clips.validation)
    assert scorer.has_long_clips(clips.validation)

    scored: list[int] = []
    network: Any = audio_model.model
    network.register_forward_hook(lambda _model, _args, output: scored.append(len(output.logits)))
    validate = make_validator(scorer, clips.validation, cfg.eval)
    after_epoch = validate(network)
    assert sum(scored) == (len(clips.validation) if windows == "one" else len(all_windows))

    summarize = make_summarizer(cfg.eval, scorer.labels, clips.validation)
    expected = summarize(scorer.score(network, clips.validation))
    fitted = FittedModel(
        model=network,
        scorer=scorer,
        validation=clips.validation,
        test=clips.test,
        validation_metrics={**after_epoch, "epoch": 2.0},
        describe_timing=mock.Mock(),
        close=mock.Mock(),
        summarize=summarize,
    )
    final = fitted.score_validation()
    assert final.validation_metrics == {**expected, "epoch": 2.0}
    assert final.validation_scores is not None
    assert (after_epoch["loss"] == expected["loss"]) == (windows == "all")
    same = dataclasses.replace(fitted, summarize=None)
    assert same.score_validation() is same


def test_clips_of_one_window_each_are_not_scored_again(tone_folder: Path, tmp_path: Path) -> None:
    checkpoint = write_tiny_checkpoint("hubert", tmp_path / "checkpoint")
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", max_seconds=9.0)
    clips, audio_model = prepare(cfg)
    scorer = make_scorer(audio_model, cfg, start_accelerator(cfg.train))
    assert not scorer.has_long_clips(clips.validation)
