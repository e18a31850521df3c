"""Room 6: others use the classifier."""

from audio_cls.serving.classifier import Classifier, Prediction

__all__ = ["Classifier", "Prediction"]
