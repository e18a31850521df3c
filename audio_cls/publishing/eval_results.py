"""Evaluation results for the Hub: model-index and `.eval_results/*.yaml`.

`EvalResult`s are for the card's front matter, an `EvalResultEntry` for a separate file. Their
values are those of results.json, not rounded. Both are parsed by huggingface_hub before they are
written.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry
from huggingface_hub import eval_result_entries_to_yaml as to_yaml_entries
from huggingface_hub import parse_eval_result_entries as parse_entries

from audio_cls.config import select_metrics
from audio_cls.publishing.metric_names import name_metric
from audio_cls.publishing.redaction.results import load_public_run
from audio_cls.publishing.run_record import MAX_FRONT_MATTER, RunRecord, single_line
from audio_cls.publishing.split_description import describe_part, is_given, read_split_name
from audio_cls.runs.results import SplitDescription
from audio_cls.storage.files import replace_file

TASK = "audio-classification"
ENTRIES = ".eval_results"  # the folder that the Hub reads entries from
# In an entry's notes and in model-index's `args`: the epoch was chosen on the test clips.
SAME_CLIPS = "validation and test are the same clips"
SAME_CLIPS_ARG = "test_is_validation"
# Metrics of the card's table and of model-index; results.json has all.
MAIN_METRICS = ("accuracy", "balanced_accuracy", "f1_macro", "log_loss", "ece")
MULTI_LABEL_MAIN_METRICS = ("map", "f1_macro", "f1_micro", "hamming_loss", "log_loss")


def read_metrics(record: RunRecord, role: str = "test") -> dict[str, float]:
    """Return the metrics of results.json's `test` or `validation`, without counts and baselines."""
    part = record.results.test if role == "test" else record.results.validation
    return select_metrics(part, record.results.metric)


def read_main_metrics(record: RunRecord, role: str = "test") -> dict[str, float]:
    """Return the five metrics of the card, and that of `--metric` if it is another one."""
    known = read_metrics(record, role)
    main = MULTI_LABEL_MAIN_METRICS if record.is_multilabel else MAIN_METRICS
    chosen = record.results.metric or ""
    return {key: known[key] for key in dict.fromkeys((*main, chosen)) if key in known}


def identify_run(record: RunRecord) -> str | None:
    """Return an id that is the same for a run and its published copy.

    It is a hash of the data set, the base model, the labels, the seed and the validation results
    of the saved epoch; the test results of a run without validation clips. None for a record of no
    training, such as that of `audio-cls evaluate`.
    """
    if not record.results.validation:
        return None
    dataset, model, none = record.results.dataset, record.results.model, SplitDescription()
    roles, validation = ("train", "validation", "test"), record.results.validation
    if not read_metrics(record, "validation"):
        validation = {**validation, **read_metrics(record)}
    content = [
        [dataset.id, dataset.config, dataset.revision, dataset.label_column],
        [model.id, model.revision],
        record.labels,
        record.results.metric,
        record.settings.get("train", {}).get("seed"),
        [dataset.split.get(role, none).num_examples for role in roles],
        sorted((key, value) for key, value in validation.items() if isinstance(value, int | float)),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _make_dataset_args(record: RunRecord) -> dict[str, Any] | None:
    """Return model-index's `args` of the data set: origin of the test clips and id of the run."""
    args: dict[str, Any] = {} if is_given(record) else {"origin": describe_part(record)}
    if record.results.is_chosen_on_test:
        args[SAME_CLIPS_ARG] = True
    run_id = identify_run(record)
    return (args | ({"run_id": run_id} if run_id else {})) or None


def make_eval_results(record: RunRecord, repo_id: str | None = None) -> list[EvalResult]:
    """Return the main test metrics for model-index.

    The type of a local data set contains a space and brackets, so that it cannot be a Hub id.

    Args:
        record: The run.
        repo_id: Where the run is published, if known: the source is results.json there.
    """
    dataset, hub_id = record.results.dataset, record.dataset_hub_id
    config = dataset.config
    shared: dict[str, Any] = {
        "task_type": TASK,
        "task_name": "Audio Classification",
        "dataset_type": hub_id or f"{record.dataset_name} (local folder)",
        "dataset_name": single_line(record.dataset_name, MAX_FRONT_MATTER),
        "dataset_config": single_line(config, MAX_FRONT_MATTER) if config else None,
        "dataset_split": read_split_name(record, "test"),
        "dataset_revision": dataset.revision if hub_id else None,
        "dataset_args": _make_dataset_args(record),
        "source_name": "results.json" if repo_id else None,
        "source_url": f"https://huggingface.co/{repo_id}/blob/main/results.json"
        if repo_id
        else None,
    }
    results = []
    for key, value in read_main_metrics(record).items():
        name = name_metric(key, is_multilabel=record.is_multilabel)
        results.append(
            EvalResult(
                **shared,
                metric_type=single_line(name.hub_type, MAX_FRONT_MATTER),
                metric_name=single_line(name.title, MAX_FRONT_MATTER),
                metric_args=dict(name.args) if name.args else None,
                metric_value=value,
            )
        )
    return results


def make_notes(record: RunRecord) -> str:
    """Return one line on the value: metric, number of clips, split, interval."""
    test, metric = record.results.test, record.results.metric or "accuracy"
    number = test.get("num_examples", "?")
    clips = "1 clip" if number == 1 else f"{number} clips"
    parts = [f"{metric} on {clips} of {read_split_name(record, 'test')}"]
    interval = test.get(f"{record.results.headline_key}_ci95")
    if interval and metric == record.results.headline_key:
        parts.append(f"95 % interval {interval[0]:.3f} to {interval[1]:.3f}")
    if record.results.is_chosen_on_test:
        parts.append(SAME_CLIPS)
    return single_line("; ".join(parts), MAX_FRONT_MATTER)


def make_entry(record: RunRecord) -> EvalResultEntry | None:
    """Return the run's entry for the data set's leaderboard on the Hub.

    None for a local data set, for a metric without a finite value, and for test clips that are not
    a whole split or list that was supplied: a part that the run held out, or one of several folds,
    is not a result on the data set.
    """
    dataset, hub_id = record.results.dataset, record.dataset_hub_id
    value = read_metrics(record).get(record.results.metric or "accuracy")
    date = record.results.date
    is_fold = read_split_name(record, "test").startswith("fold ")
    if hub_id is None or value is None or is_fold or not is_given(record):
        return None
    hub = record.settings.get("hub", {})
    return EvalResultEntry(
        dataset_id=hub_id,
        task_id=single_line(hub.get("task_id") or dataset.config or "default", MAX_FRONT_MATTER),
        value=value,
        dataset_revision=dataset.revision,
        date=single_line(date, MAX_FRONT_MATTER) if date else None,
        notes=single_line(hub.get("eval_notes") or make_notes(record), MAX_FRONT_MATTER),
    )


def to_entry_text(entry: EvalResultEntry) -> str:
    """Return an entry as YAML, after a check that it parses to the same entry."""
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
        RunFolderError: The folder has no readable results.json.
    """
    entry = make_entry(load_public_run(run))
    if entry is None:
        return None
    path = run / name_entry_file(entry)
    path.parent.mkdir(exist_ok=True)
    replace_file(path, to_entry_text(entry))
    return path


def name_entry_file(entry: EvalResultEntry) -> str:
    """Return the path of an entry's file in a run folder and in a repository."""
    return f"{ENTRIES}/{re.sub(r'[^A-Za-z0-9._-]', '_', entry.dataset_id)}.yaml"
