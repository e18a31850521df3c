"""Text report of a data set summary, within 80 columns but for clip ids and the command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from audio_cls.data.inspection.duplicates import LISTED
from audio_cls.data.inspection.suggestions import DEFAULT_MODEL, MIN_CLIPS, list_arguments
from audio_cls.errors import count_of, list_names
from audio_cls.text_table import drop_controls, format_table, wrap_text

MAX_ROWS = 20  # classes in the table; of more, the largest and smallest
NUM_LARGEST, NUM_SMALLEST = 10, 5


def format_summary(summary: Mapping[str, Any], command: str = "") -> str:
    """Format a summary as text, one paragraph per section.

    Args:
        summary: See `summarize`.
        command: The command that trains on the data set; empty for none.
    """
    parts = [_format_head(summary), _format_rare(summary["classes"])]
    if summary["durations"]:
        parts.append(_format_files(summary))
    parts.append(_format_quality(summary))
    parts += [_format_group(name, group) for name, group in summary["groups"].items()]
    listed = [f"column '{name}'" for name in summary["groups"]]
    parts += [
        _wrap(
            f"Not used: {one['where']} ({count_of(one['num_values'], one['kind'])})."
            f" To use {'it' if one['kind'] != 'group' else 'them as groups'}: {one['flags']}"
        )
        for one in summary["unused"]
        if one["flags"] and (one["kind"] != "group" or one["where"] not in listed)
    ]
    if summary["train_error"]:
        parts.append(_wrap(f"No command, as training would stop: {summary['train_error']}"))
    elif summary["suggested"] and command:
        parts.append(_format_command(summary, command))
    return drop_controls("\n\n".join(part for part in parts if part))


def _wrap(text: str) -> str:
    """Break a paragraph into lines; no word or flag is broken."""
    return "\n".join(wrap_text(text))


def _format_head(summary: Mapping[str, Any]) -> str:
    """Format the name of the data set, and a table of splits and classes."""
    known, splits = summary["dataset"], summary["splits"]
    clips = count_of(summary["num_clips"], "clip")
    num_bad = summary["bad_audio"]["num_clips"]
    unusable = f", {num_bad:,} of them unusable" if num_bad else ""
    lines = [f"{known['id']}: {clips}, {summary['num_read']:,} read{unusable}"]
    if known["keyword_fault"]:
        text = f"Keyword spotting is left out: {known['keyword_fault']} Give words with --keywords."
        lines.append(_wrap(text))
    if known["label_fault"]:
        lines.append(_wrap(f"No labels: {known['label_fault']}"))
        rows = [[name, str(split["num_clips"])] for name, split in splits.items()]
        return "\n".join([*lines, *format_table([["split", "clips"], *rows], "lr")])
    rows = _list_classes(summary["classes"])
    if any(split["num_unlabelled"] for split in splits.values()):
        rows.append(["no label", *(str(split["num_unlabelled"]) for split in splits.values())])
    rows.append(["all clips", *(str(split["num_clips"]) for split in splits.values())])
    table = format_table([[str(known["label_column"]), *splits], *rows], "l" + "r" * len(splits))
    return "\n".join([*lines, *table])


def _list_classes(classes: Mapping[str, Mapping[str, int]]) -> list[list[str]]:
    """Return a row of each class; of many classes, of the largest and the smallest ones."""
    rows = {name: [name, *map(str, counts.values())] for name, counts in classes.items()}
    if len(rows) <= MAX_ROWS:
        return [*rows.values()]
    order = sorted(rows, key=lambda name: -sum(classes[name].values()))
    left_out = len(rows) - NUM_LARGEST - NUM_SMALLEST
    gap = [f"({count_of(left_out, 'more class')})", *("" for _ in classes[order[0]])]
    largest = [rows[name] for name in order[:NUM_LARGEST]]
    return [*largest, gap, *(rows[name] for name in order[-NUM_SMALLEST:])]


def _format_rare(classes: Mapping[str, Mapping[str, int]]) -> str:
    """Name the classes with too few clips for training, validation and test."""
    counts = {name: sum(splits.values()) for name, splits in classes.items()}
    lines, of = [], count_of(len(counts), "class")
    for number, text in (
        (0, "no clip"),
        (1, "one clip, which can be trained on or tested, not both"),
        *((n, f"{n} clips") for n in range(2, MIN_CLIPS)),
    ):
        names = [name for name, count in counts.items() if count == number]
        if names:
            have = count_of(len(names), f"of {of} has", f"of {of} have")
            lines.append(f"{have} {text}: {list_names(names)}.")
    if not lines:
        return ""
    least = 1 if max(c for c in counts.values() if c < MIN_CLIPS) == 0 else MIN_CLIPS
    left_out = [count for count in counts.values() if count < least]
    if len(counts) - len(left_out) < 2:
        lines.append("These are too few clips to train and test a classifier: add clips.")
    else:
        lines.append(
            f"--min-clips-per-label {least} leaves out {len(left_out)} of {of}"
            f" ({sum(left_out)} of {count_of(sum(counts.values()), 'clip')})."
        )
    return _wrap(" ".join(lines))


def _format_files(summary: Mapping[str, Any]) -> str:
    """Format durations, rates, channels and encodings."""
    spread, long = summary["durations"], summary["long_clips"]
    lines = [
        f"Seconds: min {spread['min']:g}, median {spread['median']:g}, 95 % up to"
        f" {spread['p95']:g}, max {spread['max']:g}; {spread['total'] / 3600:.2f} h in all",
        f"Rates (Hz): {_format_counts(summary['sampling_rates'])}",
        f"Channels: {_format_counts(summary['channels'])}",
        f"Encodings: {_format_counts(summary['encodings'])}",
    ]
    lost = summary["above_model_rate"]
    if lost:
        lines.append(
            f"Above {lost['hz']} Hz, which a model at {2 * lost['hz']} Hz does not get:"
            f" {100 * lost['median_share']:.0f} % of the energy (median of"
            f" {count_of(lost['num_clips'], 'clip')}),"
            f" more than half of it in {count_of(lost['num_most'], 'clip')}"
        )
    if long["num_clips"]:
        shown = list_names(f"{clip['id']} ({clip['seconds']:g} s)" for clip in long["clips"][:5])
        lines.append(
            f"Long clips: {long['num_clips']:,} with {100 * long['share']:.0f} % of all audio:"
            f" {shown}. An epoch trains on one crop of --max-seconds of each clip. To train on all"
            " of it, list segments in a CSV with the columns path, start, end and label."
        )
    return "\n".join(map(_wrap, lines))


def _format_quality(summary: Mapping[str, Any]) -> str:
    """Format unusable and silent clips, duplicates and near duplicates, with the first ids."""
    bad, silent, near = summary["bad_audio"], summary["silent"], summary["near_duplicates"]
    duplicates = summary["duplicates"]
    lines = [f"Unusable clips: {bad['num_clips']}{_in_brackets(bad['reasons'])}"]
    lines += [f"  {clip['id']}: {clip['reason']}" for clip in bad["clips"]]
    text = f"Silent clips: {silent['num_clips']}{_in_brackets(silent['classes'])}"
    if silent["num_cancelled"]:
        text += (
            f"; {silent['num_cancelled']} of them after mixing to mono only: their channels cancel"
            " each other"
        )
    lines += [_wrap(text), *(f"  {clip}" for clip in silent["clips"])]
    repeat = count_of(duplicates["num_clips"], "clip repeats", "clips repeat")
    text = f"Exact duplicates: {repeat} another one"
    if duplicates["num_clips"]:
        text += (
            f", {duplicates['num_across_splits']:,} of them across splits,"
            f" {duplicates['num_other_label']:,} with another label. --deduplicate leaves them out"
        )
    lines += [_wrap(text), *(f"  {_format_copies(group)}" for group in duplicates["groups"])]
    text = f"Near duplicates: {count_of(near['num_pairs'], 'pair')}"
    if near["num_pairs"]:
        text += f", {near['num_across_splits']:,} of them across splits"
    lines += [text, *(f"  {one} ~ {two}" for one, two in (pair["ids"] for pair in near["pairs"]))]
    return "\n".join(lines)


def _format_copies(group: Mapping[str, Any]) -> str:
    """Format clips with equal audio, with their labels where these differ."""
    if len(set(group["labels"]) - {""}) < 2:
        return " = ".join(group["ids"])
    pairs = zip(group["ids"], group["labels"], strict=True)
    return " = ".join(f"{name} ({label or 'no label'})" for name, label in pairs)


def _format_group(name: str, group: Mapping[str, Any]) -> str:
    """Format the groups of a column, and those that are in several splits."""
    flags = shlex.join(list_arguments({"group_column": name}))
    values = f"Groups: {count_of(group['num_groups'], 'value')} of '{name}'"
    if not group["can_split"]:
        text = f"{values}. Most classes have only one of them: no split by group is possible."
    elif group["shared"]:
        text = (
            f"{values}, {len(group['shared'])} of them in several splits"
            f" ({list_names(group['shared'])}), so that the test score is not for new values."
            f" {flags} merges the splits and splits again by group."
        )
    elif group["num_splits"] > 1:
        text = f"{values}, none of them in several splits"
    else:
        text = f"{values}. {flags} keeps each in one split."
    return _wrap(text)


def _format_command(summary: Mapping[str, Any], command: str) -> str:
    """Format the command that trains, and what its options are for."""
    advice = summary["suggested"]
    lines = []
    if advice["class_weights"]:
        lines.append(_wrap(f"Class weights: {_format_counts(advice['class_weights'])}"))
    notes = ["one run per fold"] if "--folds" in command.split() else []
    if advice["memory_mb"] is not None:
        notes.insert(0, f"about {advice['memory_mb'] / 1000:.1f} GB of memory")
    model = "DistilHuBERT" if advice["model"] == DEFAULT_MODEL else advice["model"]
    lines.append(f"To train {model} ({'; '.join(notes)}):" if notes else f"To train {model}:")
    return "\n".join([*lines, command])


def _format_counts(counts: Mapping[str, Any]) -> str:
    """Format the first counts in one line."""
    shown = [f"{name} ({count})" for name, count in list(counts.items())[:LISTED]]
    return ", ".join(shown + [f"and {len(counts) - LISTED} more"] * (len(counts) > LISTED))


def _in_brackets(counts: Mapping[str, int]) -> str:
    """Format reasons in brackets, or nothing."""
    return f" ({', '.join(f'{n} {reason}' for reason, n in counts.items())})" if counts else ""
