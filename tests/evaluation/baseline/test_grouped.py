"""Grouped estimate against scikit-learn, and in a run whose lists share speakers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import (
    PredefinedSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_runs import make_config, write_quiet_checkpoint

from audio_cls.data.splits.train_test_split import stratified_folds
from audio_cls.evaluation.baseline.fit import DEFAULT_C
from audio_cls.evaluation.baseline.grouped import grouped_estimate
from audio_cls.linear_probe.regression import MAX_ITERATIONS
from audio_cls.runs.results import read_results
from audio_cls.workflows.train import run_all


def make_speakers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features (120, 6), labels and groups: a speaker has a voice and mostly one class."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 10)
    labels = np.where(rng.random(120) < 0.9, groups % 3, rng.integers(0, 3, 120))
    voices = rng.normal(size=(12, 6))
    features = 3 * voices[groups] + 0.3 * np.eye(6)[labels] + rng.normal(size=(120, 6)) / 3
    return features, labels, np.char.add("s", groups.astype(str))


def test_estimates_are_those_of_scikit_learn() -> None:
    features, labels, groups = make_speakers()
    found = grouped_estimate(features, labels, groups, 3)
    assert found is not None
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=DEFAULT_C, max_iter=MAX_ITERATIONS)
    )
    for score, kind in ((found.shared, StratifiedKFold), (found.grouped, StratifiedGroupKFold)):
        folds = kind(5, shuffle=True, random_state=0)
        used = groups if kind is StratifiedGroupKFold else None
        predicted = cross_val_predict(model, features, labels, groups=used, cv=folds)
        assert score == pytest.approx((predicted == labels).mean())
    assert (found.num_groups, found.num_folds) == (12, 5)
    assert found.gain == found.shared - found.grouped > 0.2


def test_several_labels_and_clips_without_a_group() -> None:
    features, labels, groups = make_speakers()
    targets = np.eye(3, dtype=np.int64)[labels]
    targets[::7] = 1
    found = grouped_estimate(features, targets, groups, 3)
    assert found is not None
    model = make_pipeline(
        StandardScaler(),
        OneVsRestClassifier(LogisticRegression(C=DEFAULT_C, max_iter=MAX_ITERATIONS)),
    )
    for score, by in ((found.shared, None), (found.grouped, groups)):
        folds = PredefinedSplit(stratified_folds(targets, by, 5, seed=0))
        predicted = cross_val_predict(model, features, targets, cv=folds, method="predict_proba")
        assert score == pytest.approx(average_precision_score(targets, predicted), abs=1e-6)
    unknown = np.where(np.arange(120) % 2 == 0, "", groups)
    half = grouped_estimate(features, labels, unknown, 3)
    kept = unknown != ""
    assert half == grouped_estimate(features[kept], labels[kept], groups[kept], 3)
    assert grouped_estimate(features, labels, np.full(120, "one"), 3) is None


def test_a_run_whose_lists_share_speakers_says_by_how_much_it_flatters(
    tone_folder: Path, tmp_path: Path
) -> None:
    lists: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for number, path in enumerate(sorted(tone_folder.rglob("*.wav"))):
        speaker = int(path.stem[-1])  # the last digit; 8 and 9 are tested
        role = "test" if speaker > 7 else "validation" if number % 20 > 9 else "train"
        lists[role].append(path.relative_to(tone_folder).as_posix())
    (tmp_path / "lists").mkdir()
    for role, names in lists.items():
        (tmp_path / "lists" / f"{role}.txt").write_text("\n".join(names), "utf-8")
    checkpoint = write_quiet_checkpoint(tmp_path / "model")
    changes = {"split_files": str(tmp_path / "lists"), "group_pattern": r"([0-9])\.wav"}
    changes |= {"log": "quiet", "max_steps": 1}
    run_all(make_config(tone_folder, checkpoint, tmp_path / "run", **changes))
    results = read_results(tmp_path / "run" / "results.json")
    estimate = results.split_check["grouped_estimate"]
    assert results.split_check["verdict"].startswith("validation shares groups with training")
    assert (estimate["num_groups"], estimate["num_folds"]) == (8, 5)
    assert not results.dataset.is_split_by_group
    texts = results.warnings or []
    (text,) = [one for one in texts if one.startswith("Validation shares 8 groups")]
    assert f"{estimate['shared']:.3f} with shared groups, {estimate['grouped']:.3f} on new" in text
    card = (tmp_path / "run" / "README.md").read_text("utf-8")
    assert card.count("Validation shares 8 groups with training, and test shares none") == 1
    assert "in the same split" not in card
