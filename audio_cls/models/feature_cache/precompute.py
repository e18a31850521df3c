"""Feature cache: the output of frozen modules, computed once before training.

With `--freeze features` or `--freeze backbone` the output of the frozen modules for a window is the
same in every epoch. It is computed once for the windows of all three splits, or of validation and
test where training crops are augmented or random. It is stored on disk (store.py), and used by
every epoch, fold, seed and later run with the same audio, frozen weights and settings. It is
float32, so that the trained result is that of a run without the cache.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from audio_cls.audio.windows import seconds_to_samples
from audio_cls.config import AudioConfig, AugmentConfig, RunConfig
from audio_cls.data.clips.clips import Clips, hash_audio
from audio_cls.data.loading.datasets import WindowDataset
from audio_cls.data.loading.length_buckets import group_windows
from audio_cls.data.prepare import PreparedClips, warn_of_short_clips
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.distributed import Accelerator
from audio_cls.distributed.accelerator import is_sharded
from audio_cls.distributed.hardware import configure_cpu
from audio_cls.errors import count_of
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.feature_cache.output_layout import FrozenOutputLayout
from audio_cls.models.feature_cache.partial_forward import (
    CachedFeatureProcessor,
    enable_partial_forward,
    plan_partial_forward,
    run_frozen,
)
from audio_cls.models.feature_cache.store import (
    CachedClips,
    FeatureStore,
    Rows,
    Window,
    evict_for,
    make_store_key,
)
from audio_cls.models.finetuning.freeze import find_frozen
from audio_cls.progress import show_progress
from audio_cls.storage.process_memory import release_freed_memory, retain_freed_memory
from audio_cls.text_table import wrap_text

CPU_SECONDS = 10.0  # of audio in a batch on a CPU: larger batches need memory and are not faster

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingInputs:
    """The classifier and its clips, as waveforms or as the output of the frozen modules."""

    audio_model: AudioModel
    train: Clips | StreamClips
    validation: Clips
    test: Clips


def precompute_frozen_features(
    cfg: RunConfig, accelerator: Accelerator, audio_model: AudioModel, clips: PreparedClips
) -> TrainingInputs:
    """Run the frozen modules on all windows that are not in the cache. Call on every process.

    Writes the store; changes the model so that it starts after the frozen modules.

    Returns:
        Clips and model to train with. They are the given ones where nothing is frozen in all
        epochs, or where the output of the frozen modules is too large. The training clips are the
        given ones where their crops change from epoch to epoch.
    """
    warn_of_short_clips(clips, audio_model.processor.input_spec.min_samples)
    uncached = TrainingInputs(audio_model, clips.train, clips.validation, clips.test)
    if cfg.model.freeze == "none" or cfg.data.streaming:
        return uncached
    assert isinstance(clips.train, Clips)
    configure_cpu(accelerator, sum(weight.numel() for weight in audio_model.model.parameters()))
    names = find_frozen(audio_model.model, audio_model.processor, cfg.model.freeze)
    obstacle = find_cache_obstacle(cfg, accelerator)
    layout = (
        None if obstacle else plan_partial_forward(audio_model.model, audio_model.processor, names)
    )
    if layout is None:
        reason = obstacle or "the layers after them need more than their output"
        _log_wrapped(f"feature cache: off, frozen layers run in every epoch ({reason})")
        return uncached
    change = find_changing_crops(cfg, clips.train)
    if change is not None:
        _log_wrapped(f"feature cache: of validation and test only ({change})")
    cached = {name: split for name, split in clips.items() if name != "train" or change is None}
    windows = [
        window
        for name, split in cached.items()
        for window in list_split_windows(name, split, cfg.audio)
    ]
    if not windows:
        return uncached
    store = compute_missing_features(cfg, accelerator, audio_model, clips.train, layout, windows)
    if store is None:
        return uncached
    processor = CachedFeatureProcessor(
        audio_model.processor.extractor,
        audio_model.processor.input_spec,
        layout=layout,
        lengths=store.find_lengths(windows),
    )
    enable_partial_forward(audio_model.model, layout)
    parts = {name: _to_cached_clips(split, store) for name, split in cached.items()}
    return replace(uncached, audio_model=replace(audio_model, processor=processor), **parts)


def _log_wrapped(text: str) -> None:
    """Log a text in lines of a terminal."""
    logger.info("%s", "\n".join(wrap_text(text)))


def find_cache_obstacle(cfg: RunConfig, accelerator: Accelerator) -> str | None:
    """Return why the output of the frozen modules cannot be cached; None where it can."""
    if cfg.train.feature_cache_gb == 0:
        return "--feature-cache-gb is 0"
    if cfg.model.unfreeze_after_epochs is not None:
        return "--unfreeze-after-epochs trains them later"
    if cfg.train.compile:
        return "--compile is set"
    if is_sharded(accelerator):
        return "the model is sharded"
    if accelerator.num_processes > int(os.environ.get("LOCAL_WORLD_SIZE", "1")):
        return "the processes do not share a disk"
    return None


def find_changing_crops(cfg: RunConfig, train: Clips) -> str | None:
    """Return why the training crops differ from epoch to epoch; None where they do not."""
    longest = seconds_to_samples(cfg.audio.piece_seconds, train.sampling_rate)
    if cfg.augment != AugmentConfig():
        return "training clips are augmented"
    if cfg.audio.min_seconds is not None:
        return "crops have a random length (--min-seconds)"
    if cfg.audio.crop == "random" and int(train.lengths.max()) > longest:
        return "training clips are cropped at random positions; --crop start caches them, too"
    return None


def list_split_windows(name: str, clips: Clips, cfg: AudioConfig) -> list[Window]:
    """Return the windows of a split: one per clip in training, all in evaluation."""
    if name != "train":
        windows = WindowDataset(clips, cfg).windows
        return [(int(clips.rows[clip]), start, stop) for clip, start, stop in windows]
    longest = seconds_to_samples(cfg.piece_seconds, clips.sampling_rate)
    stops = [longest if cfg.repeat_short else min(longest, int(n)) for n in clips.lengths]
    return [(int(row), 0, stop) for row, stop in zip(clips.rows, stops, strict=True)]


def compute_missing_features(
    cfg: RunConfig,
    accelerator: Accelerator,
    audio_model: AudioModel,
    clips: Clips,
    layout: FrozenOutputLayout,
    windows: Sequence[Window],
) -> FeatureStore | None:
    """Add the windows to the store that it does not have. Call on every process.

    Each process computes a share of them.

    Args:
        cfg: Disk limit, batch size.
        accelerator: Processes, device and mixed precision.
        audio_model: Its model is moved to the device.
        clips: Any split: windows refer to rows of its table.
        layout: Of the output of the frozen modules.
        windows: All that will be read.

    Returns:
        The store; None where it would exceed the disk limit.
    """
    audio_model.model.to(accelerator.device)
    table = replace(clips, rows=np.arange(len(clips.table)))
    forward = _FrozenForward(
        accelerator, audio_model, layout, table, choose_batch_size(cfg, accelerator)
    )
    sample = next(forward.run([windows[0]]))[1]
    precision, device = accelerator.mixed_precision, accelerator.device
    audio = hash_audio(clips)
    key = make_store_key(audio_model, layout.names, repr(layout), audio, precision, device)
    store = FeatureStore(key, sample.shape[1])
    missing = store.find_missing(windows)
    accelerator.wait_for_everyone()  # until all processes know what is missing
    samples = windows[0][2] - windows[0][1] if layout.has_time else 1
    spans = sum(stop - start if layout.has_time else 1 for _, start, stop in missing)
    num_bytes = round(sample.nbytes / samples * spans)
    limit = cfg.train.feature_cache_gb
    fits = evict_for(store, num_bytes, None if limit is None else int(limit * 1e9))
    if not accelerator.gather(torch.tensor([fits], device=accelerator.device)).all():
        logger.warning(
            "feature cache: %.2f GB exceed the limit, so frozen layers run every epoch. To use the"
            " cache, raise --feature-cache-gb.",
            num_bytes / 1e9,
        )
        return None
    logger.info(
        "feature cache: computing %d of %s, %.2f GB in %s",
        *(len(missing), count_of(len(set(windows)), "window"), num_bytes / 1e9, store.path),
    )
    share = missing[accelerator.process_index :: accelerator.num_processes]
    if share:
        retain_freed_memory()
        store.add(show_progress(forward.run(share), len(share), "Feature cache", logger))
        release_freed_memory()  # training allocates other sizes
    accelerator.wait_for_everyone()
    store.reload()
    return store


def choose_batch_size(cfg: RunConfig, accelerator: Accelerator) -> int:
    """Return the number of windows in a batch."""
    if accelerator.device.type != "cpu":
        return cfg.eval.eval_batch_size
    return max(1, min(cfg.eval.eval_batch_size, int(CPU_SECONDS / cfg.audio.piece_seconds)))


@dataclass(frozen=True)
class _FrozenForward:
    """The forward pass of the frozen modules."""

    accelerator: Accelerator
    audio_model: AudioModel
    layout: FrozenOutputLayout
    table: Clips  # all rows
    batch_size: int

    def run(self, windows: Sequence[Window]) -> Iterator[tuple[Window, Rows, int]]:
        """Yield each window, its rows (F, D) and its input's length. Batches have equal lengths."""
        model, processor = self.audio_model.model, self.audio_model.processor
        lengths = [stop - start for _, start, stop in windows]
        was_training = model.training
        model.train(mode=False)
        for numbers in group_windows(lengths, self.batch_size, equal_lengths=True):
            batch = [windows[number] for number in numbers]
            inputs = processor([self.table.read_wave(*window) for window in batch])
            inputs = {k: v.to(self.accelerator.device) for k, v in inputs.items()}
            with torch.inference_mode(), self.accelerator.autocast():
                rows: Tensor = self.layout.flatten(run_frozen(model, self.layout.names, inputs))
            lengths_in = measure_inputs(inputs, processor.input_spec.input_name)
            for window, framed, length in zip(batch, rows.cpu().numpy(), lengths_in, strict=True):
                yield window, framed[:length] if self.layout.is_mask_framed else framed, length
        model.train(mode=was_training)


def measure_inputs(inputs: Mapping[str, Tensor], input_name: str) -> list[int]:
    """Return the length of each clip's input, as the sum of an attention mask would be."""
    mask = inputs.get("attention_mask")
    if mask is not None:
        return [int(length) for length in mask.sum(dim=1)]
    return [inputs[input_name].shape[-1]] * len(inputs[input_name])


def _to_cached_clips(clips: Clips, store: FeatureStore) -> CachedClips:
    """Return clips whose windows are read from the store."""
    values = {field.name: getattr(clips, field.name) for field in fields(clips)}
    return CachedClips(**values, store=store)
