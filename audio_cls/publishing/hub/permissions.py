"""Check of write access to a repository, and messages for refusals of the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalTokenNotFoundError,
    RepositoryNotFoundError,
)

from audio_cls.command_names import format_command
from audio_cls.errors import HubError, list_names
from audio_cls.publishing.hub.retry import is_malformed_token, to_reason


def check_rights(who: Mapping[str, Any], repo_id: str, *, is_request: bool) -> None:
    """Refuse a token without write access to the repository's owner, as far as whoami shows.

    Args:
        who: The answer of whoami.
        repo_id: The repository.
        is_request: Only a pull request is made, for which any write token is enough.

    Raises:
        HubError: It has no access.
    """
    owner, user = repo_id.partition("/")[0], str(who["name"])
    token = (who.get("auth") or {}).get("accessToken") or {}
    orgs = {str(org.get("name")): org.get("roleInOrg") for org in who.get("orgs") or []}
    role, grants = token.get("role"), token.get("fineGrained") or {}
    if is_request and role != "read":
        return
    if owner != user and owner not in orgs:
        raise HubError(
            f"'{owner}' is neither your account nor one of your organisations; you can publish"
            f" under {list_names([user, *orgs])}. Give --hub-repo-id"
            f" {user}/{repo_id.partition('/')[2]}"
        )
    can_write = role != "read" and (owner == user or orgs.get(owner) != "read")
    if role == "fineGrained" and grants:
        can_write = any(
            (grant.get("entity") or {}).get("name") in (owner, repo_id)
            and "repo.write" in (grant.get("permissions") or [])
            for grant in grants.get("scoped") or []
        )
    if not can_write:
        raise HubError(explain_missing_rights(repo_id))


def explain_missing_rights(repo_id: str) -> str:
    """Return a message on how to get a write token."""
    return (
        f"The token has no write access to '{repo_id}'. Make one with write access at"
        " https://huggingface.co/settings/tokens and log in with it: hf auth login"
    )


def explain_refusal(error: BaseException, repo_id: str) -> HubError:
    """Return the client's error as a message with what to do."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, LocalTokenNotFoundError):
        return HubError("You are not logged in to the Hub. Run: hf auth login")
    if isinstance(error, RepositoryNotFoundError):
        return HubError(
            f"The Hub has no model '{repo_id}' that you can access, and --create-pr needs an"
            " existing one. Publish without --create-pr to create the repository."
        )
    if status == 401 or is_malformed_token(error):
        return HubError(
            "The Hub does not accept this token. Log in again: hf auth login"
            " (the environment variable HF_TOKEN takes precedence over the login: unset or renew"
            " it)"
        )
    if status == 403:
        return HubError(explain_missing_rights(repo_id))
    if "README.md" in str(error):
        return HubError(
            f"The Hub refuses the model card: {to_reason(error)}. Fix README.md in the run folder,"
            f" or delete it so that it is written again; then: {format_command('publish', 'RUN')}"
        )
    return HubError(
        f"The Hub refuses to publish '{repo_id}': {to_reason(error)}. The run is complete; fix"
        f" this, then: {format_command('publish', 'RUN')}"
    )
