"""Former place of `Classifier`, which published model cards import; use audio_cls.inference."""

from audio_cls.inference.classifier import Classifier, Prediction

__all__ = ["Classifier", "Prediction"]
