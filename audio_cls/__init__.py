"""Train, evaluate and publish audio classifiers from any data set, on Hugging Face Accelerate.

`Classifier`, `train`, `evaluate` and `RunConfig` are imported when they are first used, so that
`import audio_cls` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audio_cls.api import Run, config_from_preset, evaluate, train
    from audio_cls.config import RunConfig
    from audio_cls.inference.classifier import Classifier
    from audio_cls.inference.prediction import Prediction, WindowPrediction

__version__ = "0.1.0"
__all__ = [
    "Classifier",
    "Prediction",
    "Run",
    "RunConfig",
    "WindowPrediction",
    "config_from_preset",
    "evaluate",
    "train",
]

_HOMES = {  # public name -> the module that defines it
    "Classifier": "audio_cls.inference.classifier",
    "Prediction": "audio_cls.inference.prediction",
    "Run": "audio_cls.api",
    "RunConfig": "audio_cls.config",
    "WindowPrediction": "audio_cls.inference.prediction",
    "config_from_preset": "audio_cls.api",
    "evaluate": "audio_cls.api",
    "train": "audio_cls.api",
}


def __getattr__(name: str) -> object:
    """Import a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'audio_cls' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted([*globals(), *_HOMES])
