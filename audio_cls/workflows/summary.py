"""Closing lines of a training run, made from its results.json alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_cls.command_names import format_command
from audio_cls.config import select_metrics
from audio_cls.errors import count_of, list_names
from audio_cls.evaluation.metrics.baseline import FROM_THESE
from audio_cls.evaluation.reports.class_ranking import (
    choose_class_score,
    list_untested,
    rank_weakest,
)
from audio_cls.progress import describe_seconds
from audio_cls.publishing.metric_names import name_metric
from audio_cls.runs.results import Baseline, RunResults
from audio_cls.text_table import TERMINAL_WIDTH, format_table, wrap_text

NUM_WEAKEST = 3
SAME_CLIPS = (
    "Validation and test are the same clips: they chose the saved model, and its test score is too"
    " high for new clips."
)
# The main files of a run or an evaluation, and how they are named.
MAIN_FILES = {
    "README.md": "README.md (model card)",
    "results.json": "results.json (all metrics)",
    "predictions.csv": "predictions.csv",
    "figures": "figures/",
}

Table = Mapping[str, Any]


def describe_result(results: RunResults, folder: Path) -> str:
    """Return the result in one line: folder, main metric, interval, clips.

    >>> test = {"accuracy": 0.5, "accuracy_ci95": [0.2, 0.8], "num_examples": 8}
    >>> describe_result(RunResults(test=test), Path("runs/a"))
    'runs/a: test accuracy 0.5000 on 8 clips, 95 % interval 0.200 to 0.800'
    """
    key, test = results.headline_key, results.test
    interval = _format_interval(test.get(f"{key}_ci95"))
    end = f", {interval}" if interval else ""
    value = format_number(test.get(key))
    clips = count_of(test["num_examples"], "clip")
    return f"{folder}: test {metric_title(key)} {value} on {clips}{end}"


def summarize_training(results: RunResults, folder: Path) -> list[str]:
    """Return the closing block of a training run: result, weakest classes, folder, next commands.

    Args:
        results: Its results.json.
        folder: The run folder.
    """
    return [
        *summarize_scores(results),
        "",
        *describe_classes(results),
        "",
        *describe_time(results),
        *describe_folder("Run folder", folder),
        "",
        *suggest_commands(folder),
    ]


def summarize_scores(results: RunResults) -> list[str]:
    """Return the best epoch and the test metrics of a training run; alone, of one of several."""
    split = results.dataset.split.get("test")
    origin = (split.origin if split else None) or "test split"
    clips = count_of(results.test["num_examples"], "clip")
    return [
        describe_best(results),
        *describe_refit(results),
        *(wrap_text(SAME_CLIPS) if results.is_chosen_on_test else []),
        "",
        *describe_test(results, f"Test on {clips} ({origin})"),
    ]


def describe_best(results: RunResults) -> str:
    """Return the line with the best epoch and its validation metric; without any, the last epoch.

    >>> best = {"accuracy": 0.5, "epoch": 7.0, "step": 14, "num_examples": 9}
    >>> results = RunResults.from_json({"validation": best, "timing": {"steps": 20}})
    >>> describe_best(results)
    'Best epoch 7 of 10: validation accuracy 0.5000 on 9 clips'
    """
    best, metric = results.validation, results.metric or "accuracy"
    probe, is_validated = results.probe, best["num_examples"] > 0
    is_chosen = is_validated if probe is None else probe.scored_on is not None
    kept = "Best" if is_chosen else "Last"  # the last layer, where a probe could compare none
    if not is_validated:
        return f"{kept} {describe_epoch(results)} is kept: there are no validation clips"
    title = metric_title(metric, multi=results.is_multilabel)
    value = f"{title} {format_number(best.get(metric))}"
    clips = count_of(best["num_examples"], "clip")
    found = results.candidates
    if found is not None and results.held_out:
        return f"Kept {found.kept.name}: {value} on {results.held_out}"
    if found is not None:
        return f"Kept {found.kept.name}: validation {value} on {clips}"
    return f"{kept} {describe_epoch(results)}: validation {value} on {clips}"


def describe_refit(results: RunResults) -> list[str]:
    """Return the line of the second training, on all clips; none without it."""
    if not results.refit:
        return []
    clips, step = count_of(results.refit["num_examples"], "clip"), results.refit.get("step")
    steps = "" if step is None else f" for {count_of(step, 'step')}"  # a linear probe has none
    train = results.dataset.split.get("train")
    is_train = train is not None and train.num_examples == results.refit["num_examples"]
    where = "training" if is_train else "training and validation"
    return [f"Refit on {clips} of {where}{steps}: tested and saved"]


def describe_time(results: RunResults) -> list[str]:
    """Return the seconds of a fine-tuning by part, and an empty line; nothing where not measured.

    >>> timing = {"prepare_seconds": 8.0, "train_seconds": 70.0, "evaluate_seconds": 2.0}
    >>> describe_time(RunResults.from_json({"timing": {**timing, "evaluate_share": 0.025}}))[0]
    'Time: 8 s preparation, 1 min 10 s training, 2 s evaluation (2.5 %)'
    """
    timing = results.timing
    if timing.evaluate_share is None:
        return []
    seconds = timing.require("prepare_seconds", "train_seconds", "evaluate_seconds")
    prepare, train, evaluate = map(describe_seconds, seconds)
    share = f"{100 * timing.evaluate_share:.2g} %"
    return [f"Time: {prepare} preparation, {train} training, {evaluate} evaluation ({share})", ""]


def describe_epoch(results: RunResults) -> str:
    """Return the best epoch and the number of trained epochs; steps where they are not whole.

    Of a linear probe, the layer; of `--method auto`, the candidate that was kept.
    """
    if results.candidates is not None:
        return str(results.candidates.kept.name)
    if (probe := results.probe) is not None:
        return f"layer {probe.chosen.name} of {probe.total_layers}"
    best, steps = results.validation, results.timing.steps or 0
    epoch, step = best.get("epoch"), best.get("step")
    if not epoch or not step:
        return "epoch"
    total = round(steps * epoch / step, 3)
    if float(epoch).is_integer() and float(total).is_integer():
        return f"epoch {epoch:.0f} of {total:.0f}"
    return f"step {step} of {steps} (epoch {epoch:.2f})"


def describe_test(results: RunResults, heading: str) -> list[str]:
    """Return the metrics of the test clips, below a heading."""
    note = results.test.get("intervals", {}).get("note")
    return [
        *wrap_text(heading),
        *(f"  {line}" for line in format_table(_list_rows(results), "lrl", TERMINAL_WIDTH - 2)),
        *(wrap_text(note, "  ") if note else []),
    ]


def _list_rows(results: RunResults) -> list[list[str]]:
    """Return the rows of the main metrics and of the baseline: name, value, interval."""
    test, main = results.test, results.headline_key
    keys = [key for key in dict.fromkeys((main, results.metric, "f1_macro")) if key in test]
    rows = [
        [
            metric_title(key, multi=results.is_multilabel),
            format_number(test[key]),
            _format_interval(test.get(f"{key}_ci95")),
        ]
        for key in keys
        if key is not None
    ]
    if results.baseline.test is not None:
        rows.append(["log-mel + LR", *_describe_baseline(results.baseline)])
    if results.is_multilabel:
        chance = format_number(test.get("baseline_map"))
        return [*rows, ["chance level", chance, f"{metric_title(main)} of random scores"]]
    if "majority_accuracy" in test:
        place = FROM_THESE if test.get("majority_from") == FROM_THESE else "training"
        shown = f"always the most frequent class of {place}, '{test['majority_class']}'"
        if test["majority_class"] in list_untested(results.test):
            shown = f"no test clips of the most frequent one, '{test['majority_class']}'"
        rows.append(["majority class", format_number(test["majority_accuracy"]), shown])
    return rows


def _describe_baseline(baseline: Baseline) -> tuple[str, str]:
    """Return the value of the plain baseline, and the difference of the model from it."""
    interval = _format_interval(baseline.difference_ci95, "+")
    difference = baseline.difference
    shown = "" if difference is None else f"model {difference:+.4f}, {interval}".rstrip(", ")
    return format_number(baseline.test), shown


def describe_classes(results: RunResults) -> list[str]:
    """Return the weakest classes as a table, the most frequent confusion, and untested classes."""
    untested = list_names(list_untested(results.test))
    last = wrap_text(f"Without test clips, so in no score: {untested}") if untested else []
    key = choose_class_score(is_multilabel=results.is_multilabel)
    rows = rank_weakest(results.test.get("per_class", {}).items(), key)[:NUM_WEAKEST]
    if not rows:
        return [_describe_no_weakness(results), *last]
    head = ["weakest classes", key.replace("_", " "), "F1", "clips"]
    cells = [
        [name, f"{row[key]:.2f}", f"{row['f1']:.2f}", str(row["support"])] for name, row in rows
    ]
    confused = results.test.get("top_confusions", [])[:1]
    return [
        *format_table([head, *cells], "lrrr"),
        *(line for one in confused for line in wrap_text(_describe_confusion(results, one))),
        *last,
    ]


def _describe_no_weakness(results: RunResults) -> str:
    """Return what is true where no tested class has a score below 1."""
    if results.test.get("accuracy") == 1:
        which = "All tested classes" if list_untested(results.test) else "All classes"
        return f"{which}: every test clip is predicted correctly."
    if results.is_multilabel:
        return "Every tested label has average precision 1.00; some decisions are wrong."
    return "There are no scores by class."


def _describe_confusion(results: RunResults, pair: Table) -> str:
    """Return the sentence about a class that is predicted as another one."""
    support = results.test["per_class"].get(pair["label"], {}).get("support")
    names = f"'{pair['label']}' predicted as '{pair['prediction']}'"
    clips = "? clips" if support is None else count_of(support, "clip")
    return f"Most frequent confusion: {names}, {pair['count']} of {clips}"


def describe_folder(title: str, folder: Path) -> list[str]:
    """Return the lines that name a folder and its main files, those that exist."""
    found = [text for name, text in MAIN_FILES.items() if (folder / name).exists()]
    return [f"{title}: {folder}", *wrap_text(", ".join(found), "  ")]


def suggest_commands(run: Path) -> list[str]:
    """Return the commands for a finished run, to paste; FILE.wav and OTHER_DATA are to replace."""
    return [
        "Classify files, evaluate on other data, publish:",
        f"  {format_command('predict', run, 'FILE.wav')}",
        f"  {format_command('evaluate', '--model', run, '--dataset', 'OTHER_DATA')}",
        f"  {format_command('publish', run)}",
    ]


def metric_title(key: str, *, multi: bool = False) -> str:
    """Return the name of a metric within a sentence.

    Args:
        key: Its key in results.json.
        multi: The task is multi-label.

    >>> metric_title("f1_macro"), metric_title("roc_auc"), metric_title("accuracy", multi=True)
    ('macro F1', 'ROC AUC', 'subset accuracy')
    """
    title = name_metric(key, is_multilabel=multi).title
    return title if title[:2].isupper() else title[0].lower() + title[1:]


def format_number(value: float | None) -> str:
    """Return a metric with four decimals; "-" where it is not defined."""
    return "-" if value is None else f"{value:.4f}"


def _format_interval(bounds: Sequence[float] | None, sign: str = "") -> str:
    """Return the text of a 95 % interval; empty where there is none. `sign` "+" is for differences.

    >>> _format_interval([-0.2, 0.1], "+")
    '95 % interval -0.200 to +0.100'
    """
    return "95 % interval {:{s}.3f} to {:{s}.3f}".format(*bounds, s=sign) if bounds else ""


def make_test_event(results: RunResults, folder: Path) -> dict[str, Any]:
    """Return the fields of the event `test`."""
    test = results.test
    ends = {key.removesuffix("_ci95"): value for key, value in test.items() if "_ci95" in key}
    best = results.validation
    chosen = {"metric": results.metric, "validation": select_metrics(best, results.metric)}
    where = {"best_epoch": best.get("epoch"), "best_step": best.get("step")}
    return {
        "output_dir": str(folder),
        "num_examples": test["num_examples"],
        "metrics": select_metrics(test, results.metric, with_baselines=True),
        "ci95": ends,
        **({"baseline": results.baseline.to_json()} if results.baseline.name else {}),
        **({**chosen, **where} if best else {}),
    }
