"""Resolved runs: values for open settings, in run_config.yaml, resumed runs and presets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_runs import make_config, set_up, write_quiet_checkpoint

from audio_cls.config import RunConfig
from audio_cls.errors import Paused, RunFolderError
from audio_cls.evaluation.model_run import read_source_run
from audio_cls.presets import load_preset
from audio_cls.publishing.run_record import load_run
from audio_cls.runs.config_file import (
    check_same_settings,
    list_other_settings,
    list_other_steps,
    load_run_config,
    save_run_config,
)
from audio_cls.runs.resolved import ResolvedRun, read_resolved
from audio_cls.runs.trainer_state import FORMER_NAMES
from audio_cls.training import loop
from audio_cls.training.stopping import StopRequest

OLD, NEW = "a" * 40, "b" * 40
FOUND = ResolvedRun(
    dataset_revision=OLD,
    group_column="recording",
    problem_type="multi-label",
    model_revision=NEW,
    max_seconds=10.24,
    sampling_rate=16_000,
    metric="map",
    mixed_precision="bf16",
    batch_size=4,
    accumulation_steps=3,
    effective_batch_size=24,
)
# What an earlier version wrote for the same run: no `resolved`, its values in the sections.
OLD_SECTIONS = {
    "data": {"dataset_revision": OLD, "group_column": "recording", "problem_type": "multi-label"},
    "model": {"model_revision": NEW},
    "audio": {"max_seconds": 10.24},
    "train": {
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "effective_batch_size": 24,
        "mixed_precision": "bf16",
    },
    "eval": {"metric": "map"},
}


def _config(**changes: object) -> RunConfig:
    return RunConfig.from_flat({"dataset": "owner/name", "batch_size": "auto", **changes})


def _write_old(run: Path, cfg: RunConfig) -> None:
    """Write the run_config.yaml of an earlier version."""
    tree: dict[str, Any] = cfg.to_nested()
    for section, values in OLD_SECTIONS.items():
        tree[section] |= values
    run.mkdir()
    (run / "run_config.yaml").write_text(yaml.safe_dump({**tree, "record": {}}))


def _write_both(tmp_path: Path, **changes: object) -> tuple[Path, Path]:
    """Write the same run as this and as an earlier version wrote it; return the folders."""
    new, old = tmp_path / "new", tmp_path / "old"
    new.mkdir()
    save_run_config(new, _config(**changes), FOUND, {})
    _write_old(old, _config(**changes))
    return new, old


def test_only_settings_that_were_left_open_are_filled() -> None:
    cfg = FOUND.apply(_config())
    nested = cfg.to_nested()
    for section, values in OLD_SECTIONS.items():
        assert {name: nested[section][name] for name in values} == values
    typed = {"metric": "f1_macro", "max_seconds": 4.0, "group_column": "singer", "batch_size": 2}
    kept = FOUND.apply(_config(**typed, gradient_accumulation_steps=5))
    assert (kept.eval.metric, kept.audio.max_seconds) == ("f1_macro", 4.0)
    assert (kept.data.group_column, kept.train.batch_size) == ("singer", 2)
    assert (kept.train.gradient_accumulation_steps, kept.train.effective_batch_size) == (5, None)
    assert FOUND.apply(_config(dataset_revision="main")).data.dataset_revision == OLD
    assert ResolvedRun().apply(_config(epochs=7)) == _config(epochs=7)


def test_run_config_keeps_the_settings_as_given_and_what_was_resolved(tmp_path: Path) -> None:
    save_run_config(tmp_path, _config(dataset_revision="main"), FOUND, {"command": "x"})
    tree = yaml.safe_load((tmp_path / "run_config.yaml").read_text())
    assert tree["data"]["dataset_revision"] == "main"
    assert (tree["eval"]["metric"], tree["train"]["batch_size"]) == ("auto", "auto")
    assert tree["resolved"]["dataset_revision"] == OLD
    assert tree["resolved"]["sampling_rate"] == 16_000
    assert read_resolved(tree) == FOUND
    tree["resolved"]["of_a_later_version"] = 1
    assert read_resolved(tree) == FOUND


def test_a_file_of_an_earlier_version_reads_as_the_same_run(tmp_path: Path) -> None:
    new, old = _write_both(tmp_path)
    assert read_resolved(load_run_config(old)).apply(_config()) == FOUND.apply(_config())
    presets = [load_preset(str(run / "run_config.yaml")) for run in (new, old)]
    assert presets[0].values == presets[1].values
    assert presets[0].values["dataset_revision"] == OLD
    train = RunConfig.from_flat(presets[0].values).train
    assert (train.batch_size, train.mixed_precision) == (4, "bf16")
    evaluated = [read_source_run(lambda name, run=run: _find(run, name)) for run in (new, old)]
    assert evaluated[0].settings == evaluated[1].settings
    published = [load_run(run, is_finished=False).settings for run in (new, old)]
    assert published[0] == published[1] == FOUND.apply(_config()).to_nested()


def _find(run: Path, name: str) -> Path | None:
    return run / name if (run / name).is_file() else None


@pytest.mark.parametrize("version", ["new", "old"])
def test_a_resumed_run_has_the_same_settings_if_given_or_left_open(
    version: str, tmp_path: Path
) -> None:
    _write_both(tmp_path)
    run = tmp_path / version
    check_same_settings(run, _config(resume="auto"))
    check_same_settings(run, _config(resume="auto", max_seconds=10.24, metric="map"))
    check_same_settings(run, _config(resume="auto", dataset_revision=OLD))
    with pytest.raises(RunFolderError, match=rf"--dataset-revision {OLD} is now {NEW}"):
        check_same_settings(run, _config(resume="auto", dataset_revision=NEW))
    with pytest.raises(RunFolderError, match="--mixed-precision bf16 is now no"):
        check_same_settings(run, _config(resume="auto", mixed_precision="no"))
    with pytest.raises(RunFolderError, match="--metric map is now accuracy"):
        check_same_settings(run, _config(resume="auto", metric="accuracy"))
    assert list_other_steps(run, _config(resume="auto")) == []
    changed = list_other_steps(run, _config(resume="auto", effective_batch_size=12))
    assert changed == ["--effective-batch-size 24 is now 12"]


def test_a_branch_that_was_given_is_given_again_and_keeps_its_commit(tmp_path: Path) -> None:
    cfg = _config(dataset_revision="main", resume="auto")
    save_run_config(tmp_path, cfg, FOUND, {})
    check_same_settings(tmp_path, cfg)
    assert read_resolved(load_run_config(tmp_path)).apply(cfg).data.dataset_revision == OLD


def _rename_state(checkpoint: Path) -> None:
    """Give the trainer's state the file name and the keys of an earlier version."""
    tree = json.loads((checkpoint / "trainer_state.json").read_text())
    for old, new in FORMER_NAMES.items():
        tree[old] = tree.pop(new)
    (checkpoint / "position.json").write_text(json.dumps(tree))
    (checkpoint / "trainer_state.json").unlink()
    (checkpoint / "checksums.json").unlink()


def test_a_run_that_an_earlier_version_began_is_resumed_exactly(
    tone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_quiet_checkpoint(tmp_path / "model")
    first = set_up(make_config(tone_folder, model, tmp_path / "run"))
    monkeypatch.setattr(
        first.stop_controller,
        "poll",
        lambda step, before: StopRequest.PAUSE if step == 5 else StopRequest.CONTINUE,
    )
    with pytest.raises(Paused):
        loop.train(first)
    file = tmp_path / "run" / "run_config.yaml"
    tree = yaml.safe_load(file.read_text())
    resolved = tree.pop("resolved")
    assert (resolved["problem_type"], resolved["metric"]) == ("single-label", "accuracy")
    tree["data"]["problem_type"], tree["eval"]["metric"] = "single-label", "accuracy"
    file.write_text(yaml.safe_dump(tree))
    _rename_state(tmp_path / "run" / "checkpoints" / "step-5")
    second = set_up(make_config(tone_folder, model, tmp_path / "run", resume="auto"))
    assert second.state.step == 5
    loop.train(second)
    shutil.rmtree(tmp_path / "run")
    whole = set_up(make_config(tone_folder, model, tmp_path / "whole"))
    loop.train(whole)
    pairs = zip(second.model.parameters(), whole.model.parameters(), strict=True)
    assert all(torch.equal(left, right) for left, right in pairs)


def test_settings_that_did_not_exist_when_a_run_began_had_their_defaults(tmp_path: Path) -> None:
    cfg = RunConfig.from_flat({"dataset": "a/b", "epochs": 3})
    tree = cfg.to_nested()
    del tree["augment"]["augment"], tree["augment"]["augment_p"], tree["optim"]["loss"]
    (tmp_path / "run_config.yaml").write_text(yaml.safe_dump(tree), "utf-8")
    assert list_other_settings(tmp_path, cfg) == []
    other = RunConfig.from_flat({"dataset": "a/b", "epochs": 3, "gain_db": 6.0, "loss": "focal"})
    assert [text for _, text in list_other_settings(tmp_path, other)] == [
        "--gain-db 0.0 is now 6.0",
        "--loss cross-entropy is now focal",
    ]
