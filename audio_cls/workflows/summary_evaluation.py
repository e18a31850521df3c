"""Closing lines of an evaluation: which clips, the result, the folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audio_cls.errors import count_of
from audio_cls.publishing.split_description import LIST_OF_RUN
from audio_cls.runs.results import RunResults
from audio_cls.text_table import wrap_text
from audio_cls.workflows.summary import describe_classes, describe_folder, describe_test

# Origin of the evaluated clips in results.json, see `select_rows`.
_WHOLE_SPLIT = re.compile(r"(?:all of )?split (?P<name>'.*?')", re.DOTALL)


def summarize_evaluation(results: RunResults, folder: Path) -> list[str]:
    """Return the closing block of an evaluation: which clips, result, weakest classes, folder.

    Args:
        results: Its results.json.
        folder: The folder with its files.
    """
    clips = count_of(results.test["num_examples"], "clip")
    return [
        *describe_test(results, f"Evaluated on {clips}: {describe_clips(results)}"),
        "",
        *describe_classes(results),
        *_compare(results.comparison),
        "",
        *describe_folder("Folder", folder),
    ]


def describe_clips(results: RunResults) -> str:
    """Return which clips were evaluated: those of a split, or of a list of the model's run.

    >>> part = {"origin": "split 'train'"}
    >>> results = RunResults.from_json({"dataset": {"name": "esc", "split": {"test": part}}})
    >>> describe_clips(results)
    "all clips of split 'train' of esc"
    """
    part, dataset = results.dataset.split.get("test"), results.dataset
    if part is None or part.origin is None:
        return "those of predictions.csv"
    place = f" of {dataset.name or dataset.id}"
    left_out = _describe_left_out(results)
    whole, listed = _WHOLE_SPLIT.match(part.origin), LIST_OF_RUN.fullmatch(part.origin)
    if whole:
        number = "clips" if left_out else "all clips"
        return ", ".join([f"{number} of split {whole['name']}{place}", *left_out])
    role, origin = (listed["role"], listed["origin"]) if listed else ("test", part.origin)
    return ", ".join([f"the run's {role} clips{place} ({origin})", *left_out])


def _describe_left_out(results: RunResults) -> list[str]:
    """Return why clips of the evaluated split are missing."""
    part, skipped = results.dataset.split["test"], results.bad_audio.get("skipped", 0)
    count = results.test.get("num_examples", 0)
    found = []
    if results.unmatched_labels:
        found.append("without labels that the model does not have")
    if skipped:
        found.append(f"without {count_of(skipped, 'unusable clip')}")
    if part.num_available and count + skipped < part.num_available:
        found.append(f"a sample of {part.num_available}")
    return found


def _compare(comparison: Mapping[str, Any]) -> list[str]:
    """Return the sentence about the other run that was compared, if any."""
    if not comparison:
        return []
    bounds = comparison.get("accuracy_difference_ci95")
    interval = f" (95 % interval {bounds[0]:+.3f} to {bounds[1]:+.3f})" if bounds else ""
    text = (
        f"Against {comparison['other']}: accuracy {comparison['accuracy_difference']:+.4f}"
        f"{interval}; only"
        f" this one correct: {count_of(comparison['only_this_right'], 'clip')}, only the other:"
        f" {comparison['only_other_right']}, McNemar p = {comparison['mcnemar_p']:.4g}"
    )
    return ["", *wrap_text(text)]
