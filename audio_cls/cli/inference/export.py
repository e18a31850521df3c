"""Command `export`: a trained model to ONNX."""

from __future__ import annotations

from pathlib import Path

import click

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.options import model_options
from audio_cls.cli.options.base_command import BaseCommand
from audio_cls.errors import SettingError

PATH = click.Path(path_type=Path)


@click.command(
    cls=BaseCommand,
    program="export",
    examples=(
        "runs/my_run exported",
        "USER/NAME exported --int8 --clips my_clips",
        "runs/my_run exported --push",
    ),
)
@click.argument("model")
@click.argument("out", type=PATH)
@model_options.revision()
@click.option("--int8", is_flag=True, help="Also write onnx/model_quantized.onnx, int8 weights.")
@click.option(
    "--clips",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of audio files to compare on. Default: test clips of a run folder, where its data"
    " set is found, else clips of the built-in demo.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in OUT.")
@click.option(
    "--push",
    is_flag=True,
    help="Add the ONNX files to the model's repository on the Hub, which must have its weights.",
)
@click.option(
    "--hub-repo-id",
    help="With --push: the repository, USER/NAME. Default: that of the run, or MODEL.",
)
@model_options.trust_remote_code()
def main(  # noqa: PLR0913 (click passes every option by name)
    model: str,
    out: Path,
    *,
    revision: str | None,
    int8: bool,
    clips: Path | None,
    overwrite: bool,
    push: bool,
    hub_repo_id: str | None,
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
        repo_id = _check_push(model, revision, hub_repo_id) if push else None
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
                repo_id=repo_id,
                trust_remote_code=trust_remote_code,
            )
        )
        click.echo(f"Exported to {out}")
        for fact in list_facts(report):
            click.echo(f"  {fact}")
        if repo_id is not None:
            from audio_cls.publishing.hub.push_onnx import push_onnx

            click.echo(push_onnx(out, repo_id))


def _check_push(model: str, revision: str | None, hub_repo_id: str | None) -> str:
    """Return the repository to upload to, after a check of login, access and weights.

    Raises:
        SettingError: The files of an older version would be added to the newest one.
    """
    from audio_cls.publishing.hub.push_onnx import check_onnx_target

    if revision is not None:
        raise SettingError(
            "--push and --revision exclude each other: the files are added to the newest version of"
            " the repository. Leave --revision out."
        )
    return check_onnx_target(model, hub_repo_id)


if __name__ == "__main__":
    main()
