"""What a frozen part would make of every clip in every epoch is made once, ahead of training.

With `--freeze features` or `--freeze backbone` the frozen part's output for a window never changes,
as long as nothing varies the sound before it. It is computed once for the windows of all three
splits, kept on disk (store.py), and reused by every epoch, fold, seed and later run with the same
audio, frozen weights and settings. float32: the trained result is that of a run without it.
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

CPU_SECONDS = 10.0  # of sound heard at once on a CPU: more takes memory and is not faster

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingInputs:
    """The classifier and its clips, as sound or as what a frozen part has made of them."""

    audio_model: AudioModel
    train: Clips | StreamClips
    validation: Clips
    test: Clips


def precompute_frozen_features(
    cfg: RunConfig, accelerator: Accelerator, audio_model: AudioModel, clips: PreparedClips
) -> TrainingInputs:
    """Run the frozen part over all windows, or find it done. Call on every process.

    Writes the store; lets the model start after the frozen part.

    Returns:
        Clips and model to train with: those given where nothing is frozen for good, or where the
        frozen part's output is not the same every time, or too much.
    """
    warn_of_short_clips(clips, audio_model.processor.input_spec.min_samples)
    sound = TrainingInputs(audio_model, clips.train, clips.validation, clips.test)
    if cfg.model.freeze == "none" or cfg.data.streaming:
        return sound
    assert isinstance(clips.train, Clips)
    configure_cpu(accelerator, sum(weight.numel() for weight in audio_model.model.parameters()))
    names = find_frozen(audio_model.model, audio_model.processor, cfg.model.freeze)
    obstacle = find_cache_obstacle(cfg, accelerator, clips.train)
    layout = (
        None if obstacle else plan_partial_forward(audio_model.model, audio_model.processor, names)
    )
    if layout is None:
        logger.info(
            "frozen part: heard anew each epoch, as %s", obstacle or "the rest is not apart from it"
        )
        return sound
    splits = {name: list_split_windows(name, part, cfg.audio) for name, part in clips.items()}
    windows = [window for part in splits.values() for window in part]
    store = compute_missing_features(cfg, accelerator, audio_model, clips.train, layout, windows)
    if store is None:
        return sound
    processor = CachedFeatureProcessor(
        audio_model.processor.extractor,
        audio_model.processor.input_spec,
        layout=layout,
        lengths=store.find_lengths(windows),
    )
    enable_partial_forward(audio_model.model, layout)
    stored = {name: _store_clips(part, store) for name, part in clips.items()}
    return TrainingInputs(replace(audio_model, processor=processor), **stored)


def find_cache_obstacle(cfg: RunConfig, accelerator: Accelerator, train: Clips) -> str | None:
    """Say why the frozen part's output is not the same each time; None where it is."""
    longest = seconds_to_samples(cfg.audio.piece_seconds, train.sampling_rate)
    if cfg.train.feature_cache_gb == 0:
        return "--feature-cache-gb is 0"
    if cfg.model.unfreeze_after_epochs is not None:
        return "it wakes (--unfreeze-after-epochs)"
    if cfg.train.compile:
        return "the network is compiled"
    if is_sharded(accelerator):
        return "the model is sharded"
    if cfg.augment != AugmentConfig():
        return "the sound is varied"
    if cfg.audio.min_seconds is not None:
        return "pieces have a random length (--min-seconds)"
    if cfg.audio.crop == "random" and int(train.lengths.max()) > longest:
        return "longer clips are cut at random; see --crop start, --max-seconds"
    if accelerator.num_processes > int(os.environ.get("LOCAL_WORLD_SIZE", "1")):
        return "the processes do not share a disk"
    return None


def list_split_windows(name: str, clips: Clips, cfg: AudioConfig) -> list[Window]:
    """List the windows of a split that will be heard: one a clip in training, else all."""
    if name != "train":
        heard = WindowDataset(clips, cfg).windows
        return [(int(clips.rows[clip]), start, stop) for clip, start, stop in heard]
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
    """Compute what a store lacks, each process a part of it. Call on every process.

    Args:
        cfg: Disk limit, batch size.
        accelerator: Processes, device and number format.
        audio_model: The model, moved to the device.
        clips: Any split: the rows of the windows count in its table.
        layout: Where the frozen part ends.
        windows: All that will be read.

    Returns:
        The store; None where the disk limit forbids it.
    """
    audio_model.model.to(accelerator.device)
    table = replace(clips, rows=np.arange(len(clips.table)))
    forward = _FrozenForward(
        accelerator, audio_model, layout, table, choose_batch_size(cfg, accelerator)
    )
    sample = next(forward.run([windows[0]]))[1]
    precision, device = accelerator.mixed_precision, accelerator.device
    store = FeatureStore(
        make_store_key(audio_model, layout, hash_audio(clips), precision, device), sample.shape[1]
    )
    missing = store.find_missing(windows)
    accelerator.wait_for_everyone()  # until all have seen what is missing
    samples = windows[0][2] - windows[0][1] if layout.has_time else 1
    spans = sum(stop - start if layout.has_time else 1 for _, start, stop in missing)
    num_bytes = round(sample.nbytes / samples * spans)
    limit = cfg.train.feature_cache_gb
    fits = evict_for(store, num_bytes, None if limit is None else int(limit * 1e9))
    if not accelerator.gather(torch.tensor([fits], device=accelerator.device)).all():
        logger.warning(
            "The frozen part's output, %.2f GB, is more than may be kept: it is heard anew each"
            " epoch. --feature-cache-gb allows more.",
            num_bytes / 1e9,
        )
        return None
    logger.info(
        "frozen part: heard once, %d of %d windows are new, %.2f GB in %s",
        *(len(missing), len(set(windows)), num_bytes / 1e9, store.path),
    )
    own = missing[accelerator.process_index :: accelerator.num_processes]
    if own:
        retain_freed_memory()
        store.add(show_progress(forward.run(own), len(own), "Frozen part", logger))
        release_freed_memory()  # training has blocks of other sizes
    accelerator.wait_for_everyone()
    store.reload()
    return store


def choose_batch_size(cfg: RunConfig, accelerator: Accelerator) -> int:
    """Return how many windows are heard at once."""
    if accelerator.device.type != "cpu":
        return cfg.eval.eval_batch_size
    return max(1, min(cfg.eval.eval_batch_size, int(CPU_SECONDS / cfg.audio.piece_seconds)))


@dataclass(frozen=True)
class _FrozenForward:
    """The frozen part, run over windows."""

    accelerator: Accelerator
    audio_model: AudioModel
    layout: FrozenOutputLayout
    table: Clips  # all rows
    batch_size: int

    def run(self, windows: Sequence[Window]) -> Iterator[tuple[Window, Rows, int]]:
        """Yield each window, its rows (F, D) and the input's length; like lengths go together."""
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
            for window, own, length in zip(batch, rows.cpu().numpy(), lengths_in, strict=True):
                yield window, own[:length] if self.layout.is_mask_framed else own, length
        model.train(mode=was_training)


def measure_inputs(inputs: Mapping[str, Tensor], input_name: str) -> list[int]:
    """Return the length of each clip's input as an attention mask counts it."""
    mask = inputs.get("attention_mask")
    if mask is not None:
        return [int(length) for length in mask.sum(dim=1)]
    return [inputs[input_name].shape[-1]] * len(inputs[input_name])


def _store_clips(clips: Clips, store: FeatureStore) -> CachedClips:
    """Return clips that are read from the store."""
    own = {spec.name: getattr(clips, spec.name) for spec in fields(clips)}
    return CachedClips(**own, store=store)
