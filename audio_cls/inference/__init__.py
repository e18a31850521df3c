"""Inference: classify files and waveforms with a trained model.

Published model cards import `Classifier` from here. Names are imported when they are first used,
because not every module of this package needs torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audio_cls.inference.base_classifier import BaseClassifier
    from audio_cls.inference.classifier import Classifier
    from audio_cls.inference.prediction import UNKNOWN, Prediction, WindowPrediction

__all__ = ["UNKNOWN", "BaseClassifier", "Classifier", "Prediction", "WindowPrediction"]

_HOMES = {  # public name -> the module that defines it
    "UNKNOWN": "prediction",
    "BaseClassifier": "base_classifier",
    "Classifier": "classifier",
    "Prediction": "prediction",
    "WindowPrediction": "prediction",
}


def __getattr__(name: str) -> object:
    """Import a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'audio_cls.inference' has no attribute '{name}'")
    return getattr(importlib.import_module(f"audio_cls.inference.{_HOMES[name]}"), name)
