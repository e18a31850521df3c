"""Comparison with the plain baseline: the table of results.json, and when there is a warning."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_scores import make_metadata, make_scores
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from audio_cls.config import RunConfig
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.evaluation.baseline.fit import FittedBaseline
from audio_cls.evaluation.baseline.report import (
    fit_run_baseline,
    report_baseline,
    warn_if_not_better,
)
from audio_cls.evaluation.compare_runs import compare_runs
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports.predictions_file import write_predictions
from audio_cls.run_warnings import collect_warnings
from audio_cls.runs.results import Baseline, RunResults

CFG = RunConfig.from_flat({"dataset": "x"})
NAMES = ("a", "b", "c")


def make_fitted(test: Scores, validation: Scores | None = None) -> FittedBaseline:
    """Return a baseline with these scores."""
    return FittedBaseline(validation, test, 0.1, 50, 60, 1.234)


def make_multilabel(seed: int) -> Scores:
    """Return scores of 40 clips with three labels."""
    rng = np.random.default_rng(seed)
    targets = (np.random.default_rng(0).random((40, 3)) < 0.4).astype(np.int64)
    probabilities = (rng.random((40, 3)) + 0.5 * targets).clip(0, 1.5) / 1.5
    return Scores(np.arange(40).astype(str), targets, probabilities.round(6))


@pytest.mark.parametrize("num_groups", [None, 8])
def test_the_difference_is_that_of_two_compared_runs(
    num_groups: int | None, tmp_path: Path
) -> None:
    scores = make_scores()
    other = replace(scores, probabilities=np.roll(scores.probabilities, 7, axis=0))
    metadata = make_metadata(num_groups=num_groups)
    found = report_baseline(make_fitted(other, other), scores, metadata.groups, CFG)
    write_predictions(tmp_path / "predictions.csv", other, NAMES)
    compared = compare_runs(scores, NAMES, tmp_path, metadata)
    assert found.difference == compared["accuracy_difference"]
    assert found.difference_ci95 == compared["accuracy_difference_ci95"]
    assert found.test == pytest.approx(accuracy_score(other.targets, other.predictions), abs=1e-6)
    f1 = f1_score(other.targets, other.predictions, average="macro")
    assert found.test_f1_macro == pytest.approx(f1, abs=1e-6)
    assert found.validation == found.test and found.test_ci95 is not None
    assert found.test_ci95[0] < found.test < found.test_ci95[1]
    assert (found.metric, found.c, found.seconds) == ("accuracy", 0.1, 1.23)
    assert (found.num_train, found.num_available) == (50, 60)
    tree = RunResults(baseline=found).to_json()
    assert RunResults.from_json(tree).baseline == found
    assert "baseline" not in RunResults().to_json()


def test_several_labels_are_compared_by_mean_average_precision() -> None:
    scores, other = make_multilabel(1), make_multilabel(2)
    found = report_baseline(make_fitted(other), scores, None, CFG)
    both = [average_precision_score(s.targets, s.probabilities) for s in (scores, other)]
    assert found.metric == "map" and found.validation is None
    assert found.test == pytest.approx(both[1], abs=1e-6)
    assert found.difference == pytest.approx(both[0] - both[1], abs=1e-6)
    assert found.difference_ci95 is not None
    assert found.difference_ci95[0] < found.difference < found.difference_ci95[1]
    none = replace(other, targets=np.zeros_like(other.targets))
    untested = report_baseline(make_fitted(none), none, None, CFG)
    assert (untested.test, untested.difference) == (None, None)


@pytest.mark.parametrize(
    ("difference", "interval", "text"),
    [
        (0.2, [0.1, 0.3], None),
        (0.2, [-0.1, 0.5], "The 60 test clips do not show that the model is better than a plain"),
        (-0.1, [-0.2, 0.0], "The model is not better than a plain baseline"),
        (0.0, None, "The model is not better"),
        (0.5, [-0.1, 1.0], None),  # all test clips are predicted correctly
        (None, None, None),
    ],
)
def test_a_model_that_is_not_better_has_one_warning(
    difference: float | None, interval: list[float] | None, text: str | None
) -> None:
    texts = collect_warnings()
    baseline = Baseline(
        metric="accuracy", test=0.5, difference=difference, difference_ci95=interval
    )
    for _ in range(2):
        warn_if_not_better(baseline, 60, CFG)
    assert len(texts) == (text is not None)
    if text is not None:
        assert texts[0].startswith(text) and "--freeze backbone" in texts[0]
        assert "--method auto" in texts[0]
        for changes in ({"freeze": "backbone"}, {"method": "probe"}, {"method": "auto"}):
            warn_if_not_better(baseline, 60, RunConfig.from_flat({"dataset": "x", **changes}))
        assert "--freeze backbone" not in texts[1] and "--learning-rate" in texts[1]
        assert "Try --method auto or another --model" in texts[2]
        assert "Try another --model" in texts[3]
        for method in ("probe", "fine-tune"):
            random = RunConfig.from_flat({"dataset": "x", "method": method, "from_scratch": True})
            warn_if_not_better(baseline, 60, random)
            assert "a pretrained --model" in texts[-1] and "--method auto" not in texts[-1]


def fit(caplog: pytest.LogCaptureFixture, *, is_main: bool = True, **settings: Any) -> object:  # noqa: ANN401
    """Call with streamed training clips."""
    accelerator: Any = SimpleNamespace(is_main_process=is_main, wait_for_everyone=lambda: None)
    clips: Any = SimpleNamespace(train=StreamClips.__new__(StreamClips))
    with caplog.at_level(logging.INFO, logger="audio_cls"):
        cfg = RunConfig.from_flat({"dataset": "x", **settings})
        return fit_run_baseline(cfg, accelerator, clips, NAMES)


def test_no_baseline_of_streamed_clips_in_a_dry_run_or_if_switched_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for settings in ({"baseline": "no"}, {"dry_run": True}, {"is_main": False}):
        assert fit(caplog, **settings) is None
    assert caplog.messages == []
    assert fit(caplog) is None
    assert caplog.messages == ["baseline: none, because the training clips are streamed"]
    assert report_baseline(None, make_scores(), None, CFG) == Baseline()
