"""Table of the files that a run writes: what they hold, and which are published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

CARD = "README.md"
WEIGHTS = "model*.safetensors"
EXAMPLES_FIGURE = "figures/training_examples.png"

# Columns of summary.csv that the card's training log leaves out.
SPEED_COLUMNS = ("grad_norm", "data_share", "clips_per_second")


@dataclass(frozen=True)
class RunFile:
    """A file of a run folder, or all files that a pattern matches; --overwrite removes them."""

    name: str  # path below the run folder, or a pattern of `Path.glob`
    description: str
    published: bool

    @property
    def folder(self) -> str | None:
        """Return the sub-folder that the file is in, or its pattern; None for the run folder.

        >>> RunFile("checkpoints/step-N/", "", published=False).folder
        'checkpoints'
        """
        parts = PurePosixPath(self.name).parts
        return parts[0] if len(parts) > 1 else None


RUN_FILES = (
    RunFile("config.json", "labels and shapes of the best model", published=True),
    RunFile(WEIGHTS, "weights of the best model", published=True),
    RunFile("model.safetensors.index.json", "index of weights in several files", published=True),
    RunFile("preprocessor_config.json", "feature extractor of the best model", published=True),
    RunFile("processor_config.json", "processor of the best model, if any", published=True),
    RunFile(CARD, "model card", published=True),
    RunFile("results.json", "metrics with intervals, per class; timing, versions", published=True),
    RunFile(
        "run_config.yaml",
        "settings as given and as resolved; `--preset RUN/run_config.yaml` repeats the run in"
        " RUN-2",
        published=True,
    ),
    RunFile(
        "summary.csv",
        "one row per evaluation on validation (not of probe and auto)",
        published=True,
    ),
    RunFile("predictions.csv", "one row per test clip: label, prediction, scores", published=True),
    RunFile("clips.csv", "length, sampling rate and group of each test clip", published=False),
    RunFile("bad_audio.csv", "one row per clip that was left out, with the reason", published=True),
    RunFile("duplicates.csv", "clips with the same samples", published=True),
    RunFile(
        "near_duplicates.csv",
        "clips that are copies of each other except for level, codec or a cut",
        published=True,
    ),
    RunFile("splits/*.txt", "ids of the clips of each split", published=True),
    RunFile("splits/groups.csv", "group and fold of each clip", published=False),
    RunFile(
        "figures/*.png",
        "confusion matrix (most confused pairs for more than 40 classes), reliability diagram,"
        " durations, learning curves, layers of a linear probe",
        published=True,
    ),
    RunFile(
        EXAMPLES_FIGURE,
        "six training examples as the model receives them, with their labels; not published with"
        " `--publish-ids none`",
        published=True,
    ),
    RunFile("figures/*.csv", "the confusion matrix as numbers", published=False),
    RunFile("samples/*.wav", "test clips that the card plays", published=True),
    RunFile(
        ".eval_results/*.yaml",
        "evaluation result for the Hub, if a split of a data set on the Hub was tested",
        published=True,
    ),
    RunFile("logs/*", "files of the trackers (`--report-to`)", published=False),
    RunFile("streamed/*", "clips that a streamed run left out, per process", published=False),
    RunFile("eval-*/*", "evaluation on another data set (`audio-cls evaluate`)", published=False),
    RunFile(
        "candidates/NAME/*",
        "settings and summary.csv of each candidate of `--method auto`, and the model"
        " that fine-tuning started from",
        published=False,
    ),
    RunFile("checkpoints/step-N/", "state to resume from", published=False),
    RunFile("refit/summary.csv", "one row per epoch of the refit (`--refit`)", published=False),
    RunFile("refit/plan.json", "steps and clips of the refit", published=False),
    RunFile("refit/checkpoints/step-N/", "its state, until the run is finished", published=False),
)


def format_table() -> str:
    """Return the files as a Markdown table."""
    lines = ["| file | content | published |", "|---|---|---|"]
    for one in RUN_FILES:
        lines.append(f"| `{one.name}` | {one.description} | {'yes' if one.published else 'no'} |")
    return "\n".join(lines)
