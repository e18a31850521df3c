"""Search for the batch size: result, no side effects, and memory that really runs out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tiny_runs import make_config, prepare, set_up, write_quiet_checkpoint

from audio_cls.config import TrainConfig
from audio_cls.config.training import accumulation_steps
from audio_cls.distributed.accelerator import start_accelerator
from audio_cls.errors import RunFolderError, SettingError, TrainingError
from audio_cls.runs.resolved import ResolvedRun
from audio_cls.training import auto_batch_size, loop
from audio_cls.training.auto_batch_size import find_batch_size


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny HuBERT without dropout."""
    return write_quiet_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def _hold(limit: int, patch: pytest.MonkeyPatch) -> list[int]:
    """Let memory run out above `limit` clips; return the sizes that were tried."""
    tried: list[int] = []
    real = auto_batch_size._train

    def train(model: Any, held: Any, *others: Any) -> None:  # noqa: ANN401
        tried.append(len(held.numbers))
        if tried[-1] > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        real(model, held, *others)

    patch.setattr(auto_batch_size, "_train", train)
    return tried


def test_auto_batch_size_finds_the_largest_batch_and_keeps_the_step(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = _hold(3, monkeypatch)
    cfg = make_config(
        tone_folder, checkpoint, tmp_path / "run", batch_size="auto", effective_batch_size=12
    )
    run = set_up(cfg)
    assert tried == [12, 6, 4, 3]
    assert (run.sampler.shape.batch_size, run.sampler.shape.accumulation) == (3, 4)
    written = yaml.safe_load((tmp_path / "run" / "run_config.yaml").read_text())["resolved"]
    assert (written["batch_size"], written["effective_batch_size"]) == (3, 12)
    assert written["accumulation_steps"] == 4


def test_the_search_changes_neither_weights_nor_random_states(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", batch_size="auto")
    accelerator = start_accelerator(cfg.train)
    clips, audio_model = prepare(cfg)
    before = {name: value.clone() for name, value in audio_model.model.state_dict().items()}
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    found = find_batch_size(ResolvedRun(), cfg, accelerator, audio_model, clips.train)
    assert found.batch_size == 8
    assert all(torch.equal(before[k], v) for k, v in audio_model.model.state_dict().items())
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])
    assert all(weight.grad is None for weight in audio_model.model.parameters())


def test_the_search_uses_the_longest_crops_also_with_min_seconds(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    lengths = []
    for shortest in (None, 0.1):
        cfg = make_config(tone_folder, checkpoint, tmp_path / "run", min_seconds=shortest)
        clips, audio_model = prepare(cfg)
        tried = auto_batch_size._collate_longest(4, cfg, audio_model, clips.train)
        lengths.append(tried.inputs["input_values"].shape[1])
    assert lengths == [round(cfg.audio.piece_seconds * 16_000)] * 2


def test_a_resumed_run_keeps_its_batch_size(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hold(2, monkeypatch)
    changes: dict[str, Any] = {"batch_size": "auto", "max_steps": 1}
    loop.train(set_up(make_config(tone_folder, checkpoint, tmp_path / "run", **changes)))
    monkeypatch.undo()  # now there is memory for all eight
    again = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", **changes, resume="auto"))
    assert (again.sampler.shape.batch_size, again.sampler.shape.accumulation) == (2, 4)
    with pytest.raises(RunFolderError, match=r"steps of 8 clips, and now a step has 16"):
        set_up(
            make_config(tone_folder, checkpoint, tmp_path / "run", **changes, resume="auto",
                        effective_batch_size=16)
        )  # fmt: skip


def test_the_error_without_any_batch_that_fits_gives_advice(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hold(0, monkeypatch)
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", batch_size="auto")
    with pytest.raises(TrainingError, match=r"single clip.*--max-seconds"):
        set_up(cfg)


def test_a_step_that_cannot_be_split_evenly_is_refused() -> None:
    with pytest.raises(SettingError, match="not a multiple of 12"):
        accumulation_steps(TrainConfig(batch_size=4, effective_batch_size=32), 3)
    with pytest.raises(SettingError, match="give one of them"):
        TrainConfig(effective_batch_size=32, gradient_accumulation_steps=2)


def test_half_the_batch_with_twice_the_passes_has_the_same_losses(
    tone_folder: Path, tmp_path: Path
) -> None:
    # Layer norm and a mask: the padding of another batch changes nothing.
    from tiny_models import write_tiny_checkpoint
    from tiny_runs import QUIET

    write_tiny_checkpoint("hubert", tmp_path / "m", feat_extract_norm="layer", **QUIET)
    losses = []
    for size, passes in ((8, 1), (4, 2)):
        run = set_up(
            make_config(tone_folder, tmp_path / "m", tmp_path / f"run{size}", batch_size=size,
                        gradient_accumulation_steps=passes, max_steps=8)
        )  # fmt: skip
        own: list[float] = []
        after_step = run.progress.after_step

        def note(step: int, loss: torch.Tensor, own: list[float] = own) -> None:
            own.append(float(loss))

        run.progress.after_step = note  # type: ignore[method-assign]
        loop.train(run)
        run.progress.after_step = after_step  # type: ignore[method-assign]
        losses.append(own)
    assert len(losses[0]) == 8
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
sys.path.insert(0, "tests/helpers")
import torch
from tiny_runs import make_config, prepare, set_up
from audio_cls.errors import TrainingError
from audio_cls.runs.resolved import ResolvedRun
from audio_cls.training.auto_batch_size import find_batch_size
from audio_cls.training.loop import train
tones, checkpoint, run = map(Path, sys.argv[1:])
values = {"max_seconds": 20.0, "repeat_short": True, "max_steps": 1, "max_eval_samples": 4,
          "eval_batch_size": 1}
torch.backends.mkldnn.enabled = False  # its compiler dies of a signal where memory is short
cfg = make_config(tones, checkpoint, run / "auto", batch_size="auto", effective_batch_size=48,
                  **values)
clips, audio_model = prepare(cfg)
whole = set_up(make_config(tones, checkpoint, run / "fixed", batch_size=48, **values))
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 250_000_000,) * 2)
try:
    train(whole)
except TrainingError as error:
    print(error)
found = find_batch_size(ResolvedRun(), cfg, whole.accelerator, audio_model, clips.train)
print("found", found.batch_size, found.accumulation_steps)
"""


@pytest.mark.long
def test_out_of_memory_is_explained_and_auto_finds_a_batch_that_fits(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT, str(tone_folder), str(checkpoint), str(tmp_path)],
        cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    first, last = done.stdout.strip().splitlines()
    assert "Out of memory with 48 clips of up to 20 s at once. Try --batch-size 24" in first
    word, size, passes = last.split()
    assert word == "found"
    assert int(size) < 48
    assert int(size) * int(passes) == 48
