"""One command, several runs: a run for each seed and each fold."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from audio_cls.config import RunConfig
from audio_cls.errors import SettingError
from audio_cls.training.session import choose_run_path


def plan_runs(cfg: RunConfig) -> list[RunConfig]:
    """Return the settings of each run, in order; the same settings where one run was asked for.

    Several runs write to sub-folders of the run folder: `seed-0`, `fold-1`, `fold-1-seed-0`.

    Raises:
        SettingError: Several runs were asked for with a setting that only one can have.
    """
    is_folded = cfg.data.folds is not None and cfg.data.fold is None
    if not is_folded and not cfg.train.seeds:
        return [cfg]
    if cfg.hub.push_to_hub or cfg.train.resume not in ("never", "auto"):
        flag = "--push-to-hub" if cfg.hub.push_to_hub else f"--resume {cfg.train.resume}"
        raise SettingError(
            f"{flag} is for one run, and --seeds or --folds make several. Leave it out, and publish"
            " or resume one of them afterwards."
        )
    base = choose_run_path(cfg)
    folds = [str(number + 1) for number in range(cfg.data.folds or 0)] if is_folded else [None]
    return [
        _make_run(cfg, base, fold, seed) for fold in folds for seed in cfg.train.seeds or [None]
    ]


def _make_run(cfg: RunConfig, base: Path, fold: str | None, seed: int | None) -> RunConfig:
    """Return the settings of one fold and seed, in a sub-folder named after them."""
    data, name = cfg.data, []
    train = dataclasses.replace(cfg.train, seeds=())
    if fold is not None:
        data = dataclasses.replace(data, fold=fold)
        name.append(f"fold-{fold}")
    if seed is not None:
        train = dataclasses.replace(train, seed=seed)
        name.append(f"seed-{seed}")
    train = dataclasses.replace(train, output_dir=str(base / "-".join(name)))
    return dataclasses.replace(cfg, data=data, train=train)
