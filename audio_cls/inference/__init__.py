"""Inference: classify files and waveforms with a trained model."""

from audio_cls.inference.classifier import Classifier, Prediction

__all__ = ["Classifier", "Prediction"]
