"""Room 2: a checkpoint id becomes a classifier."""

from audio_cls.model.backbone import load_backbone, load_extractor, load_trained

__all__ = ["load_backbone", "load_extractor", "load_trained"]
