"""The push: a run folder becomes a Hub repository in one commit, or stays whole at home.

Comes in: a run folder and `HubConfig`. Goes out: the repository's address. bundle.py says which
files travel; the run folder itself is only read. A commit holds all or nothing, and a second push
of the same run makes no commit.
"""

from __future__ import annotations

import json
import logging
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi, ModelCard
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from audio_cls.config import HubConfig
from audio_cls.errors import HubError, list_names
from audio_cls.publishing.bundle import gather_files
from audio_cls.publishing.card import make_license_keys
from audio_cls.publishing.outage import (
    Failure,
    is_malformed_token,
    is_outage,
    list_secrets,
    retry,
    to_reason,
)
from audio_cls.publishing.record import is_repo_id, to_line

logger = logging.getLogger(__name__)


def check_hub(cfg: HubConfig, run_name: str) -> str:
    """Check, before training, that the run can be published. Asks the Hub. Main process only.

    Args:
        cfg: Where to publish.
        run_name: The run folder's name, of which the repository's is made when none is given.

    Returns:
        The repository's id, with its namespace.

    Raises:
        HubError: Nobody is logged in, the token may not write there, the name or the licence is not
            possible, or the Hub cannot be reached.
    """
    api, repo_id = HfApi(library_name="audio_cls"), cfg.hub_repo_id or run_name
    try:
        who = retry(api.whoami, attempts=3)
        repo_id = make_repo_id(cfg.hub_repo_id, str(who["name"]), run_name)
        _check_rights(who, repo_id)
        if cfg.license:
            keys = make_license_keys(cfg.license)
            card = ModelCard(f"---\n{json.dumps(keys)}\n---\n")
            retry(card.validate, attempts=3)
    except HubError:
        raise
    except Failure as error:
        if is_outage(error):
            raise HubError(
                f"The Hub cannot be reached now ({to_reason(error)}). Train without --push-to-hub"
                " and publish the run later: python scripts/publish.py RUN"
            ) from error
        if cfg.license and isinstance(error, ValueError) and "license" in str(error):
            raise HubError(
                f"--license {cfg.license} is not a licence id of the Hub: it has apache-2.0, mit,"
                " cc-by-4.0, cc-by-nc-4.0, other ... (https://hf.co/docs/hub/repositories-licenses)."
            ) from error
        raise explain_refusal(error, repo_id) from error
    return repo_id


def make_repo_id(given: str | None, user: str, run_name: str) -> str:
    """Complete a repository's id.

    >>> make_repo_id(None, "ann", "my run: 2"), make_repo_id("gtzan", "ann", "x")
    ('ann/my-run-2', 'ann/gtzan')

    Raises:
        HubError: `given` is no id.
    """
    slug = re.sub(r"[^A-Za-z0-9_.]+", "-", run_name.removesuffix(".git"))
    slug = re.sub(r"-*\.{2,}-*|-{2,}", "-", slug)[:96].strip("-.") or "audio-classifier"
    repo_id = f"{user}/{slug}" if given is None else given if "/" in given else f"{user}/{given}"
    if not is_repo_id(repo_id):
        raise HubError(
            f"--hub-repo-id {to_line(given, 120)} is not possible: it is OWNER/NAME of letters,"
            f" digits, '-', '_' and '.'. Try --hub-repo-id {user}/{slug}"
        )
    return repo_id


def _check_rights(who: Mapping[str, Any], repo_id: str) -> None:
    """Refuse a token that cannot write under the repository's owner, as far as whoami tells."""
    owner, user = repo_id.partition("/")[0], str(who["name"])
    token = (who.get("auth") or {}).get("accessToken") or {}
    orgs = {str(org.get("name")): org.get("roleInOrg") for org in who.get("orgs") or []}
    role, grants = token.get("role"), token.get("fineGrained") or {}
    if owner != user and owner not in orgs:
        raise HubError(
            f"'{owner}' is neither you nor an organisation of yours: a repository can be under"
            f" {list_names([user, *orgs])}. Give --hub-repo-id {user}/{repo_id.partition('/')[2]}"
        )
    can_write = role != "read" and (owner == user or orgs[owner] != "read")
    if role == "fineGrained" and grants:
        can_write = any(
            (grant.get("entity") or {}).get("name") in (owner, repo_id)
            and "repo.write" in (grant.get("permissions") or [])
            for grant in grants.get("scoped") or []
        )
    if not can_write:
        raise HubError(_say_no_rights(repo_id))


def _say_no_rights(repo_id: str) -> str:
    """Say how to get a token that may write."""
    return (
        f"The token may read but not write to '{repo_id}': make one with write access at"
        " https://huggingface.co/settings/tokens and log in with it: hf auth login"
    )


def find_license(repo_id: str, revision: str | None, repo_type: str = "model") -> str | None:
    """Ask the Hub for the licence of a model or data set; None when it cannot tell."""
    try:
        info = HfApi(library_name="audio_cls").repo_info(
            repo_id, revision=revision, repo_type=repo_type, timeout=10
        )
    except Failure:
        return None
    card = getattr(info, "card_data", None)
    licence = card.get("license") if card else None
    return licence if isinstance(licence, str) else None


def push_run(run: Path, cfg: HubConfig, repo_id: str) -> str | None:
    """Publish a run folder in one commit. Asks the Hub; reads RUN only. Main process only.

    Args:
        run: The run folder.
        cfg: Whether a new repository is private.
        repo_id: Where to, as `check_hub` returned it.

    Returns:
        The repository's address; None when the Hub could not be reached: then the log says how to
        publish later.

    Raises:
        HubError: The Hub refused; the run is whole, and the text says what to mend.
        RunFolderError: The folder holds no finished run.
    """
    api = HfApi(library_name="audio_cls")
    files = gather_files(run, repo_id, list_secrets())
    try:
        retry(lambda: api.create_repo(repo_id, private=cfg.private or None, exist_ok=True))
        if cfg.private and not retry(lambda: api.model_info(repo_id)).private:
            raise HubError(
                f"--private was asked for, and '{repo_id}' is public already. Give another"
                " --hub-repo-id, or make it private in its settings on the Hub first."
            )
        retry(lambda: _commit(api, repo_id, files))
    except HubError:
        raise
    except Failure as error:
        if not is_outage(error):
            raise explain_refusal(error, repo_id) from error
        logger.warning("%s", _say_later(run, repo_id, error))
        return None
    return f"{api.endpoint}/{repo_id}"


def _commit(api: HfApi, repo_id: str, files: Mapping[str, bytes | Path]) -> None:
    """Send what the repository does not have yet, as one commit.

    The operations are made anew for each attempt: after a lost answer the client then sees that the
    files are there, and makes no second commit.
    """
    operations = [
        CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))
        for path, content in files.items()
    ]
    api.create_commit(repo_id, operations, commit_message="Publish a run of audio_cls")


def explain_refusal(error: BaseException, repo_id: str) -> HubError:
    """Turn the client's error into one sentence that says what to do."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, LocalTokenNotFoundError):
        return HubError("Nobody is logged in to the Hub. Log in first: hf auth login")
    if status == 401 or is_malformed_token(error):
        return HubError(
            "The Hub does not accept this token. Log in again: hf auth login"
            " (HF_TOKEN in the environment comes before the login: unset or renew it)"
        )
    if status == 403:
        return HubError(_say_no_rights(repo_id))
    if "README.md" in str(error):
        return HubError(
            f"The Hub refuses the card: {to_reason(error)}. Mend README.md in the run folder, or"
            " delete it so that it is written anew; then: python scripts/publish.py RUN"
        )
    return HubError(
        f"The Hub refuses to publish '{repo_id}': {to_reason(error)}. The run is whole; mend"
        " this, then: python scripts/publish.py RUN"
    )


def _say_later(run: Path, repo_id: str, error: BaseException) -> str:
    """Say that nothing is lost, and how to publish later."""
    line = shlex.join(["python", "scripts/publish.py", str(run), "--hub-repo-id", repo_id])
    return f"The run was not published ({to_reason(error)}). It is whole; publish it later: {line}"
