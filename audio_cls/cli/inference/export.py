"""Command `export`: a trained model to ONNX."""

from __future__ import annotations

from pathlib import Path

import click

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.options.base_command import BaseCommand

PATH = click.Path(path_type=Path)


@click.command(
    cls=BaseCommand,
    program="export",
    examples=("runs/my_run exported", "USER/NAME exported --int8 --clips my_clips"),
)
@click.argument("model")
@click.argument("out", type=PATH)
@click.option("--revision", help="Branch, tag or commit of MODEL on the Hub. Default: the newest.")
@click.option("--int8", is_flag=True, help="Also write onnx/model_quantized.onnx, int8 weights.")
@click.option(
    "--clips",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of audio files to compare on. Default: test clips of a run folder, where its data"
    " set is found, else clips of the built-in demo.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in OUT.")
@click.option(
    "--trust-remote-code",
    is_flag=True,
    help="Run code from the model's repository; on the Hub, --revision must be a commit.",
)
def main(  # noqa: PLR0913 (click passes every option by name)
    model: str,
    out: Path,
    *,
    revision: str | None,
    int8: bool,
    clips: Path | None,
    overwrite: bool,
    trust_remote_code: bool,
) -> None:
    """Export MODEL, a run folder or a Hub id, to ONNX in the folder OUT.

    Writes OUT/onnx/model.onnx with config.json, preprocessor_config.json and README.md. The result
    is compared with PyTorch at several lengths of clips; nothing is written if a logit differs by
    more than 0.001. Needs the extra `onnx`.
    """
    with one_line_errors():
        from audio_cls.export.target import check_libraries, check_target

        check_libraries()
        check_target(out, model, overwrite=overwrite)
        # Not at the top of the file, so that --help and errors need not wait for torch.
        from audio_cls.export.export_model import ExportRequest, export_model
        from audio_cls.export.readme import list_facts

        report = export_model(
            ExportRequest(
                model=model,
                out=out,
                revision=revision,
                int8=int8,
                clips=clips,
                overwrite=overwrite,
                trust_remote_code=trust_remote_code,
            )
        )
        click.echo(f"Exported to {out}")
        for fact in list_facts(report):
            click.echo(f"  {fact}")


if __name__ == "__main__":
    main()
