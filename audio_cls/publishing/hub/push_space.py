"""Upload of a Space folder; a refusal for payment names the three ways to host the page."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from audio_cls.errors import HubError
from audio_cls.publishing.hub.permissions import explain_missing_rights
from audio_cls.publishing.hub.retry import Failure, is_malformed_token, retry, to_reason
from audio_cls.publishing.run_record import is_repo_id, single_line

PAYMENT_REQUIRED = 402
ZERO_GPU = "zero-a10g"  # name of the hardware
TITLE = "Publish a demo page of audio_cls"  # of the commit
ATTEMPTS = 3


def push_space(
    folder: Path, repo_id: str, *, sdk: str, hardware: str | None = None, private: bool = False
) -> str:
    """Upload a folder to a Space, which is created if it does not exist. Online.

    Args:
        folder: The Space folder; it is not changed.
        repo_id: OWNER/NAME, or NAME for a Space of the user.
        sdk: gradio or static.
        hardware: Of a new Space; None: the free CPU.
        private: Whether a new Space is private.

    Returns:
        The URL of the Space.

    Raises:
        HubError: The Hub refused or could not be reached; the text has what to do.
    """
    api = HfApi(library_name="audio_cls")
    if not is_repo_id(repo_id):
        raise HubError(
            f"--push-space {single_line(repo_id, 120)} is not valid: it must be OWNER/NAME of"
            " letters, digits, '-', '_' and '.'."
        )
    try:
        if "/" not in repo_id:
            repo_id = f"{retry(api.whoami, attempts=ATTEMPTS)['name']}/{repo_id}"
        # Older clients cannot create an existing Space again where that would need payment.
        if not retry(lambda: api.repo_exists(repo_id, repo_type="space"), attempts=ATTEMPTS):
            api.create_repo(
                repo_id,
                repo_type="space",
                space_sdk=sdk,
                space_hardware=hardware,  # type: ignore[arg-type] # the client takes any name
                private=private or None,
            )
        api.upload_folder(
            repo_id=repo_id,
            repo_type="space",
            folder_path=folder,
            commit_message=TITLE,
            ignore_patterns=["**/__pycache__/**"],
        )
    except HubError:
        raise
    except (*Failure, RuntimeError) as error:  # RuntimeError: the client's for a failed file
        raise _explain(error, folder, repo_id) from error
    return f"{api.endpoint}/spaces/{repo_id}"


def _explain(error: BaseException, folder: Path, repo_id: str) -> HubError:
    """Return the client's error as a message with what to do."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    kept = f"The folder '{folder}' is complete"
    if status == PAYMENT_REQUIRED:
        return HubError(
            f"The Hub hosts a gradio Space only for paying accounts ({to_reason(error)}). {kept};"
            " three ways to host the page: 1. subscribe to PRO and give --push-space again; 2."
            f" --space-hardware {ZERO_GPU}, which is free for two Spaces of an account that is"
            " older than 30 days; 3. a static page, which is free: --static DIR --push-space"
            f" {repo_id}."
        )
    if isinstance(error, LocalTokenNotFoundError):
        return HubError(f"You are not logged in to the Hub. {kept}. Run: hf auth login")
    if status == 401 or is_malformed_token(error):
        return HubError(f"The Hub does not accept this token. {kept}. Log in: hf auth login")
    if status == 403:
        return HubError(f"{explain_missing_rights(repo_id)} {kept}.")
    return HubError(f"The Space was not uploaded: {to_reason(error)}. {kept}; try again.")
