"""A trained model for the commands that use one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import write_tiny_checkpoint
from tiny_runs import NO_DROPOUT, make_config, set_up

from audio_cls.training.loop import train


@pytest.fixture(scope="session")
def run(tone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run with windows of 0.25 s."""
    root = tmp_path_factory.mktemp("predict")
    # With three convolutions instead of seven, it does not learn the tones in six epochs.
    checkpoint = write_tiny_checkpoint("hubert", root / "checkpoint", **NO_DROPOUT)
    cfg = make_config(
        tone_folder, checkpoint, root / "run", epochs=6, learning_rate=3e-3, max_seconds=0.25
    )
    train(set_up(cfg))
    return root / "run"
