"""The command `audio-cls` with its subcommands; each is imported when it is called."""

from __future__ import annotations

import importlib

import click

from audio_cls import __version__
from audio_cls.cli.options.base_command import BaseCommand
from audio_cls.errors import list_names, suggest_name

COMMANDS = {  # name -> its module in this package, and the line that --help shows
    "train": ("train", "Train an audio classifier and write its model card."),
    "evaluate": ("evaluate", "Evaluate a model on a data set, or recompute its metrics."),
    "predict": ("inference.predict", "Classify audio files with a trained model."),
    "listen": ("inference.listen", "Detect sounds live: from a microphone, a file or a pipe."),
    "demo": ("inference.demo", "Show a page that classifies clips, or write it as a Space."),
    "export": ("inference.export", "Export a model to ONNX, to run it without PyTorch."),
    "embed": ("inference.embed", "Write the embeddings of audio files to a parquet file."),
    "search": ("inference.search", "Find the files that sound most like a clip."),
    "inspect": ("inspect", "Summarise a data set: classes, durations, duplicates."),
    "publish": ("publish", "Publish a finished run on the Hugging Face Hub."),
    "leaderboard": ("leaderboard", "Rank the Hub's models of a data set by their results."),
    "benchmark": ("benchmark", "Measure training speed against transformers' Trainer."),
    "cache": ("cache", "List, measure and delete cached files."),
}


class LazyGroup(BaseCommand, click.Group):
    """A group that imports a subcommand's module only when that subcommand is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the subcommands in the order in which they are usually needed."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        if cmd_name not in COMMANDS:
            ctx.fail(
                f"There is no command '{cmd_name}': it is one of {list_names(COMMANDS)}."
                f"{suggest_name(cmd_name, COMMANDS)}"
            )
        module = importlib.import_module(f"audio_cls.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.main
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    examples=(
        "inspect --dataset my_clips",
        "train --dataset my_clips --output-dir runs/my_run",
        "predict runs/my_run song.mp3",
    ),
)
@click.version_option(__version__, prog_name="audio-cls")
def main() -> None:
    """Train, evaluate and publish audio classifiers.

    Options of a command: `audio-cls COMMAND --help`. To train on several processes or GPUs:
    `accelerate launch -m audio_cls.cli.train`. Ready-made recipes:
    `audio-cls train --list-presets`.
    """


if __name__ == "__main__":
    main()
