"""Configuration: frozen dataclasses that hold every setting with default, help and range.

The command line, the presets, the printed summary, `run_config.yaml` and docs/settings.md are all
derived from the fields in this folder. A field name is unique across the sections, so that flags
stay flat: `optim.learning_rate` is `--learning-rate`. Nothing here reads a file, downloads or
mutates; values that a checkpoint decides are `None` here.
"""

from audio_cls.config.audio import (
    MAX_CROP_SECONDS,
    MIN_CROP_SECONDS,
    MIN_HOP_SECONDS,
    AudioConfig,
)
from audio_cls.config.augmentation import AugmentConfig
from audio_cls.config.base import (
    RENAMED_SETTINGS,
    CountOrAuto,
    Hertz,
    Range,
    Seconds,
    flag_name,
    rename_settings,
    setting,
)
from audio_cls.config.data.data_config import DataConfig
from audio_cls.config.evaluation import LOWER_IS_BETTER, EvalConfig
from audio_cls.config.hub import CARD_SETTINGS, HubConfig
from audio_cls.config.metrics import METRIC_SPECS, find_metric_spec, select_metrics
from audio_cls.config.model import ModelConfig
from audio_cls.config.optimizer import OptimConfig
from audio_cls.config.run import RunConfig, drop_unused
from audio_cls.config.sections import SECTIONS, Setting, iterate_settings
from audio_cls.config.training import TrainConfig

__all__ = [
    "CARD_SETTINGS",
    "LOWER_IS_BETTER",
    "MAX_CROP_SECONDS",
    "METRIC_SPECS",
    "MIN_CROP_SECONDS",
    "MIN_HOP_SECONDS",
    "RENAMED_SETTINGS",
    "SECTIONS",
    "AudioConfig",
    "AugmentConfig",
    "CountOrAuto",
    "DataConfig",
    "EvalConfig",
    "Hertz",
    "HubConfig",
    "ModelConfig",
    "OptimConfig",
    "Range",
    "RunConfig",
    "Seconds",
    "Setting",
    "TrainConfig",
    "drop_unused",
    "find_metric_spec",
    "flag_name",
    "iterate_settings",
    "rename_settings",
    "select_metrics",
    "setting",
]
