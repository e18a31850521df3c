"""Command `evaluate`: evaluate a model on a data set, or recompute metrics from predictions.csv.

audio-cls evaluate --model runs/gtzan-distilhubert
audio-cls evaluate --model USER/MODEL --dataset marsyas/gtzan
audio-cls evaluate --predictions runs/gtzan-distilhubert/predictions.csv
accelerate launch -m audio_cls.cli.evaluate --model runs/gtzan-distilhubert
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from audio_cls.cli.console import one_line_errors, set_log_level
from audio_cls.cli.options.base_command import HELP_ALL, HelpOption
from audio_cls.cli.options.commands import SettingsCommand
from audio_cls.cli.options.config_options import make_option
from audio_cls.cli.options.event_options import EVENT_OPTIONS, collect_event_values
from audio_cls.config import iterate_settings
from audio_cls.config.evaluation import EVALUATE_SETTINGS as SETTINGS

PATH = click.Path(path_type=Path)
MEANINGS = {  # help texts of settings that have another effect here than in training
    "log": "Output: text, json (the events test and end) or quiet (one line with the result).",
    "group_column": "Column such as speaker or track; intervals are computed over its values.",
    "metric": "Main metric: a name such as f1_macro, or path or Hub id of an `evaluate` module.",
    "mixed_precision": "Number format of matrix products. Default: no (float32), as in predict and"
    " transformers' pipeline.",
}
COMMON = ("dataset", "label_column", "group_column", "metric", "log")
EXAMPLES = (
    "--model runs/my_run",
    "--model USER/NAME --dataset clips",
    "--model runs/my_run --events annotations.csv --audio-root recordings",
)

OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--output-dir",
        type=PATH,
        help="Folder to write the results to. Default: MODEL/eval-DATASET; for a model of the Hub"
        " runs/MODEL-eval-DATASET; with --predictions eval-EVENTS next to that file.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace the evaluation in --output-dir."),
    click.option("--model", help="Run folder or Hub id of a trained audio classifier."),
    click.option(
        "--model-revision",
        cls=HelpOption,
        is_common=False,
        help="Branch, tag or commit of --model. Default: the newest.",
    ),
    click.option(
        "--trust-remote-code",
        cls=HelpOption,
        is_common=False,
        is_flag=True,
        help="Run code from the model's repository; a Hub id needs --model-revision COMMIT.",
    ),
    click.option("--split", default="test", show_default=True, help="Split to evaluate."),
    click.option(
        "--label-map",
        type=PATH,
        help="YAML or JSON file that maps labels of the data set to labels of the model, or to null"
        " to leave their clips out.",
    ),
    click.option(
        "--calibrate",
        is_flag=True,
        help="Apply the temperature fitted on validation.",
    ),
    click.option(
        "--compare",
        type=PATH,
        help="Folder of another run or evaluation: McNemar's test on the clips of both.",
    ),
    click.option(
        "--update-card",
        is_flag=True,
        help="Add the results to the card of --model, a folder.",
    ),
    click.option(
        "--predictions",
        type=PATH,
        help="Recompute all metrics from this predictions.csv, without a model.",
    ),
    click.option(
        "--aggregate",
        type=PATH,
        multiple=True,
        help="Folder of a finished run; give it once per seed or fold. Reports mean, standard"
        " deviation and interval over the runs.",
    ),
    *EVENT_OPTIONS,
)


def run(**values: Any) -> None:  # noqa: ANN401 (click passes every option by name)
    """Evaluate a classifier on a data set, or recompute metrics from predictions.csv.

    Without --dataset, the data set and its settings are those of the model's run. With --events,
    predicted events in long recordings are compared with annotated ones.
    """
    # Only settings given on the command line are passed on: the others are those of the model's
    # run. The preset of the data set is passed separately, since the run's settings precede it.
    ctx = click.get_current_context()
    for_events = collect_event_values(ctx, values)
    with one_line_errors():
        if for_events is not None:
            from audio_cls.workflows.events.evaluate import EventRequest, evaluate_events

            set_log_level(values["log"])
            evaluate_events(EventRequest(**for_events))
            return
        # Not at the top of the file, so that --help need not wait for torch.
        from audio_cls.workflows.evaluate import EvaluateRequest, run_evaluation

        names = [field.name for field in dataclasses.fields(EvaluateRequest)]
        typed, preset = (
            {n: values[n] for n in SETTINGS if ctx.get_parameter_source(n) is source}
            for source in (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)
        )
        # --group-column "" removes the value of the run or a preset.
        typed = {name: None if value == "" else value for name, value in typed.items()}
        set_log_level(values["log"])
        run_evaluation(EvaluateRequest(**{name: values[name] for name in names}), typed, preset)


def make_command() -> click.Command:
    """Return the command with `OPTIONS`, and the settings in `SETTINGS`."""
    command: Any = run
    for one in reversed([one for one in iterate_settings() if one.name in SETTINGS]):
        meaning = MEANINGS.get(one.name, one.meaning)
        one = dataclasses.replace(one, meaning=meaning)
        command = make_option(one, is_common=one.name in COMMON, shows_default=False)(command)
    for option in reversed((*OPTIONS, HELP_ALL)):
        command = option(command)
    return click.command(
        "evaluate", cls=SettingsCommand, settings=SETTINGS, program="evaluate", examples=EXAMPLES
    )(command)


main = make_command()

if __name__ == "__main__":
    main()
