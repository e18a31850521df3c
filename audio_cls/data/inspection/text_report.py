"""Text report of a data set summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audio_cls.data.inspection.duplicates import LISTED
from audio_cls.data.inspection.suggestions import write_flags


def format_summary(summary: Mapping[str, Any]) -> str:
    """Format a summary as text, one paragraph per section."""
    parts = [_format_head(summary)]
    if summary["durations"]:
        spread = summary["durations"]
        parts.append(
            f"Seconds: min {spread['min']:g}, median {spread['median']:g}, 95 % up to"
            f" {spread['p95']:g}, max {spread['max']:g}; {spread['total'] / 3600:.2f} h in all\n"
            f"Rates (Hz): {_format_counts(summary['sampling_rates'])}\n"
            f"Channels: {_format_counts(summary['channels'])}\n"
            f"Encodings: {_format_counts(summary['encodings'])}"
            f"{_format_lost(summary['above_model_rate'])}"
        )
    bad, duplicates = summary["bad_audio"], summary["duplicates"]
    lines = [f"Bad clips: {bad['num_clips']}" + _in_brackets(bad["reasons"])]
    lines += [f"  {clip['id']}: {clip['reason']}" for clip in bad["clips"]]
    lines.append(_format_silent(summary["silent"]))
    lines += [f"  {clip}" for clip in summary["silent"]["clips"]]
    lines.append(
        f"Exact duplicates: {duplicates['num_clips']} clips repeat another one,"
        f" {duplicates['num_across_splits']} of them across splits,"
        f" {duplicates['num_other_label']} with another label"
    )
    lines += [f"  {_format_copies(group)}" for group in duplicates["groups"]]
    near = summary["near_duplicates"]
    lines.append(
        f"Near duplicates: {near['num_pairs']} pairs sound nearly the same,"
        f" {near['num_across_splits']} of them across splits"
    )
    lines += [f"  {one} ~ {two}" for one, two in (pair["ids"] for pair in near["pairs"])]
    parts.append("\n".join(lines))
    parts += [_format_group(name, group) for name, group in summary["groups"].items()]
    listed = [f"column '{name}'" for name in summary["groups"]]
    parts += [
        f"Not used: {one['where']} ({one['num_values']} {one['kind']}s): {one['flags']}"
        for one in summary["unused"]
        if one["kind"] != "group" or one["where"] not in listed
    ]
    if summary["suggested"]:
        advice = summary["suggested"]
        flags = advice["flags"] or "nothing more than is set"
        text = f"Suggested: {flags}   (about {advice['memory_mb']} MB for DistilHuBERT)"
        if advice["class_weights"]:
            text += f"\nClass weights: {_format_counts(advice['class_weights'])}"
        parts.append(text)
    return "\n\n".join(parts)


def _format_head(summary: Mapping[str, Any]) -> str:
    """Format the name of the data set, and a table of splits and classes."""
    known, splits = summary["dataset"], summary["splits"]
    lines = [f"{known['id']}: {summary['num_clips']} clips, {summary['num_read']} read"]
    if known["keyword_fault"]:
        lines.append(
            f"Keyword spotting is left out: {known['keyword_fault']} Give your own words by"
            " --keywords."
        )
    if known["label_fault"]:
        lines.append(f"No labels: {known['label_fault']}")
        return "\n".join(
            lines + [f"  {name}: {s['num_clips']} clips" for name, s in splits.items()]
        )
    width = max(map(len, [f"{known['label_column']}", "no label", *summary["classes"]])) + 2
    lines.append(f"{known['label_column']:<{width}}" + "".join(f"{name:>12}" for name in splits))
    for label, counts in summary["classes"].items():
        lines.append(f"{label:<{width}}" + "".join(f"{counts[name]:>12}" for name in splits))
    if any(split["num_unlabelled"] for split in splits.values()):
        row = "".join(f"{split['num_unlabelled']:>12}" for split in splits.values())
        lines.append(f"{'no label':<{width}}{row}")
    totals = "".join(f"{split['num_clips']:>12}" for split in splits.values())
    return "\n".join([*lines, f"{'clips':<{width}}{totals}"])


def _format_silent(silent: Mapping[str, Any]) -> str:
    """Format the number of silent clips, by class, and of those that are silent by mixing."""
    text = f"Silent clips: {silent['num_clips']}{_in_brackets(silent['classes'])}"
    if silent["num_cancelled"]:
        text += (
            f"; {silent['num_cancelled']} of them after mixing to mono only: their channels cancel"
            " each other"
        )
    return text


def _format_lost(lost: Mapping[str, Any]) -> str:
    """Format the energy above the band of a model; nothing where there is none."""
    if not lost:
        return ""
    return (
        f"\nAbove {lost['hz']} Hz, which a model at {2 * lost['hz']} Hz does not get:"
        f" {lost['median_share']:.0%} of the energy (median of {lost['num_clips']} clips),"
        f" more than half of it in {lost['num_most']} clips"
    )


def _format_copies(group: Mapping[str, Any]) -> str:
    """Format clips with equal audio, with their labels where these differ."""
    if len(set(group["labels"]) - {""}) < 2:
        return " = ".join(group["ids"])
    pairs = zip(group["ids"], group["labels"], strict=True)
    return " = ".join(f"{name} ({label or 'no label'})" for name, label in pairs)


def _format_group(name: str, group: Mapping[str, Any]) -> str:
    """Format the groups of a column, and those that are in several splits."""
    flags = write_flags({"group_column": name})
    if group["shared"]:
        return (
            f"Groups: {len(group['shared'])} of {group['num_groups']} values of '{name}' are in"
            f" several splits: {', '.join(group['shared'][:LISTED])}. Cut anew by"
            f" {flags}"
        )
    if group["num_splits"] > 1:
        return f"Groups: none of the {group['num_groups']} values of '{name}' is in several splits"
    return f"Groups: {group['num_groups']} values of '{name}'; cut by {flags}"


def _format_counts(counts: Mapping[str, Any]) -> str:
    """Format the first counts in one line."""
    shown = [f"{name} ({count})" for name, count in list(counts.items())[:LISTED]]
    return ", ".join(shown + [f"and {len(counts) - LISTED} more"] * (len(counts) > LISTED))


def _in_brackets(counts: Mapping[str, int]) -> str:
    """Format reasons in brackets, or nothing."""
    return f" ({', '.join(f'{n} {reason}' for reason, n in counts.items())})" if counts else ""
