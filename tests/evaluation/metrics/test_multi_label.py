"""Several labels a clip: metrics against scikit-learn, thresholds, files, temperature, pictures."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_scores import make_metadata
from sklearn import metrics as reference

from audio_cls.config import EvalConfig
from audio_cls.data.labels.labels import Labels
from audio_cls.errors import DatasetError, ModelError, RunFolderError, SettingError
from audio_cls.evaluation.compare_runs import compare_runs
from audio_cls.evaluation.evaluate_model import recompute
from audio_cls.evaluation.label_mapping import match_labels
from audio_cls.evaluation.metrics.calibration import calibrate
from audio_cls.evaluation.metrics.external import load_metric
from audio_cls.evaluation.metrics.multi_label import MULTI_LABEL_METRICS
from audio_cls.evaluation.metrics.registry import compute_metrics
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.thresholds import tune_threshold
from audio_cls.evaluation.reports.predictions_file import read_predictions, write_predictions
from audio_cls.evaluation.reports.report import report_scores, write_report
from audio_cls.evaluation.validate import fit_calibration
from audio_cls.inference.aggregation import MIN_PROBABILITY, aggregate_windows
from audio_cls.runs.results import RunResults

NAMES = ("a;b", "c\\", "dog", "rare")


def make_multilabel_scores(
    num_clips: int = 80, seed: int = 0, decimals: int = 6, *, has_all: bool = True
) -> Scores:
    """Return scores of four labels that favour the truth; the last label may have no clip."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((num_clips, 4)) < (0.5, 0.3, 0.4, 0.1 * has_all)).astype(np.int64)
    logits = rng.normal(size=labels.shape) + 1.5 * labels - 1
    ids = np.array([f"clip-{number}" for number in range(num_clips)])
    return Scores(ids, labels, (1 / (1 + np.exp(-logits))).round(decimals))


def expect(key: str, scores: Scores) -> float:
    """Compute a metric by scikit-learn."""
    true, predicted, given = scores.targets, scores.predictions, scores.probabilities
    kind, _, average = key.partition("_")
    has = true.any(axis=0)
    if kind in ("f1", "precision", "recall"):
        function = getattr(reference, f"{kind}_score")
        return float(function(true, predicted, average=average, zero_division=0))
    if key in ("map", "map_micro"):
        kept = has if key == "map" else np.ones(4, dtype=np.bool_)
        average = "macro" if key == "map" else "micro"
        return float(
            reference.average_precision_score(true[:, kept], given[:, kept], average=average)
        )
    if key == "lwlrap":
        weights = true.sum(axis=1)
        rows = weights > 0
        ranked = reference.label_ranking_average_precision_score
        return float(ranked(true[rows], given[rows], sample_weight=weights[rows]))
    if key == "log_loss":
        own = np.clip(given, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        losses = [
            reference.log_loss(t, p, labels=[0, 1]) for t, p in zip(true.T, own.T, strict=True)
        ]
        return float(np.mean(losses))
    if key == "roc_auc":
        return float(reference.roc_auc_score(true[:, has], given[:, has], average="macro"))
    if key == "hamming_loss":
        return float(reference.hamming_loss(true, predicted))
    return float(reference.accuracy_score(true, predicted))


@pytest.mark.parametrize("decimals", [6, 1])
@pytest.mark.parametrize("has_all", [True, False])
def test_every_metric_is_scikit_learns(decimals: int, has_all: bool) -> None:  # noqa: FBT001
    scores = make_multilabel_scores(decimals=decimals, has_all=has_all).with_tuned_thresholds()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for key, value in compute_metrics(scores).items():
            if key != "ece":
                exactness = 1e-7 if key == "log_loss" else 1e-12  # the reference clips a sure 1
                assert value == pytest.approx(expect(key, scores), abs=exactness), key


def test_macro_averages_count_a_label_that_occurs_nowhere_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(18)
    for _ in range(40):
        shape = (int(rng.integers(1, 12)), int(rng.integers(2, 6)))
        true, given = (rng.random(shape) < 0.3).astype(np.int64), rng.random(shape).round(2)
        absent = rng.random(shape[1]) < 0.4
        true[:, absent], given[:, absent] = 0, 0.0
        predicted = Scores(np.arange(shape[0]).astype(str), true, given).predictions
        for kind in ("f1", "precision", "recall"):
            function = getattr(reference, f"{kind}_score")
            for average in ("macro", "weighted", "micro"):
                expected = function(true, predicted, average=average, zero_division=0)
                found = MULTI_LABEL_METRICS[f"{kind}_{average}"].function(true, predicted)
                assert found == pytest.approx(expected, abs=1e-12)


def test_scores_that_are_not_finite_are_refused_and_never_label_0() -> None:
    ids = np.array(["a", "b"])
    for bad in (np.nan, np.inf):
        with pytest.raises(ModelError, match=r"1 of 2 clips are not finite \(first: b\)"):
            Scores(ids, np.array([1, 1]), np.array([[0.2, 0.8], [bad, 0.5]]))


def test_the_calibration_error_is_the_gap_of_each_bin() -> None:
    labels, given = np.array([[1, 0], [1, 0]]), np.array([[0.9, 0.1], [0.9, 0.1]])
    found = compute_metrics(Scores(np.array(["a", "b"]), labels, given), ["ece"])
    assert found["ece"] == pytest.approx(0.1)


def test_a_tuned_threshold_has_the_best_f1_there_is() -> None:
    for seed in range(5):
        scores = make_multilabel_scores(40, seed, decimals=2)
        own, given = scores.targets[:, 0] > 0, scores.probabilities[:, 0]
        best = max(reference.f1_score(own, given >= line) for line in np.unique(given))
        found = reference.f1_score(own, given >= tune_threshold(own, given))
        assert found == pytest.approx(best)
    close = tune_threshold(np.array([True, False]), np.array([0.500001, 0.5]))
    assert close == 0.500001  # half-way would be rounded below
    assert tune_threshold(np.zeros(2, dtype=bool), np.array([0.9, 0.1])) == 0.5


def test_predictions_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    scores = make_multilabel_scores(has_all=False).with_tuned_thresholds()
    write_predictions(tmp_path / "predictions.csv", scores, NAMES)
    again, names = read_predictions(tmp_path / "predictions.csv")
    assert names == NAMES and again.is_multilabel
    np.testing.assert_array_equal(again.targets, scores.targets)
    np.testing.assert_array_equal(again.predictions, scores.predictions)
    np.testing.assert_array_equal(again.probabilities, scores.probabilities)
    assert compute_metrics(again) == compute_metrics(scores)


def test_a_line_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text("id,label,prediction,a,b\n1,a;x,a,0.9,0.9\n")
    with pytest.raises(RunFolderError, match=r"Line 2 .*'x'"):
        read_predictions(path)
    path.write_text("id,label,prediction,a,b\n1,a,a,0.3,0.9\n2,a,,0.9,0.2\n")
    with pytest.raises(RunFolderError, match="predicted at a lower score"):
        read_predictions(path)


def test_the_report_has_every_label_and_names_those_without_a_clip(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scores = make_multilabel_scores(has_all=False).with_tuned_thresholds()
    found = report_scores(scores, NAMES, EvalConfig(), make_metadata(80, num_groups=9))
    assert found["map_ci95"][0] < found["map"] < found["map_ci95"][1]
    assert found["untested_labels"] == ["rare"] and "1 of 4 classes has no clip" in caplog.text
    assert set(found["per_class"]["dog"]) == {
        *("precision", "recall", "f1", "support", "threshold", "average_precision")
    }
    assert "average_precision" not in found["per_class"]["rare"]
    assert list(found["per_class"])[-1] == "rare" and found["per_class"]["rare"]["recall"] is None
    assert found["per_class"]["dog"]["threshold"] == scores.label_thresholds[2]
    mistake = found["confident_mistakes"][0]
    assert (mistake["label"] == "") != (mistake["prediction"] == "")
    assert found["by_group"] and set(MULTI_LABEL_METRICS) <= set(found)


def test_everything_is_computed_again_from_the_files(tmp_path: Path) -> None:
    scores, metadata = make_multilabel_scores().with_tuned_thresholds(), make_metadata(80)
    results = RunResults(
        labels=list(NAMES), test=report_scores(scores, NAMES, EvalConfig(), metadata)
    )
    (tmp_path / "a").mkdir()
    write_report(tmp_path / "a", results, scores, metadata)
    recompute(tmp_path / "a" / "predictions.csv", tmp_path / "b", EvalConfig(), tmp_path / "a")
    again = json.loads((tmp_path / "b" / "results.json").read_text())
    assert again["metric"] == "map"
    for key in ("map", "f1_macro", "map_ci95", "by_duration"):
        assert again["test"][key] == json.loads(json.dumps(results.test[key]))
    report = again["comparison"]
    assert report["map_difference"] == 0 and report["mcnemar_p"] == 1
    drawn = {path.name for path in (tmp_path / "b" / "figures").iterdir()}
    assert drawn == {"labels.png", "reliability.png", "durations.png"}


def test_a_better_run_is_seen_whatever_the_order_of_its_columns(tmp_path: Path) -> None:
    scores = make_multilabel_scores()
    poor = replace(scores, probabilities=make_multilabel_scores(seed=5).probabilities)
    order = [2, 0, 3, 1]
    shuffled = replace(
        poor, targets=poor.targets[:, order], probabilities=poor.probabilities[:, order]
    )
    path = tmp_path / "predictions.csv"
    write_predictions(path, shuffled, [NAMES[n] for n in order])
    found = compare_runs(scores, NAMES, path, None)
    assert found["map_other"] == pytest.approx(compute_metrics(poor, ["map"])["map"], abs=1e-6)
    assert found["map_difference_ci95"][0] > 0
    write_predictions(path, poor, ["x", *NAMES[1:]])
    with pytest.raises(RunFolderError, match=r"other (labels|true labels)"):
        compare_runs(scores, NAMES, path, None)


def test_a_temperature_changes_no_prediction_and_lowers_the_loss() -> None:
    scores = make_multilabel_scores(300).with_tuned_thresholds()
    logits = np.log(scores.probabilities / (1 - scores.probabilities))
    sharp = (1 / (1 + np.exp(-4 * logits))).round(6)
    overconfident = replace(scores, probabilities=sharp).with_tuned_thresholds()
    calibration = fit_calibration(overconfident)
    assert calibration.thresholds is not None and calibration.temperature > 2
    scaled = calibrate(overconfident, calibration.temperature)
    assert scaled.loss < overconfident.loss
    np.testing.assert_array_equal(scaled.predictions, overconfident.predictions)


def test_the_metric_of_auto_is_map_and_those_of_one_label_are_refused() -> None:
    scores = make_multilabel_scores().with_tuned_thresholds()
    for name in ("auto", "map", "f1_macro", "loss"):
        metric = load_metric(EvalConfig(metric=name), 4, is_multilabel=True)
        key = {"auto": "map", "loss": "log_loss"}.get(name, name)
        assert metric(scores) == compute_metrics(scores, [key])[key]
    with pytest.raises(SettingError, match="is for one label per clip"):
        load_metric(EvalConfig(metric="balanced_accuracy"), 4, is_multilabel=True)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean-logit", [0.5, 1 / (1 + np.exp(-1))]),
        ("mean-probability", [0.5, 0.5 * (1 / (1 + np.exp(-3)) + 1 / (1 + np.exp(1)))]),
        ("max", [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-3))]),
        ("vote", [0.5, 0.5]),
        ("first", [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-3))]),
    ],
)
def test_windows_of_several_labels_do_not_compete(how: str, expected: list[float]) -> None:
    logits = np.array([[2.0, 3.0], [-2.0, -1.0]])
    np.testing.assert_allclose(aggregate_windows(logits, how, is_multilabel=True), expected)


def test_labels_are_matched_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    targets = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]], np.float32)
    given = Labels("tags", ("Dog", "zebra", "cat"), {"test": np.array([0, 1, 3, 2])},
                   {"test": targets})  # fmt: skip
    found = match_labels(given, ("cat", "dog", "owl"), {})
    assert found.labels.targets is not None and found.unmatched == {"zebra": 2}
    np.testing.assert_array_equal(
        found.labels.targets["test"], [[0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0]]
    )
    assert found.labels.ids["test"].tolist() == [1, -1, 3, 0]  # only zebra: left out; none: kept
    assert "lacks these labels of the model: owl" in caplog.text
    with pytest.raises(DatasetError, match="None of the data set's labels"):
        match_labels(given, ("x", "y"), {})
