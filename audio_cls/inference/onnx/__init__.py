"""Inference with ONNX Runtime, without torch: `OnnxClassifier` for models of `audio-cls export`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audio_cls.inference.onnx.classifier import OnnxClassifier

__all__ = ["OnnxClassifier"]


def __getattr__(name: str) -> object:
    """Import the public name from its module."""
    if name not in __all__:
        raise AttributeError(f"module 'audio_cls.inference.onnx' has no attribute '{name}'")
    from audio_cls.inference.onnx import classifier

    return getattr(classifier, name)
