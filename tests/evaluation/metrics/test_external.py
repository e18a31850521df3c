"""External metrics, and the epoch that a metric chooses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hub_server import HubServer
from made_scores import make_scores

from audio_cls.config import EvalConfig
from audio_cls.errors import SettingError
from audio_cls.evaluation.metrics.external import load_metric
from audio_cls.evaluation.metrics.single_label import SINGLE_LABEL_METRICS
from audio_cls.evaluation.reports.report import report_scores
from audio_cls.evaluation.validate import summarize_scores

MODULE = '''
import datasets
import evaluate

class Wrong(evaluate.Metric):
    """Share of clips that are wrong."""

    def _info(self):
        whole = datasets.Value("int64")
        features = datasets.Features({"predictions": whole, "references": whole})
        return evaluate.MetricInfo(
            description="", citation="", inputs_description="", features=features
        )

    def _compute(self, predictions, references):
        wrong = sum(p != r for p, r in zip(predictions, references))
        return RESULT
'''


def write_module(folder: Path, result: str) -> Path:
    """Write a module of `evaluate` that returns the given expression."""
    path = folder / "share_wrong" / "share_wrong.py"
    path.parent.mkdir(parents=True)
    path.write_text(MODULE.replace("RESULT", result), "utf-8")
    return path


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_module_on_this_disk_chooses_and_is_reported_by_its_name(
    place: str, tmp_path: Path
) -> None:
    path = write_module(tmp_path / place, '{"share_wrong": wrong / len(predictions), "extra": 3}')
    cfg = EvalConfig(metric=str(path if place == "file" else path.parent), metric_goal="min")
    scores = make_scores()
    found = summarize_scores(scores, cfg.metric_key, load_metric(cfg, 3))
    assert found["share_wrong"] == pytest.approx(1 - found["accuracy"], abs=1e-6)
    assert cfg.to_objective(found) == -found["share_wrong"]
    report = report_scores(scores, ("a", "b", "c"), cfg, None)
    assert report["share_wrong"] == pytest.approx(found["share_wrong"], abs=1e-4)


def test_a_module_that_returns_several_nameless_numbers_is_refused_at_once(tmp_path: Path) -> None:
    path = write_module(tmp_path, '{"a": 1.0, "b": 2.0}')
    with pytest.raises(SettingError, match=r"cannot be computed for 3 labels.*2 numbers"):
        load_metric(EvalConfig(metric=str(path)), 3)


def test_an_unknown_metric_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(SettingError, match="Did you mean f1_macro") as caught:
        load_metric(EvalConfig(metric="f1_makro"), 3)
    assert "balanced_accuracy" in str(caught.value)


@pytest.mark.parametrize(("name", "num_labels"), [("eer", 3), ("top3_accuracy", 3)])
def test_a_metric_that_does_not_suit_the_number_of_labels_is_refused(
    name: str, num_labels: int
) -> None:
    with pytest.raises(SettingError, match=f"this task has {num_labels}"):
        load_metric(EvalConfig(metric=name), num_labels)


def test_every_metric_of_the_package_can_choose_the_epoch() -> None:
    for num_labels in (2, 8):
        scores = make_scores(80, num_labels)
        for name in (
            name for name, metric in SINGLE_LABEL_METRICS.items() if metric.suits(num_labels)
        ):
            cfg = EvalConfig(metric=name)
            found = summarize_scores(scores, cfg.metric_key, load_metric(cfg, num_labels))
            assert np.isfinite(cfg.to_objective(found))


def test_errors_are_better_when_they_are_smaller_and_scores_when_larger() -> None:
    for name in ("log_loss", "ece", "eer", "loss"):
        cfg = EvalConfig(metric=name)
        assert cfg.to_objective({name: 0.1}) > cfg.to_objective({name: 0.2})
    assert EvalConfig().to_objective({"accuracy": 0.2}) > EvalConfig().to_objective(
        {"accuracy": 0.1}
    )


def test_an_undefined_metric_never_beats_a_defined_one() -> None:
    for name in ("roc_auc", "log_loss"):
        cfg = EvalConfig(metric=name)
        assert cfg.to_objective({name: float("nan")}) < cfg.to_objective({name: 0.9})


FROM_HUB = """
import numpy as np
from audio_cls.config import EvalConfig
from audio_cls.evaluation.metrics.external import load_metric
from audio_cls.evaluation.scorer import Scores
metric = load_metric(EvalConfig(metric="tester/half"), 3)
print(metric(Scores(np.array(list("abcd")), np.array([0, 1, 2, 2]), np.eye(3)[[0, 1, 1, 1]])))
"""
HALF = """
import datasets
import evaluate


class Half(evaluate.Metric):
    def _info(self):
        kinds = {name: datasets.Value("int64") for name in ("predictions", "references")}
        return evaluate.MetricInfo(description="", citation="", features=datasets.Features(kinds))

    def _compute(self, predictions, references):
        right = sum(p == r for p, r in zip(predictions, references))
        return {"half": right / len(references) / 2}
"""


def test_a_metric_of_the_hub_is_loaded_by_its_id(hub: HubServer, tmp_path: Path) -> None:
    hub.seed("spaces", "tester/half", {"half.py": HALF, "README.md": "---\nsdk: gradio\n---\n"})
    environment = {
        **os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", FROM_HUB],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) == 0.25
