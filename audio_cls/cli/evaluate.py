"""The options of scripts/evaluate.py: some settings by their own names, and what only it knows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.options.commands import SettingsCommand
from audio_cls.cli.options.config_options import make_option
from audio_cls.config import iterate_settings
from audio_cls.errors import SettingError

SETTINGS = (
    *("dataset", "dataset_config", "dataset_revision", "audio_column", "audio_root"),
    *(
        "start_column",
        "end_column",
        "duration_column",
        "label_level",
        "label_column",
        "group_column",
        "group_pattern",
        "max_eval_samples",
        "max_bad_share",
        "eval_batch_size",
    ),
    *("metric", "mixed_precision", "num_workers"),
)
PATH = click.Path(path_type=Path)


@dataclass(frozen=True)
class EvaluateRequest:
    """What is to be evaluated, and what is to be done with the answer."""

    output_dir: Path
    model: str | None
    model_revision: str | None
    trust_remote_code: bool
    split: str
    label_map: Path | None
    calibrate: bool
    compare: Path | None
    update_card: bool
    predictions: Path | None
    aggregate: tuple[Path, ...]

    def __post_init__(self) -> None:
        """Check that exactly one thing is asked.

        Raises:
            SettingError: None or several of --model, --predictions and --aggregate were given.
        """
        given = [bool(self.model), self.predictions is not None, bool(self.aggregate)]
        if sum(given) != 1:
            raise SettingError(
                "Give one of --model (a run or a Hub id), --predictions (a predictions.csv) and"
                " --aggregate (several runs)."
            )
        if self.update_card and not (self.model and Path(self.model).is_dir()):
            raise SettingError("--update-card needs a run folder as --model: its card is there.")
        if self.calibrate and not self.model:
            raise SettingError("--calibrate needs --model: the temperature is in its config.json.")


OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--output-dir", type=PATH, required=True, help="Folder for the results."),
    click.option("--model", help="Run folder or Hub id of a finished audio classifier."),
    click.option("--model-revision", help="Branch, tag or commit of the model."),
    click.option(
        "--trust-remote-code",
        is_flag=True,
        help="Run the code that lies beside the model; on the Hub, --model-revision must be a"
        " commit.",
    ),
    click.option("--split", default="test", show_default=True, help="Which clips to judge."),
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


Settings = dict[str, Any]  # setting name -> value


def evaluate_command(
    function: Callable[[EvaluateRequest, Settings, Settings], None],
) -> click.Command:
    """Make a function of a question, the typed settings and the preset's into a command.

    A setting that was not typed is not passed on, so that the model's own run can answer for it.
    The settings of the preset that belongs to the data set are kept apart: the run goes before
    them.
    """

    @functools.wraps(function)
    def run(**values: Any) -> None:  # noqa: ANN401
        ctx = click.get_current_context()
        with one_line_errors():
            own = {name: values[name] for name in EvaluateRequest.__dataclass_fields__}
            typed, preset = (
                {n: values[n] for n in SETTINGS if ctx.get_parameter_source(n) is source}
                for source in (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)
            )
            # --group-column "" switches off what the run or a preset says.
            typed = {name: None if value == "" else value for name, value in typed.items()}
            function(EvaluateRequest(**own), typed, preset)

    command: Any = run
    for one in reversed([one for one in iterate_settings() if one.name in SETTINGS]):
        command = make_option(one)(command)
    for option in reversed(OPTIONS):
        command = option(command)
    width = {"max_content_width": 110, "help_option_names": ["-h", "--help"]}
    return click.command(cls=SettingsCommand, settings=SETTINGS, context_settings=width)(command)
