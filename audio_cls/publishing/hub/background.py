"""Uploads of the best model during training, in a background thread (`--hub-strategy`).

The files are copied first, so that the next epoch may overwrite them. Only the newest copy waits to
be uploaded. A failed upload is logged and does not stop the training.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audio_cls.config import HubConfig
from audio_cls.distributed.processes import is_main_process
from audio_cls.errors import AudioClsError
from audio_cls.publishing.hub.files import EARLY_FILES, gather_early_files
from audio_cls.publishing.hub.push import explain_finished_run, has_results, send_files
from audio_cls.publishing.hub.retry import Failure, list_secrets, to_reason

logger = logging.getLogger(__name__)

ATTEMPTS = 3  # of a commit that the next one replaces
DRAFT = ".publishing-"  # prefix of the copies' folders in the run folder


class BackgroundUploader:
    """Upload of copies of a run's best model in a thread, one at a time, the newest first."""

    def __init__(self, run: Path, cfg: HubConfig, repo_id: str) -> None:
        self.run, self.cfg, self.repo_id = run, cfg, repo_id
        self.waiting: Path | None = None
        self.is_closed = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._work, name="background-upload", daemon=True)
        for rest in run.glob(f"{DRAFT}*"):  # of a run that was killed
            shutil.rmtree(rest, ignore_errors=True)
        self.thread.start()

    def after_best(self) -> None:
        """Upload the new best model, with `--hub-strategy best`."""
        if self.cfg.hub_strategy == "best":
            self.enqueue()

    def after_checkpoint(self) -> None:
        """Upload the best model so far, with `--hub-strategy every-save`."""
        if self.cfg.hub_strategy != "best":
            self.enqueue()

    def enqueue(self) -> None:
        """Copy the best model as it is now; the copy replaces one that waits."""
        try:
            copy = Path(tempfile.mkdtemp(prefix=DRAFT, dir=self.run))
            for pattern in EARLY_FILES:
                for path in self.run.glob(pattern):
                    shutil.copy2(path, copy / path.name)
        except OSError as error:
            logger.warning("Upload of the best model failed (%s).", to_reason(error))
            return
        with self.changed:
            older, self.waiting = self.waiting, copy
            self.changed.notify()
        if older is not None:
            shutil.rmtree(older, ignore_errors=True)

    def close(self) -> None:
        """Wait for the upload in progress; a copy that still waits is discarded."""
        with self.changed:
            self.is_closed = True
            self.changed.notify()
        self.thread.join()
        if self.waiting is not None:
            shutil.rmtree(self.waiting, ignore_errors=True)

    def _work(self) -> None:
        """Upload copies until closed."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.is_closed or self.waiting is not None)
                if self.is_closed:
                    return
                copy, self.waiting = self.waiting, None
            if copy is not None:
                self._send(copy)
                shutil.rmtree(copy, ignore_errors=True)

    def _send(self, copy: Path) -> None:
        """Upload one copy; a failure is only logged."""
        try:
            files = gather_early_files(copy, self.repo_id, self.cfg, list_secrets())
            send_files(files, self.cfg, self.repo_id, attempts=ATTEMPTS, is_finished=False)
        except (AudioClsError, *Failure) as error:
            reason = to_reason(error)
            logger.warning("Upload of the best model failed (%s); training continues.", reason)


@contextmanager
def upload_during_training(
    run: Path, cfg: HubConfig, repo_id: str | None
) -> Iterator[BackgroundUploader | None]:
    """Upload the best model while a run trains inside, as given by `--hub-strategy`.

    Call on every process. At the end it waits for the upload in progress. A repository that has the
    results of a finished run keeps them until this run has ended.

    Args:
        run: The run folder.
        cfg: When to upload.
        repo_id: Where to, as `run_preflight` returned it; None when nothing is published.

    Yields:
        The callbacks of the training; None on processes and in runs that upload nothing.
    """
    if repo_id is None or cfg.hub_strategy == "end" or not is_main_process():
        yield None
        return
    if has_results(repo_id):
        logger.warning("%s.", explain_finished_run(repo_id))
        yield None
        return
    uploader = BackgroundUploader(run, cfg, repo_id)
    try:
        yield uploader
    finally:
        uploader.close()
