"""Inference: classify files and waveforms with a trained model.

Published model cards import `Classifier` from here; it is imported when it is first used, because
not every module of this package needs torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audio_cls.inference.classifier import Classifier, Prediction

__all__ = ["Classifier", "Prediction"]


def __getattr__(name: str) -> object:
    """Import a public name from its module."""
    if name not in __all__:
        raise AttributeError(f"module 'audio_cls.inference' has no attribute '{name}'")
    from audio_cls.inference import classifier

    return getattr(classifier, name)
