"""Command `demo`: a page that classifies clips, on this machine or as a Hugging Face Space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.options.base_command import BaseCommand


@click.command(
    cls=BaseCommand,
    program="demo",
    examples=(
        "runs/my_run",
        "runs/my_run --dataset my_clips",
        "runs/my_run --space my_space --push-space USER/NAME",
    ),
)
@click.argument("model")
@click.option("--revision", help="Branch, tag or commit of MODEL on the Hub. Default: the newest.")
@click.option(
    "--dataset",
    help="Also list the clips of this data set and the model's mistakes, to listen to: a folder, a"
    " table or a Hub id.",
)
@click.option("--title", help="Title of the page. Default: the name of MODEL.")
@click.option("--label-column", help="Column of --dataset with the label.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port of the page. Default: from 7860, a free one.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=1),
    default=600.0,
    show_default=True,
    help="Longest clip that the page accepts.",
)
@click.option(
    "--max-megabytes",
    type=click.FloatRange(min=0.1),
    default=50.0,
    show_default=True,
    help="Largest file that the page accepts.",
)
@click.option(
    "--calibrate/--no-calibrate",
    default=True,
    show_default=True,
    help="Apply the temperature fitted on validation to the scores.",
)
@click.option(
    "--trust-remote-code",
    is_flag=True,
    help="Run code from the model's repository; on the Hub, --revision must be a commit.",
)
@click.option(
    "--space",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the page as the folder of a Hugging Face Space, which `python app.py` also runs.",
)
@click.option(
    "--push-space",
    metavar="ID",
    help="Upload the folder of --space to the Hub as Space OWNER/NAME.",
)
@click.option(
    "--space-hardware",
    metavar="NAME",
    help="Hardware of a new Space: zero-a10g for ZeroGPU. Default: the CPU.",
)
@click.option("--private", is_flag=True, help="Make a new Space private.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier folder of --space.")
def main(
    *,
    model: str,
    revision: str | None,
    space: Path | None,
    push_space: str | None,
    space_hardware: str | None,
    private: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Show a page that classifies clips with MODEL, a run folder or a Hub id.

    The page takes uploads and recordings, and classifies the live sound of a microphone. It is
    reached from this machine only, and sends nothing to another one. Uploaded clips are deleted
    after an hour. Ctrl-C ends it.
    """
    if space is None and (push_space or space_hardware or private):
        raise click.UsageError("--push-space, --space-hardware and --private need --space DIR.")
    if space is not None and options["dataset"]:
        raise click.UsageError("--dataset is not for a Space: its page has no tab for a data set.")
    with one_line_errors():
        from audio_cls.demo.options import DemoOptions

        settings = DemoOptions(**options)
        if space is None:
            from audio_cls.demo.start import start_demo

            start_demo(model, revision, settings)
            return
        from audio_cls.demo.space.write_space import write_space

        is_zero_gpu = (space_hardware or "").startswith("zero")
        write_space(space, model, revision, settings, is_zero_gpu=is_zero_gpu)
        click.echo(f"Wrote '{space}'. Run the page: python {space / 'app.py'}")
        if push_space is not None:
            from audio_cls.publishing.hub.push_space import push_space as push

            options = {"hardware": space_hardware, "private": private}
            click.echo(push(space, push_space, sdk="gradio", **options))


if __name__ == "__main__":
    main()
