"""Versions of the libraries: a run that is repeated with others warns."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_cls import config_from_preset
from audio_cls.versions import describe_versions, warn_other_versions


def test_each_version_that_differs_is_named(caplog: pytest.LogCaptureFixture) -> None:
    now = describe_versions()
    warn_other_versions({"versions": now})
    warn_other_versions({})
    warn_other_versions(None)
    assert not caplog.records
    warn_other_versions({"versions": now | {"torch": "2.6.0", "transformers": "5.18.0"}})
    text = f"torch 2.6.0 is now {now['torch']}, transformers 5.18.0 is now {now['transformers']}."
    assert text in caplog.text


def test_a_run_is_repeated_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "run_config.yaml"
    file.write_text("data: {dataset: clips}\nrecord: {versions: {torch: 2.6.0}}\n")
    config_from_preset(file)
    assert caplog.text.count("torch 2.6.0 is now") == 1
    caplog.clear()
    config_from_preset(file, {"resume": "auto"})  # which warns when the run folder is open
    assert "is now" not in caplog.text
