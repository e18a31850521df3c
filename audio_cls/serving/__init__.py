"""Former name of audio_cls.inference, which published cards import; for one release."""

import warnings

from audio_cls.inference.classifier import Classifier
from audio_cls.inference.prediction import Prediction

__all__ = ["Classifier", "Prediction"]

warnings.warn(
    "audio_cls.serving is now audio_cls.inference: `from audio_cls import Classifier`.",
    DeprecationWarning,
    stacklevel=2,
)
