"""Upload of a run folder to a Hub repository in one commit.

The commit has all files or none, and a second upload of the same run makes no commit. `files`
selects the files; the run folder is only read.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from huggingface_hub import (
    CommitInfo,
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
)

from audio_cls.command_names import format_command
from audio_cls.config import HubConfig, flag_name
from audio_cls.errors import HubError, count_of, list_names
from audio_cls.progress import ProgressReport
from audio_cls.publishing.hub.files import find_stale, gather_files
from audio_cls.publishing.hub.permissions import explain_refusal
from audio_cls.publishing.hub.preflight import check_hub, check_texts, make_repo_id
from audio_cls.publishing.hub.retry import (
    ATTEMPTS,
    Failure,
    is_outage,
    lacks_xet,
    list_secrets,
    retry,
    to_reason,
)
from audio_cls.publishing.hub.weights import ONNX_FOLDER, find_other_weights
from audio_cls.publishing.run_record import load_run

logger = logging.getLogger(__name__)

RESULTS = "results.json"  # published by a finished run only
TITLE = "Publish a run of audio_cls"  # of every commit, and of a pull request
FLAGS = ("private", "create_pr", "push_logs")  # of `audio-cls publish`
CommitOperation: TypeAlias = CommitOperationAdd | CommitOperationDelete


def push_run(run: Path, cfg: HubConfig, repo_id: str) -> str | None:
    """Publish a run folder in one commit. Online; reads RUN only. Main process only.

    Args:
        run: The run folder.
        cfg: What is published, whether a new repository is private, whether as a pull request.
        repo_id: As `check_hub` returned it.

    Returns:
        The URL of the repository or of the pull request; None when the Hub could not be reached:
        the log then has the command to publish later.

    Raises:
        HubError: The Hub refused; the run folder is complete, and the message names what to change.
        RunFolderError: The folder has no finished run.
    """
    files = gather_files(run, repo_id, cfg, list_secrets())
    try:
        with ProgressReport("Uploading to the Hub", None, logger):  # large files have a bar, too
            address = send_files(files, cfg, repo_id)
    except HubError:
        raise
    except Failure as error:
        if not is_outage(error):
            raise explain_refusal(error, repo_id) from error
        logger.warning("%s", _explain_later_upload(run, cfg, repo_id, error))
        return None
    size = sum(len(f) if isinstance(f, bytes) else f.stat().st_size for f in files.values())
    number = count_of(len(files), "file")
    logger.info("Published %s (%.1f MB) of '%s': %s", number, size / 1e6, run, address)
    return address


def has_results(repo_id: str) -> bool:
    """Return whether a repository has a finished run; False without an answer. Online."""
    try:
        return bool(HfApi(library_name="audio_cls").file_exists(repo_id, RESULTS))
    except Failure:
        return False


def send_files(
    files: Mapping[str, bytes | Path],
    cfg: HubConfig,
    repo_id: str,
    *,
    attempts: int = ATTEMPTS,
    is_finished: bool = True,
) -> str:
    """Upload files to a repository, in one commit or none. Online.

    Args:
        files: Path in the repository -> content, or the file with it.
        cfg: Whether a new repository is private, and whether a pull request is made.
        repo_id: The repository.
        attempts: Number of attempts of each request.
        is_finished: The files are of a finished run. Files of a run in training do not replace the
            results of a finished one.

    Returns:
        The URL of the repository or of the pull request.

    Raises:
        HubError: `--private` is set and the repository is public; or it has a finished run, and
            these files are of one in training.
        OSError, ValueError, HTTPError: Errors of the client.
    """
    api = HfApi(library_name="audio_cls")
    if cfg.create_pr:
        place = retry(lambda: _commit_to_request(api, repo_id, files), attempts=attempts)
        return f"{api.endpoint}/{repo_id}{place}"
    retry(
        lambda: api.create_repo(repo_id, private=cfg.private or None, exist_ok=True),
        attempts=attempts,
    )
    if cfg.private and not retry(lambda: api.model_info(repo_id), attempts=attempts).private:
        raise HubError(
            f"--private was given, but '{repo_id}' is public. Give another --hub-repo-id, or make"
            " it private in its settings on the Hub first."
        )
    if not is_finished and retry(lambda: api.file_exists(repo_id, RESULTS), attempts=attempts):
        raise HubError(explain_finished_run(repo_id))
    retry(lambda: _commit(api, repo_id, files, "main"), attempts=attempts)
    return f"{api.endpoint}/{repo_id}"


def explain_finished_run(repo_id: str) -> str:
    """Return why a run in training is not published in a repository."""
    return (
        f"'{repo_id}' has a finished run: its model and results are kept until this run has ended."
        " To publish the best model so far, give another --hub-repo-id"
    )


def _commit(
    api: HfApi,
    repo_id: str,
    files: Mapping[str, bytes | Path],
    revision: str,
    *,
    create_pr: bool = False,
) -> CommitInfo:
    """Upload what the repository does not have, and delete files of an earlier run, in one commit.

    ONNX files are deleted where they are of other weights.
    """
    there = api.list_repo_files(repo_id, revision=revision)
    stale = find_stale(there, files)
    exported = [name for name in there if name.startswith(ONNX_FOLDER)]
    if exported and find_other_weights(api, repo_id, files, revision):
        logger.warning(
            "The ONNX files in %s are of other weights and are removed: %s. Add them again with"
            " audio-cls export --push.",
            repo_id,
            list_names(exported),
        )
        stale += exported
    return send_commit(
        api, repo_id, files, stale, title=TITLE, revision=revision, create_pr=create_pr
    )


def send_commit(  # noqa: PLR0913 (the options of create_commit)
    api: HfApi,
    repo_id: str,
    files: Mapping[str, bytes | Path],
    stale: Sequence[str],
    *,
    title: str,
    revision: str = "main",
    create_pr: bool = False,
) -> CommitInfo:
    """Upload files and delete others, in one commit.

    The operations are created again for each attempt: after a lost answer the client then finds the
    files in the repository, and makes no second commit.

    Args:
        api: The client.
        repo_id: The repository.
        files: Path in the repository -> content, or the file with it.
        stale: Paths to delete.
        title: Of the commit.
        revision: Branch or pull request.
        create_pr: Make a pull request instead.

    Raises:
        OSError, ValueError, HTTPError: Errors of the client.
    """

    def send() -> CommitInfo:
        operations: list[CommitOperation] = [
            CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))
            for path, content in files.items()
        ]
        operations += [CommitOperationDelete(path) for path in stale]
        try:
            return api.create_commit(
                repo_id, operations, commit_message=title, revision=revision, create_pr=create_pr
            )
        except RuntimeError as error:  # the client's error for a file that failed
            if isinstance(error.__cause__, Failure):
                raise error.__cause__ from None
            raise

    try:
        return send()
    except Failure as error:
        if constants.HF_HUB_DISABLE_XET or not lacks_xet(error):
            raise
    # hf_xet, where installed, does not ask whether the server supports Xet; plain LFS always works.
    logger.info("This Hub has no Xet storage: large files use LFS (HF_HUB_DISABLE_XET=1).")
    constants.HF_HUB_DISABLE_XET = True
    return send()


def _commit_to_request(api: HfApi, repo_id: str, files: Mapping[str, bytes | Path]) -> str:
    """Upload the files as a pull request, or to an open one of this package.

    Searching first makes a repetition after a lost answer find its pull request.

    Returns:
        "/discussions/N"; empty when the repository has the files already.
    """
    user = str(api.whoami()["name"])
    numbers = [
        one.num
        for one in api.get_repo_discussions(
            repo_id, author=user, discussion_type="pull_request", discussion_status="open"
        )
        if one.title == TITLE
    ]
    if numbers:
        _commit(api, repo_id, files, f"refs/pr/{numbers[0]}")
        return f"/discussions/{numbers[0]}"
    made = _commit(api, repo_id, files, "main", create_pr=True)
    return f"/discussions/{made.pr_num}" if made.pr_num else ""


def publish_finished_run(run: Path, typed: Mapping[str, object]) -> str | None:
    """Publish a finished run with its settings, overridden by `typed`.

    Args:
        run: The run folder.
        typed: Settings of `HubConfig` by name; None leaves the run's value.

    Returns:
        See `push_run`.

    Raises:
        HubError: See `check_hub` and `push_run`; an outage before the upload only logs a warning.
        RunFolderError: The folder has no finished run, or invalid settings.
    """
    settings = load_run(run).settings.get("hub", {})
    known = {spec.name for spec in dataclasses.fields(HubConfig)}
    values = {name: value for name, value in settings.items() if name in known}
    values |= {"hub_strategy": "end"} | {k: v for k, v in typed.items() if v is not None}
    cfg = HubConfig(**values)
    check_texts(cfg)
    # Mistakes on this machine are reported before the Hub is asked for the user's name.
    gather_files(run, make_repo_id(cfg.hub_repo_id, "USER", run.absolute().name), cfg)
    try:
        repo_id = check_hub(cfg, run.absolute().name)
    except HubError as error:
        if error.__cause__ is None or not is_outage(error.__cause__):
            raise
        logger.warning("%s", _explain_later_upload(run, cfg, cfg.hub_repo_id, error.__cause__))
        return None
    return push_run(run, cfg, repo_id)


def _explain_later_upload(
    run: Path, cfg: HubConfig, repo_id: str | None, error: BaseException
) -> str:
    """Return a message that the run is complete, and how to publish it later."""
    words = [str(run)]
    words += ["--hub-repo-id", repo_id] if repo_id else []
    words += [flag_name(name) for name in FLAGS if getattr(cfg, name)]
    default = HubConfig().publish_ids
    words += ["--publish-ids", cfg.publish_ids] if cfg.publish_ids != default else []
    reason, line = to_reason(error), format_command("publish", *words)
    return f"The run was not published ({reason}). It is complete; publish it later: {line}"
