"""Upload of an ONNX export to the repository of its model, in one commit."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from audio_cls.command_names import format_command
from audio_cls.errors import HubError
from audio_cls.publishing.hub.permissions import check_rights, explain_refusal
from audio_cls.publishing.hub.preflight import make_repo_id
from audio_cls.publishing.hub.push import send_commit
from audio_cls.publishing.hub.retry import Failure, is_outage, retry, to_reason
from audio_cls.publishing.hub.weights import ONNX_FOLDER, find_other_weights
from audio_cls.publishing.run_record import load_run
from audio_cls.runs.run_files import WEIGHTS

TITLE = "Add the model in ONNX"  # of the commit
ATTEMPTS = 3


def check_onnx_target(model: str, hub_repo_id: str | None) -> str:
    """Find the repository of a model, and check that its export can be uploaded. Online.

    Args:
        model: Run folder or Hub id.
        hub_repo_id: The repository; None: that of the run, or the Hub id itself.

    Returns:
        The repository's id.

    Raises:
        HubError: There is no login or no write access, there is no such repository, or it has other
            weights than the run folder.
    """
    api, repo_id, run = HfApi(library_name="audio_cls"), hub_repo_id or model, Path(model)
    try:
        who = retry(api.whoami, attempts=ATTEMPTS)
        if run.is_dir():
            given = hub_repo_id or load_run(run).settings.get("hub", {}).get("hub_repo_id")
            repo_id = make_repo_id(given, str(who["name"]), run.absolute().name)
        check_rights(who, repo_id, is_request=False)
        weights = {path.name: path for path in run.glob(WEIGHTS)} if run.is_dir() else {}
        others = retry(lambda: find_other_weights(api, repo_id, weights), attempts=ATTEMPTS)
        retry(lambda: api.model_info(repo_id), attempts=ATTEMPTS)
    except HubError:
        raise
    except RepositoryNotFoundError as error:
        line = format_command("publish", run, "--hub-repo-id", repo_id)
        raise HubError(
            f"The Hub has no model '{repo_id}': an export is added to the repository of its model."
            f" Publish the model first: {line}"
        ) from error
    except Failure as error:
        raise _explain(error, repo_id) from error
    if others:
        line = format_command("publish", run, "--hub-repo-id", repo_id)
        raise HubError(
            f"'{repo_id}' has other weights than '{model}': its ONNX file would be another model."
            f" Publish this run first: {line}"
        )
    return repo_id


def push_onnx(out: Path, repo_id: str) -> str:
    """Upload OUT/onnx and OUT/README.md, as onnx/README.md, to the repository of the model. Online.

    Files of an earlier export are replaced or deleted; the model card stays as it is.

    Args:
        out: Folder of an export, which is complete whatever happens here.
        repo_id: As `check_onnx_target` returned it.

    Returns:
        The URL of the files.

    Raises:
        HubError: The Hub refused or could not be reached.
    """
    api = HfApi(library_name="audio_cls")
    files: dict[str, bytes | Path] = {
        f"{ONNX_FOLDER}{path.name}": path for path in sorted((out / "onnx").glob("*.onnx"))
    }
    files[f"{ONNX_FOLDER}README.md"] = (out / "README.md").read_bytes()

    def send() -> None:
        there = api.list_repo_files(repo_id)
        stale = [name for name in there if name.startswith(ONNX_FOLDER) and name not in files]
        send_commit(api, repo_id, files, stale, title=TITLE)

    try:
        retry(send, attempts=ATTEMPTS)
    except Failure as error:
        raise HubError(f"{_explain(error, repo_id)} The export in '{out}' is complete.") from error
    return f"{api.endpoint}/{repo_id}/tree/main/{ONNX_FOLDER.rstrip('/')}"


def _explain(error: BaseException, repo_id: str) -> HubError:
    """Return the client's error as a message with what to do."""
    if is_outage(error):
        return HubError(f"The Hub cannot be reached ({to_reason(error)}). Try again with --push.")
    return explain_refusal(error, repo_id)
