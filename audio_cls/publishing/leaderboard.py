"""The run's results in the two forms the Hub ranks: model-index and `.eval_results/*.yaml`.

Comes in: a `RunRecord`. Goes out: `EvalResult`s for the card's front matter, and a file of
`EvalResultEntry`. Both take their numbers from results.json and round nothing; both are parsed
again by huggingface_hub before they count as written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry
from huggingface_hub import eval_result_entries_to_yaml as to_yaml_entries
from huggingface_hub import parse_eval_result_entries as parse_entries

from audio_cls.config import DataConfig, select_metrics
from audio_cls.publishing.public_results import load_public_run
from audio_cls.publishing.record import MAX_FRONT_MATTER, RunRecord, to_line

TASK = "audio-classification"
ENTRIES = ".eval_results"  # the folder that the Hub reads entries from


@dataclass(frozen=True)
class MetricName:
    """How the Hub and the card call one of our metrics."""

    hub_type: str  # id at hf.co/metrics where there is one
    title: str
    args: Mapping[str, Any] | None = None


METRIC_NAMES: Mapping[str, MetricName] = {
    "accuracy": MetricName("accuracy", "Accuracy"),
    "balanced_accuracy": MetricName("balanced_accuracy", "Balanced accuracy"),
    "f1_macro": MetricName("f1", "Macro F1", {"average": "macro"}),
    "f1_micro": MetricName("f1", "Micro F1", {"average": "micro"}),
    "f1_weighted": MetricName("f1", "Weighted F1", {"average": "weighted"}),
    "map": MetricName("mean_average_precision", "Mean average precision", {"average": "macro"}),
    "map_micro": MetricName(
        "mean_average_precision", "Micro average precision", {"average": "micro"}
    ),
    "lwlrap": MetricName("lwlrap", "Label-weighted label-ranking average precision"),
    "hamming_loss": MetricName("hamming_loss", "Hamming loss"),
    "uar": MetricName("recall", "Unweighted average recall (UAR)", {"average": "macro"}),
    "precision_macro": MetricName("precision", "Macro precision", {"average": "macro"}),
    "precision_micro": MetricName("precision", "Micro precision", {"average": "micro"}),
    "precision_weighted": MetricName("precision", "Weighted precision", {"average": "weighted"}),
    "recall_macro": MetricName("recall", "Macro recall", {"average": "macro"}),
    "recall_micro": MetricName("recall", "Micro recall", {"average": "micro"}),
    "recall_weighted": MetricName("recall", "Weighted recall", {"average": "weighted"}),
    "roc_auc": MetricName("roc_auc", "ROC AUC"),
    "log_loss": MetricName("log_loss", "Log loss"),
    "eer": MetricName("eer", "Equal error rate"),
    "ece": MetricName("ece", "Expected calibration error"),
    "loss": MetricName("loss", "Loss"),
}


SUBSET = MetricName("accuracy", "Subset accuracy", {"subset": True})  # every label of a clip right


def name_metric(key: str, *, is_multilabel: bool = False) -> MetricName:
    """Return a metric's names; one that is not in the table keeps its key.

    >>> name_metric("top3_accuracy").title
    'Top3 accuracy'
    """
    if is_multilabel and key == "accuracy":
        return SUBSET
    return METRIC_NAMES.get(key) or MetricName(key, key.replace("_", " ").capitalize())


def read_metrics(record: RunRecord, role: str = "test") -> dict[str, float]:
    """Return the metrics of results.json's `test` or `validation`, and no counts or baselines."""
    return select_metrics(record.section(role), record.results.get("metric"))


def is_cut_from_train(record: RunRecord) -> bool:
    """Return whether the test clips were cut from the data set's training split."""
    split = record.section("dataset").get("split") or {}
    train, test = split.get("train") or {}, split.get("test") or {}
    own = test.get("source") or test.get("name")
    return own is not None and own == (train.get("source") or train.get("name"))


def read_split_name(record: RunRecord, role: str) -> str:
    """Return the name of the split that plays a role; a cut from train is called by its role.

    Args:
        record: The run.
        role: "train", "validation" or "test".
    """
    split = record.section("dataset").get("split") or {}
    name = (split.get(role) or {}).get("name") or role
    is_cut = role != "train" and name == (split.get("train") or {}).get("name")
    return to_line(role if is_cut else name, MAX_FRONT_MATTER)


def _read_cut(record: RunRecord) -> dict[str, Any] | None:
    """Say how the test clips were cut from the training split; None for a given split."""
    return {"origin": describe_cut(record)} if is_cut_from_train(record) else None


def describe_cut(record: RunRecord) -> str:
    """Say in one line what the test clips were cut from, and how."""
    test = (record.section("dataset").get("split") or {}).get("test") or {}
    data, defaults = record.settings.get("data", {}), DataConfig()
    method = (
        "by group"
        if data.get("group_column") or data.get("group_pattern")
        else data.get("split_method")
    )
    seed = data.get("split_seed", defaults.split_seed)
    told = test.get("origin") or (
        f"cut from {test.get('name')!r} ({method or defaults.split_method}, seed {seed})"
    )
    return to_line(told, MAX_FRONT_MATTER)


def make_eval_results(record: RunRecord, repo_id: str | None = None) -> list[EvalResult]:
    """Return every test metric for model-index.

    A folder's type holds a space and brackets: it cannot be taken for a data set on the Hub.

    Args:
        record: The run.
        repo_id: Where it is published, when that is known: the source is results.json there.
    """
    dataset, hub_id = record.section("dataset"), record.dataset_hub_id
    config = dataset.get("config")
    shared: dict[str, Any] = {
        "task_type": TASK,
        "task_name": "Audio Classification",
        "dataset_type": hub_id or f"{record.dataset_name} (local folder)",
        "dataset_name": to_line(record.dataset_name, MAX_FRONT_MATTER),
        "dataset_config": to_line(config, MAX_FRONT_MATTER) if config else None,
        "dataset_split": read_split_name(record, "test"),
        "dataset_revision": str(dataset["revision"])
        if hub_id and dataset.get("revision")
        else None,
        "dataset_args": _read_cut(record),
        "source_name": "results.json" if repo_id else None,
        "source_url": f"https://huggingface.co/{repo_id}/blob/main/results.json"
        if repo_id
        else None,
    }
    results = []
    for key, value in read_metrics(record).items():
        name = name_metric(key, is_multilabel=record.is_multilabel)
        results.append(
            EvalResult(
                **shared,
                metric_type=to_line(name.hub_type, MAX_FRONT_MATTER),
                metric_name=to_line(name.title, MAX_FRONT_MATTER),
                metric_args=dict(name.args) if name.args else None,
                metric_value=value,
            )
        )
    return results


def make_notes(record: RunRecord) -> str:
    """Say in one line what the number is: metric, clips, split, interval, who chose the epoch."""
    test, metric = record.section("test"), record.results.get("metric", "accuracy")
    parts = [
        f"{metric} on {test.get('num_examples', '?')} clips of {read_split_name(record, 'test')}"
    ]
    if is_cut_from_train(record):
        parts[0] += " (cut from train)"
    interval = test.get(f"{record.headline_key}_ci95")
    if interval and metric == record.headline_key:
        parts.append(f"95 % interval {interval[0]:.3f} to {interval[1]:.3f}")
    if record.section("dataset").get("is_test_validation"):
        parts.append("validation and test are the same clips")
    return to_line("; ".join(parts), MAX_FRONT_MATTER)


def make_entry(record: RunRecord) -> EvalResultEntry | None:
    """Return the run's entry for the data set's leaderboard.

    None for a folder's data set, or when the metric has no finite value.
    """
    dataset, hub_id = record.section("dataset"), record.dataset_hub_id
    value = read_metrics(record).get(record.results.get("metric", "accuracy"))
    if hub_id is None or value is None:
        return None
    hub = record.settings.get("hub", {})
    date = record.results.get("date") or record.record.get("date")
    return EvalResultEntry(
        dataset_id=hub_id,
        task_id=to_line(hub.get("task_id") or dataset.get("config") or "default", MAX_FRONT_MATTER),
        value=value,
        dataset_revision=str(dataset["revision"]) if dataset.get("revision") else None,
        date=to_line(date, MAX_FRONT_MATTER) if date else None,
        notes=to_line(hub.get("eval_notes") or make_notes(record), MAX_FRONT_MATTER),
    )


def to_entry_text(entry: EvalResultEntry) -> str:
    """Return an entry's YAML; it was read back and says the same."""
    text = str(yaml.safe_dump(to_yaml_entries([entry]), sort_keys=False, allow_unicode=True))
    if parse_entries(yaml.safe_load(text)) != [entry]:
        raise AssertionError("the evaluation result changed on its way through YAML")
    return text


def write_eval_results(run: Path) -> Path | None:
    """Write RUN/.eval_results/<dataset>.yaml. Main process only.

    Args:
        run: The run folder.

    Returns:
        The file; None where there is no entry, see `make_entry`.

    Raises:
        RunFolderError: The folder holds no results.json that can be read.
    """
    entry = make_entry(load_public_run(run))
    if entry is None:
        return None
    path = run / name_entry_file(entry)
    path.parent.mkdir(exist_ok=True)
    path.write_text(to_entry_text(entry), "utf-8")
    return path


def name_entry_file(entry: EvalResultEntry) -> str:
    """Return the place of an entry's file in a run folder and in a repository."""
    return f"{ENTRIES}/{re.sub(r'[^A-Za-z0-9._-]', '_', entry.dataset_id)}.yaml"
