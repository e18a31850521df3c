"""Plan of the fine-tuning candidates: a small grid of settings, and successive halving.

Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943) trains all cases for a few
epochs, keeps the better half, trains these further, and so on. All cases have the learning-rate
schedule of the longest training. The plan counts epochs, not seconds: the same command makes the
same candidates on every machine.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audio_cls.config import HubConfig, ModelConfig, RunConfig

# Epochs of all candidates together, as a multiple of --epochs. The rest of the 1.5 times that auto
# may take is for the probe and for the validation of averages.
EPOCH_BUDGET = 1.25
MANY_EPOCHS, SOME_EPOCHS = 8, 3  # from which 4 and 2 cases are tried; with fewer epochs it is one
LAYER_DECAY = 0.75  # where --layer-decay is not given
SMALLER_RATE = 1 / 3  # multiple of --learning-rate
STRONGER = {"weight_decay": 0.05, "mixup_alpha": 0.3}  # the stronger regularisation


@dataclass(frozen=True)
class Rung:
    """A stage of successive halving."""

    num_cases: int  # the best ones so far, which are trained on
    epoch: int  # up to which they are trained, counted from their start


def plan_halving(num_epochs: int) -> list[Rung]:
    """Return the stages for the number of epochs that one fine-tuning has.

    All candidates together train for at most 1.25 times as many epochs.

    >>> plan_halving(10)
    [Rung(num_cases=4, epoch=1), Rung(num_cases=2, epoch=2), Rung(num_cases=1, epoch=8)]
    >>> plan_halving(4)
    [Rung(num_cases=2, epoch=1), Rung(num_cases=1, epoch=4)]
    >>> plan_halving(2)
    [Rung(num_cases=1, epoch=2)]
    """
    budget = int(EPOCH_BUDGET * num_epochs)
    if num_epochs >= MANY_EPOCHS:
        first = num_epochs // 8
        return [Rung(4, first), Rung(2, 2 * first), Rung(1, budget - 4 * first)]
    if num_epochs >= SOME_EPOCHS:
        first = num_epochs // 4 or 1
        return [Rung(2, first), Rung(1, min(num_epochs, budget - first))]
    return [Rung(1, num_epochs)]


def list_cases(cfg: RunConfig, num_cases: int) -> list[dict[str, Any]]:
    """Return the settings of each case: {setting: value}, what the user gave being the first one.

    A third of the learning rate is the second one; the third and the fourth are these two with a
    stronger regularisation. A value that the user gave and that is stronger stays.

    Args:
        cfg: The settings of the run.
        num_cases: 1 to 4.
    """
    smaller = {"learning_rate": SMALLER_RATE * cfg.optim.learning_rate}
    stronger = {
        "weight_decay": max(cfg.optim.weight_decay, STRONGER["weight_decay"]),
        "mixup_alpha": max(cfg.augment.mixup_alpha, STRONGER["mixup_alpha"]),
    }
    if cfg.optim.head_learning_rate is not None:
        smaller["head_learning_rate"] = SMALLER_RATE * cfg.optim.head_learning_rate
    cases: list[dict[str, Any]] = [{}, smaller, stronger, {**smaller, **stronger}]
    decay = LAYER_DECAY if cfg.optim.layer_decay == 1 else cfg.optim.layer_decay
    given = {
        "learning_rate": cfg.optim.learning_rate,
        "layer_decay": decay,
        "weight_decay": cfg.optim.weight_decay,
        "mixup_alpha": cfg.augment.mixup_alpha,
    }
    return [{**given, **case} for case in cases[:num_cases]]


def use_saved_model(cfg: ModelConfig, folder: str) -> ModelConfig:
    """Return the settings of a model that starts from the weights and the head in a folder."""
    return dataclasses.replace(
        cfg, model=folder, model_revision=None, from_scratch=False, weighted_layer_sum=None
    )


def make_candidate_config(
    cfg: RunConfig, case: Mapping[str, Any], start: str, folder: str, num_steps: int
) -> RunConfig:
    """Return the settings of one fine-tuning: an ordinary run that starts from a saved model.

    Args:
        cfg: The settings of the run, with what was resolved.
        case: Settings of the case, see `list_cases`.
        start: Folder of the model to start from.
        folder: The candidate's run folder.
        num_steps: Length of its learning-rate schedule.
    """
    optim = {name: value for name, value in case.items() if name != "mixup_alpha"}
    return dataclasses.replace(
        cfg,
        model=use_saved_model(cfg.model, start),
        optim=dataclasses.replace(cfg.optim, **optim),
        augment=dataclasses.replace(cfg.augment, mixup_alpha=case["mixup_alpha"]),
        train=dataclasses.replace(
            cfg.train,
            method="fine-tune",
            output_dir=folder,
            overwrite=False,
            refit=False,
            resume="auto",
            max_steps=num_steps,
            max_train_minutes=None,
            keep_checkpoints=1,
            feature_cache_gb=None if cfg.model.freeze == "none" else cfg.train.feature_cache_gb,
            log="quiet" if cfg.train.log == "json" else cfg.train.log,
            measure_energy=False,
            energy_country=None,
        ),
        eval=dataclasses.replace(
            cfg.eval, metric="log_loss", metric_goal="auto", eval_windows="all"
        ),
        hub=HubConfig(),
    )
