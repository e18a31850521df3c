"""Files of a local model that a page needs: weights, configuration and code, redacted."""

from __future__ import annotations

from pathlib import Path

from audio_cls.config import HubConfig
from audio_cls.publishing.hub.files import gather_early_files, list_code_files
from audio_cls.publishing.hub.retry import list_secrets
from audio_cls.publishing.run_record import load_run

LEFT_OUT = ("README.md", "run_config.yaml")  # not needed by the page


def copy_model(model: Path, folder: Path) -> None:
    """Copy the files of a run folder that loading the model needs.

    Args:
        model: The run folder.
        folder: Where to; is made.
    """
    files = gather_early_files(model, model.name, HubConfig(), list_secrets())
    config = load_run(model, is_finished=False).model
    code = {name: model / name for name in list_code_files(config) if (model / name).is_file()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (files | code).items():
        if name not in LEFT_OUT:
            data = content if isinstance(content, bytes) else content.read_bytes()
            (folder / name).write_bytes(data)
