"""Command `demo`: a page that classifies clips, on this machine or as a Hugging Face Space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.options import model_options
from audio_cls.cli.options.base_command import BaseCommand

PUSH_OPTIONS = ("push_space", "space_hardware", "private")


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
@model_options.revision()
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
@model_options.calibrate()
@model_options.trust_remote_code()
@click.option(
    "--space",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the page as the folder of a Hugging Face Space, which `python app.py` also runs.",
)
@click.option(
    "--static",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write a static page whose model runs in the browser, by transformers.js and ONNX.",
)
@click.option("--int8", is_flag=True, help="--static: int8 weights, a quarter of the size.")
@click.option(
    "--npm-packages",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="--static: folder with the tarballs of transformers.js and onnxruntime-web. Default:"
    " download them.",
)
@click.option(
    "--push-space",
    metavar="ID",
    help="Upload the folder of --space or --static to the Hub as Space OWNER/NAME.",
)
@click.option(
    "--space-hardware",
    metavar="NAME",
    help="Hardware of a new Space: zero-a10g for ZeroGPU. Default: the CPU.",
)
@click.option("--private", is_flag=True, help="Make a new Space private.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier folder of --space or --static.")
def main(
    *,
    model: str,
    revision: str | None,
    space: Path | None,
    static: Path | None,
    **given: Any,  # noqa: ANN401
) -> None:
    """Show a page that classifies clips with MODEL, a run folder or a Hub id.

    The page takes uploads and recordings, and classifies the live sound of a microphone. It is
    reached from this machine only, and sends nothing to another one. Uploaded clips are deleted
    after an hour. Ctrl-C ends it. With --space or --static, the page is written into a folder
    instead.
    """
    pushed = {name: given.pop(name) for name in PUSH_OPTIONS}
    static_options = {name: given.pop(name) for name in ("int8", "npm_packages")}
    check_options(space, static, given["dataset"], pushed, static_options)
    with one_line_errors():
        from audio_cls.demo.options import DemoOptions

        options = DemoOptions(**given)
        if space is not None:
            from audio_cls.demo.space.write_space import write_space

            is_zero_gpu = (pushed["space_hardware"] or "").startswith("zero")
            write_space(space, model, revision, options, is_zero_gpu=is_zero_gpu)
            click.echo(f"Wrote '{space}'. Run the page: python {space / 'app.py'}")
            push(space, "gradio", **pushed)
        elif static is not None:
            from audio_cls.demo.static.write_static import write_static

            write_static(static, model, revision, options, **static_options)
            click.echo(f"Wrote '{static}'. Run the page: python -m http.server -d {static}")
            push(static, "static", **pushed)
        else:
            from audio_cls.demo.start import start_demo

            start_demo(model, revision, options)


def check_options(
    space: Path | None,
    static: Path | None,
    dataset: str | None,
    pushed: dict[str, Any],
    static_options: dict[str, Any],
) -> None:
    """Check that the options belong together.

    Raises:
        UsageError: They do not.
    """
    if space is not None and static is not None:
        raise click.UsageError("--space and --static exclude each other: choose one kind of page.")
    if space is None and static is None and any(pushed.values()):
        raise click.UsageError(
            "--push-space, --space-hardware and --private need --space or --static."
        )
    if static is None and any(static_options.values()):
        raise click.UsageError("--int8 and --npm-packages need --static DIR.")
    if dataset is not None and (space is not None or static is not None):
        raise click.UsageError("--dataset is for the local page only: a Space has no such tab.")


def push(
    folder: Path, sdk: str, *, push_space: str | None, space_hardware: str | None, private: bool
) -> None:
    """Upload a folder to a Space, if asked for, and print its address."""
    if push_space is not None:
        from audio_cls.publishing.hub import push_space as hub

        address = hub.push_space(
            folder, push_space, sdk=sdk, hardware=space_hardware, private=private
        )
        click.echo(address)


if __name__ == "__main__":
    main()
