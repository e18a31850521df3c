"""Command `evaluate`: evaluate a model on a data set, or recompute metrics from predictions.csv.

audio-cls evaluate --model runs/gtzan-distilhubert --output-dir results
audio-cls evaluate --model USER/MODEL --dataset marsyas/gtzan --output-dir results
audio-cls evaluate --predictions runs/gtzan-distilhubert/predictions.csv --output-dir results
accelerate launch -m audio_cls.cli.evaluate --model runs/gtzan-distilhubert --output-dir results
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.options.commands import SettingsCommand
from audio_cls.cli.options.config_options import make_option
from audio_cls.config import iterate_settings
from audio_cls.config.evaluation import EVALUATE_SETTINGS as SETTINGS

PATH = click.Path(path_type=Path)

OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--output-dir", type=PATH, required=True, help="Folder for the results."),
    click.option("--model", help="Run folder or Hub id of a finished audio classifier."),
    click.option("--model-revision", help="Branch, tag or commit of the model."),
    click.option(
        "--trust-remote-code",
        is_flag=True,
        help="Run code from the model's repository; on the Hub, --model-revision must be a commit.",
    ),
    click.option("--split", default="test", show_default=True, help="Split to evaluate."),
    click.option(
        "--label-map",
        type=PATH,
        help="YAML or JSON file: label of the data set -> label of the model, or null.",
    ),
    click.option(
        "--calibrate",
        is_flag=True,
        help="Apply the temperature that was fitted on validation.",
    ),
    click.option(
        "--compare", type=PATH, help="Another run's folder: McNemar's test on the same clips."
    ),
    click.option(
        "--update-card", is_flag=True, help="Write the results into the card of the --model folder."
    ),
    click.option(
        "--predictions", type=PATH, help="Compute everything again from this predictions.csv."
    ),
    click.option(
        "--aggregate",
        type=PATH,
        multiple=True,
        help="A finished run, once for each seed or fold: mean, sd and interval.",
    ),
)


def run(**values: Any) -> None:  # noqa: ANN401 (click passes every option by name)
    """Evaluate a classifier on a data set, or recompute metrics from predictions.csv."""
    # A setting that was not typed is not passed on: that of the model's run is used. The settings
    # of the preset of the data set are kept apart, since those of the run go before them.
    ctx = click.get_current_context()
    with one_line_errors():
        # Not at the top of the file, so that --help need not wait for torch.
        from audio_cls.workflows.evaluate import EvaluateRequest, run_evaluation

        names = [field.name for field in dataclasses.fields(EvaluateRequest)]
        typed, preset = (
            {n: values[n] for n in SETTINGS if ctx.get_parameter_source(n) is source}
            for source in (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)
        )
        # --group-column "" switches off what the run or a preset says.
        typed = {name: None if value == "" else value for name, value in typed.items()}
        run_evaluation(EvaluateRequest(**{name: values[name] for name in names}), typed, preset)


def make_command() -> click.Command:
    """Return the command with its own options, and those settings that `SETTINGS` names."""
    command: Any = run
    for one in reversed([one for one in iterate_settings() if one.name in SETTINGS]):
        command = make_option(one)(command)
    for option in reversed(OPTIONS):
        command = option(command)
    width = {"max_content_width": 110, "help_option_names": ["-h", "--help"]}
    return click.command(
        "evaluate", cls=SettingsCommand, settings=SETTINGS, context_settings=width
    )(command)


main = make_command()

if __name__ == "__main__":
    main()
