"""Resolving a run: values for the settings that data set and checkpoint decide."""

from __future__ import annotations

from audio_cls.config import RunConfig
from audio_cls.data.labels.labels import Labels
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.splits.recording_groups import group_segments
from audio_cls.models.checkpoint import Checkpoint, resolve_audio_settings
from audio_cls.runs.resolved import ResolvedRun


def resolve_run(
    cfg: RunConfig,
    source: LoadedDataset,
    labels: Labels,
    checkpoint: Checkpoint,
    precision: str,
) -> ResolvedRun:
    """Resolve what is known before the clips are prepared: all but the size of a step.

    Args:
        cfg: The settings; of a run that is resumed, with what it resolved when it began.
        source: The data set.
        labels: Its labels.
        checkpoint: The model that is fine-tuned.
        precision: Accelerate's name of the number format that is in use.
    """
    return ResolvedRun(
        dataset_revision=None if source.is_local else source.revision,
        group_column=group_segments(source, labels, cfg.data).group_column,
        problem_type="multi-label" if labels.is_multilabel else "single-label",
        model_revision=checkpoint.commit,
        max_seconds=resolve_audio_settings(cfg.audio, checkpoint).max_seconds,
        sampling_rate=checkpoint.sampling_rate,
        metric=cfg.eval.choose_metric(is_multilabel=labels.is_multilabel).metric,
        # A probe runs the encoder in float32 whatever the setting is.
        mixed_precision=None if cfg.train.method == "probe" else precision,
    )
