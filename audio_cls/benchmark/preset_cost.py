"""Cost of the shipped presets: a few training steps of each, or an epoch.

Clips are generated, with the lengths (and for an epoch the number) of the preset's data set;
weights are random, in the shape of its checkpoint. The scores have no meaning, so that only seconds
and memory are reported.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from audio_cls.benchmark.cases import RECIPES
from audio_cls.benchmark.random_checkpoints import write_checkpoint
from audio_cls.benchmark.runner import run_python
from audio_cls.benchmark.synthetic_clips import write_clips
from audio_cls.benchmark.tables import format_cells, format_span, format_titles
from audio_cls.presets import load_preset
from audio_cls.runs.results import RESULTS_FILE, read_results

STEPS = 4
COLUMNS = (
    ("clips/step", "clips_per_step", "{:.0f}"),
    ("s/step", "step_seconds", "{:.2f}"),
    ("clips/s", "train_clips_per_second", "{:.2f}"),
    ("min/epoch", "epoch_minutes", "{:.1f}"),
    ("peak MB", "peak_memory_mb", "{:.0f}"),
)


def measure_preset(name: str, *, full: bool) -> dict[str, float]:
    """Train with a preset for STEPS steps, or with `full` for an epoch.

    Returns:
        The numbers of `COLUMNS`; the time of an epoch excludes its evaluation.
    """
    recipe = RECIPES[name]
    train = load_preset(name).values
    clips_per_step = train["batch_size"] * train.get("gradient_accumulation_steps", 1)
    count = recipe.train_clips if full else 2 * STEPS * clips_per_step
    length = ("--epochs", "1") if full else ("--max-steps", str(STEPS))
    with tempfile.TemporaryDirectory(prefix="audio_cls_presets_") as made:
        folder = Path(made)
        write_clips(folder / "data", "train", count, recipe.seconds)
        write_clips(folder / "data", "validation", recipe.eval_clips if full else 8, recipe.seconds)
        write_checkpoint(recipe.shape, folder / "checkpoint")
        run_python(
            *("-m", "audio_cls.cli.train", "--preset", name, *recipe.flags, *length),
            *("--dataset", str(folder / "data"), "--label-column", "label"),
            *("--model", str(folder / "checkpoint"), "--test-split", "validation"),
            *("--output-dir", str(folder / "run"), "--log", "quiet"),
            cache=folder / "cache",
        )
        timing = read_results(folder / "run" / RESULTS_FILE).timing.to_json()
    step_seconds = timing["train_seconds"] / timing["steps"]
    return {
        **{key: timing[key] for _, key, _ in COLUMNS if key in timing},
        "step_seconds": step_seconds,
        "epoch_minutes": recipe.train_clips / clips_per_step * step_seconds / 60,
    }


def format_heading(*, full: bool) -> str:
    """Return the heading and the title lines of the table of presets."""
    length = "an epoch" if full else f"{STEPS} steps"
    lines = [
        f"### presets: {length} each, random weights in the checkpoint's shape, generated clips"
        " with the lengths of the data set",
        "",
        *format_titles(COLUMNS, "preset", "shape", "clip length"),
    ]
    return "\n".join(lines)


def format_row(name: str, numbers: dict[str, float]) -> str:
    """Return a preset's row of the table."""
    recipe = RECIPES[name]
    cells = format_cells(numbers, COLUMNS)
    return f"| {name} | {recipe.shape} | {format_span(recipe.seconds)} {cells}"
