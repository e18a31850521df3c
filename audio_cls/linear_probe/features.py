"""Vectors of all windows by layer: one pass of the frozen encoder, stored in the feature cache.

A second run with the same audio, encoder and windows reads them. Letters: W windows, C candidates,
H hidden size.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import RunConfig
from audio_cls.data.clips.clips import Clips, hash_audio
from audio_cls.data.loading.datasets import WindowDataset
from audio_cls.data.loading.length_buckets import group_windows
from audio_cls.distributed import Accelerator
from audio_cls.errors import SettingError, count_of
from audio_cls.linear_probe.layers import LayerReader
from audio_cls.linear_probe.regression import Vectors
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.feature_cache.precompute import choose_batch_size, measure_inputs
from audio_cls.models.feature_cache.store import (
    FeatureStore,
    Rows,
    Window,
    evict_for,
    make_store_key,
)
from audio_cls.models.finetuning.layer_groups import covering_modules
from audio_cls.progress import show_progress
from audio_cls.storage.process_memory import release_freed_memory, retain_freed_memory

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LayerFeatures:
    """The vectors of the windows of several clips, on disk."""

    store: FeatureStore
    windows: list[Window]  # W
    clips: NDArray[np.int64]  # number of each window's clip, (W,)
    num_computed: int  # windows that were not in the cache

    def read(self, candidate: int) -> Vectors:
        """Read the vectors of one candidate, by its number, (W, H)."""
        return np.stack([self.store.read_row(window, candidate) for window in self.windows])

    @property
    def clip_weights(self) -> NDArray[np.float64]:
        """Return 1 / (windows of its clip) for each window, (W,): all clips count alike."""
        return 1.0 / np.bincount(self.clips)[self.clips]


def list_clip_windows(
    parts: Sequence[Clips], cfg: RunConfig
) -> tuple[list[Window], NDArray[np.int64]]:
    """Return the evaluation windows of all clips of several splits, and their clips' numbers."""
    windows: list[Window] = []
    numbers: list[int] = []
    first = 0
    for clips in parts:
        for number, start, stop in WindowDataset(clips, cfg.audio).windows:
            windows.append((int(clips.rows[number]), start, stop))
            numbers.append(first + number)
        first += len(clips)
    return windows, np.array(numbers, np.int64)


def compute_layer_features(
    cfg: RunConfig,
    accelerator: Accelerator,
    audio_model: AudioModel,
    reader: LayerReader,
    parts: Sequence[Clips],
) -> LayerFeatures:
    """Run the encoder on all windows that are not in the cache. Call on every process.

    Each process computes a share of them, in float32. Writes the store.

    Args:
        cfg: Windows, disk limit, batch size.
        accelerator: Processes and device.
        audio_model: The classifier, on the device and in evaluation mode.
        reader: Of its layers.
        parts: The clips of several splits; the clips of the second are numbered after the first's.

    Raises:
        SettingError: The store would exceed the disk limit.
    """
    windows, numbers = list_clip_windows(parts, cfg)
    names = covering_modules(audio_model.model, _list_fixed(audio_model, reader))
    layout, audio = f"layers {reader.candidates}", hash_audio(parts[0])
    key = make_store_key(audio_model, names, layout, audio, "no", accelerator.device)
    store = FeatureStore(key, reader.width())
    # A dry run measures the time, whatever is stored.
    missing = list(dict.fromkeys(windows)) if cfg.train.dry_run else store.find_missing(windows)
    accelerator.wait_for_everyone()  # until all processes know what is missing
    num_bytes = 4 * reader.width() * len(reader.candidates) * len(missing)
    _check_space(cfg, store, num_bytes)
    share = missing[accelerator.process_index :: accelerator.num_processes]
    if accelerator.num_processes > int(os.environ.get("LOCAL_WORLD_SIZE", "1")):  # several disks
        share = missing if accelerator.is_main_process else []
    if share:
        retain_freed_memory()
        table = replace(parts[0], rows=np.arange(len(parts[0].table)))
        size = choose_batch_size(cfg, accelerator)
        rows = _run_windows(audio_model, reader, table, share, size)
        store.add(show_progress(rows, len(share), "Layer outputs", logger))
        release_freed_memory()
    accelerator.wait_for_everyone()
    store.reload()
    return LayerFeatures(store, windows, numbers, len(missing))


def _list_fixed(audio_model: AudioModel, reader: LayerReader) -> set[str]:
    """Return the names of the parameters on which the vectors depend: all but the new head's."""
    model = audio_model.model
    replaced = {*reader.last.parameters()}
    if projector := getattr(model, "projector", None):
        replaced |= {*projector.parameters()}
    named = model.named_parameters()
    return {name for name, one in named if one not in replaced and name != "layer_weights"}


def _check_space(cfg: RunConfig, store: FeatureStore, num_bytes: int) -> None:
    """Delete old stores until this one can grow.

    Raises:
        SettingError: It cannot.
    """
    limit = cfg.train.feature_cache_gb
    if not evict_for(store, num_bytes, None if limit is None else int(limit * 1e9)):
        given = "a quarter of the free space" if limit is None else f"{limit:g} GB"
        raise SettingError(
            f"--method probe stores the outputs of all layers, {num_bytes / 1e9:.2f} GB in"
            f" {store.path}, and the limit is {given}. Raise --feature-cache-gb, or lower"
            " --max-train-samples."
        )


def _run_windows(
    audio_model: AudioModel,
    reader: LayerReader,
    table: Clips,
    windows: Sequence[Window],
    batch_size: int,
) -> Iterator[tuple[Window, Rows, int]]:
    """Yield each window, its vectors (C, H) and the length of its input."""
    processor = audio_model.processor
    lengths = [stop - start for _, start, stop in windows]
    is_equal = not processor.input_spec.pads_safely
    logger.info(
        "encoder: %s, %s",
        count_of(len(reader.candidates), "layer output"),
        count_of(len(windows), "window"),
    )
    for numbers in group_windows(lengths, batch_size, equal_lengths=is_equal):
        batch = [windows[number] for number in numbers]
        inputs = processor([table.read_wave(*window) for window in batch])
        lengths_in = measure_inputs(inputs, processor.input_spec.input_name)
        inputs = {name: value.to(audio_model.model.device) for name, value in inputs.items()}
        vectors = reader.read(inputs).cpu().numpy()
        yield from zip(batch, vectors, lengths_in, strict=True)
