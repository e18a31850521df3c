"""Markdown tables of the results, with ratios."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from audio_cls.benchmark.cases import CONTENDERS
from audio_cls.errors import count_of

WIDTH = 120  # of lines of text
COLUMNS = (
    ("prepare s", "prepare_seconds", "{:.1f}"),
    ("train s", "train_seconds", "{:.1f}"),
    ("evaluate s", "evaluate_seconds", "{:.1f}"),
    ("total s", "total_seconds", "{:.1f}"),
    ("CPU s", "cpu_seconds", "{:.1f}"),
    ("clips/s", "train_clips_per_second", "{:.2f}"),
    ("peak MB", "peak_memory_mb", "{:.0f}"),
    ("share of matrix product", "share_of_matrix_product", "{:.0%}"),
    ("accuracy", "accuracy", "{:.2f}"),
)


def find_ratios(contenders: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return speed relative to the faster Trainer and memory relative to the mapped one."""
    audio_cls, mapped = contenders["audio_cls"], contenders["mapped"]
    others = [run for name, run in contenders.items() if name != "audio_cls"]
    return {
        "total": min(run["total_seconds"] for run in others) / audio_cls["total_seconds"],
        "train": min(run["train_seconds"] for run in others) / audio_cls["train_seconds"],
        "memory": audio_cls["peak_memory_mb"] / mapped["peak_memory_mb"],
    }


def format_result(name: str, result: dict[str, Any]) -> str:
    """Return a case's heading, table and ratios."""
    case = result["case"]
    buckets = case["length_buckets"]
    sorting = f", sorted by length in audio_cls (--length-buckets {buckets})" if buckets else ""
    lines = [
        f"### {name}: {case['shape']} shape, {case['train_clips']} + {case['eval_clips']} clips"
        f" of {format_span(case['seconds'])}, {count_of(case['epochs'], 'epoch')},"
        f" frozen: {case['freeze']}{sorting}",
        "",
        *format_titles(COLUMNS, ""),
    ]
    for key, run in result["contenders"].items():
        lines.append(f"| {CONTENDERS[key]} {format_cells(run, COLUMNS)}")
    lines += ["", f"Matrix product: {result['matrix_rate'] / 1e9:.0f} GFLOP/s."]
    if len(result["contenders"]) == len(CONTENDERS):
        ratios = find_ratios(result["contenders"])
        lines[-1] = (
            f"audio_cls is {ratios['total']:.2f} times as fast as the faster Trainer end to end,"
            f" {ratios['train']:.2f} times in training; peak memory {ratios['memory']:.2f} of the"
            f" mapped Trainer's. {lines[-1]}"
        )
    if result["part"]:
        share, kind = result["part"]["share_of_matrix_product"], result["part"]["kind"]
        lines.append(f"Rate of the largest {kind}: {share:.0%} of the matrix product's.")
    return "\n".join([*map(_wrap, lines), ""])


def _wrap(line: str) -> str:
    """Break a line of text; headings and rows of a table stay as they are."""
    return line if line.startswith(("#", "|")) else fill(line, WIDTH)


def format_span(seconds: Sequence[float]) -> str:
    """Return a range of durations as text."""
    low, high = seconds
    return f"{high:g} s" if low == high else f"{low:g} to {high:g} s"


def format_titles(columns: Sequence[tuple[str, str, str]], *before: str) -> list[str]:
    """Return a table's first two lines: text columns, then right-aligned columns of numbers."""
    titles = "".join(f"| {title} " if title else "| " for title in before)
    numbers = " | ".join(title for title, *_ in columns)
    return [f"{titles}| {numbers} |", "|" + "---|" * len(before) + "---:|" * len(columns)]


def format_cells(numbers: dict[str, float], columns: Sequence[tuple[str, str, str]]) -> str:
    """Return a row's cells; columns are (title, key, pattern)."""
    return "| " + " | ".join(pattern.format(numbers[key]) for _, key, pattern in columns) + " |"


def format_machine(machine: dict[str, Any]) -> str:
    """Return a line that describes the machine."""
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    return (
        f"{machine['cpu']}, {count_of(machine['cores'], 'core')}{gpu};"
        f" load average at the start {machine['load']};"
        f" torch {machine['torch']}, Python {machine['python']}; {machine['date']}.\n"
    )
