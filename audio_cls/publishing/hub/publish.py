"""Publication of a finished run; in a dry run only a check of what would be published."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import ModelCard

from audio_cls.config import HubConfig, RunConfig
from audio_cls.errors import HubError
from audio_cls.publishing.hub.files import gather_files
from audio_cls.publishing.hub.permissions import explain_refusal
from audio_cls.publishing.hub.push import push_run
from audio_cls.publishing.hub.retry import Failure, list_secrets, retry


def publish_run(run: Path, cfg: RunConfig, repo_id: str | None) -> str | None:
    """Publish a run folder, if requested. Online. Main process only.

    Args:
        run: The run folder.
        cfg: What is published, and whether this is a dry run.
        repo_id: As `check_hub` returned it; None when nothing is published.

    Returns:
        The URL of the repository or of the pull request; None when nothing was published.

    Raises:
        HubError: See `push_run` and `check_files`.
    """
    if repo_id is not None and cfg.train.dry_run:
        check_files(run, repo_id, cfg.hub)
    elif repo_id is not None:
        return push_run(run, cfg.hub, repo_id)
    return None


def check_files(run: Path, repo_id: str, cfg: HubConfig) -> None:
    """Collect what would be published and let the Hub validate the card. Online.

    Raises:
        HubError: The Hub refuses the card, or cannot be reached.
        RunFolderError: A file does not have the format of its name.
    """
    card = gather_files(run, repo_id, cfg, list_secrets())["README.md"]
    text = card.decode() if isinstance(card, bytes) else card.read_text("utf-8")
    try:
        retry(ModelCard(text).validate, attempts=3)
    except HubError:
        raise
    except Failure as error:
        raise explain_refusal(error, repo_id) from error
