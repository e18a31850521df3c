"""FeatureStore: cached output of frozen modules, on disk.

A store is a folder, named by a key of everything its contents depend on. Each process of a run that
adds windows writes two files: `NAME.rows`, the rows one after another, and `NAME.npy`, the index.
The index is renamed last, so that it never refers to incomplete rows. Rows are read, not mapped:
they do not count as this process's memory.

    audio_cls/features/KEY/
      3f0c...-0.rows     float32, (F, D) of each window
      3f0c...-0.npy      int64, row, start, stop, offset in bytes, F, input length of each window
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from audio_cls import __version__
from audio_cls.data.clips.clips import Clips
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import POOLED_HEAD, has_pooled_head
from audio_cls.storage.cache import CacheEntry
from audio_cls.storage.inventory import list_items
from audio_cls.storage.keys import find_version, make_key

Window = tuple[int, int, int]  # row of the decoded table, start, stop in samples
Rows = NDArray[np.float32]  # (F, D)

STORE_VERSION = 2  # raise it when the rows of the same model and audio change
UNUSED_SECONDS = 24 * 3600  # stores that were opened since then are not deleted
FREE_SHARE = 0.25  # of the free disk space, which stores use by default
# Fields of config.json on which the output of frozen modules does not depend.
NOT_COMPUTED = (
    *("_name_or_path", "architectures", "audio_cls", "id2label", "label2id", "num_labels"),
    *("problem_type", "transformers_version"),
)


def make_store_key(
    audio_model: AudioModel,
    names: Sequence[str],
    layout: str,
    audio: str,
    precision: str,
    device: torch.device,
) -> str:
    """Return the key of a store: everything that the output of the frozen modules depends on.

    Args:
        audio_model: The classifier; its frozen weights, configuration, code and feature extractor
            count, its labels and head do not.
        names: The frozen modules.
        layout: Description of what is stored of their output.
        audio: Key of the waveforms, in the order of the rows that windows refer to.
        precision: Mixed precision of the forward pass.
        device: Of the forward pass; its type counts.
    """
    config = audio_model.model.config
    computed = {k: v for k, v in config.to_dict().items() if k not in NOT_COMPUTED}
    if has_pooled_head(config):  # the encoder's output does not depend on what follows it
        head = computed[POOLED_HEAD]
        computed[POOLED_HEAD] = {k: v for k, v in head.items() if k not in ("pooling", "dropout")}
    return make_key(
        version=STORE_VERSION,
        libraries=[__version__, torch.__version__, transformers.__version__, np.__version__],
        torchaudio=find_version("torchaudio"),  # feature extractors use it where it is installed
        config=json.dumps(computed, sort_keys=True, default=str),
        attention=str(config._attn_implementation),
        weights=_hash_weights(audio_model, names),
        code=audio_model.code,
        layout=layout,
        extractor=audio_model.processor.extractor.to_json_string(),
        input_spec=repr(audio_model.processor.input_spec),
        audio=audio,
        precision=precision,
        matmul=torch.get_float32_matmul_precision(),
        device=device.type,
    )


def _hash_weights(audio_model: AudioModel, names: Sequence[str]) -> dict[str, str]:
    """Return a key for each parameter and buffer of the named modules."""
    found = {}
    for name in names:
        module = audio_model.model.get_submodule(name)
        for key, value in [*module.named_parameters(), *module.named_buffers()]:
            found[f"{name}.{key}"] = make_key(value=value.detach().cpu().numpy())
    return found


class FeatureStore:
    """The rows of windows, on disk. Can be pickled into loader workers.

    While the object that opened it exists, no process deletes the files.
    """

    def __init__(self, key: str, width: int) -> None:
        self.entry = CacheEntry("features", key)
        self.width = width  # D
        self.places: dict[Window, tuple[str, int, int, int]] = {}  # file, offset, F, length
        self.entry.hold()
        for partial in self.path.glob(".*.partial"):  # of a process that was killed
            with contextlib.suppress(OSError):
                if time.time() - partial.stat().st_mtime > UNUSED_SECONDS:
                    partial.unlink()
        self.reload()

    @property
    def path(self) -> Path:
        """Return the folder."""
        return self.entry.path

    def reload(self) -> None:
        """Read the index files again."""
        for index in sorted(self.path.glob("*.npy")):
            rows = index.with_suffix(".rows")
            for row, start, stop, *place in np.load(index).tolist():
                self.places[row, start, stop] = (rows.name, *place)

    def find_missing(self, windows: Iterable[Window]) -> list[Window]:
        """Return the windows that are not in the store, each once, in order."""
        return [window for window in dict.fromkeys(windows) if window not in self.places]

    def read(self, window: Window) -> Rows:
        """Read the rows of a window, (F, D)."""
        return self._read(window, 0, self.places[window][2])

    def read_row(self, window: Window, number: int) -> Rows:
        """Read one row of a window, (D,)."""
        return self._read(window, number, 1).reshape(self.width)

    def _read(self, window: Window, start: int, count: int) -> Rows:
        """Read `count` rows of a window, from row `start`, (count, D)."""
        name, offset, _, _ = self.places[window]
        place = offset + start * self.width * np.dtype(np.float32).itemsize
        size = count * self.width
        flat = np.fromfile(self.path / name, np.float32, count=size, offset=place)
        return flat.reshape(count, self.width)

    def find_lengths(self, windows: Iterable[Window]) -> dict[int, int]:
        """Return, for each F that occurs, a length of the model's input that gives F frames."""
        places = (self.places[window] for window in windows)
        return {frames: length for _, _, frames, length in places}

    def add(self, items: Iterator[tuple[Window, Rows, int]]) -> None:
        """Write windows, their rows and input lengths to new files.

        What a killed process leaves behind is never read.
        """
        name = uuid.uuid4().hex
        partial = self.path / f".{name}.partial"
        index: list[tuple[int, ...]] = []
        try:
            with partial.open("wb") as file:
                for window, rows, length in items:
                    index.append((*window, file.tell(), len(rows), length))
                    file.write(np.ascontiguousarray(rows, np.float32).data)
            partial.replace(self.path / f"{name}.rows")
            with partial.open("wb") as file:
                np.save(file, np.array(index, np.int64).reshape(-1, 6))
            partial.replace(self.path / f"{name}.npy")
        finally:
            partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class CachedClips(Clips):
    """Clips whose windows are read from a store, as rows instead of waveforms."""

    store: FeatureStore = field(kw_only=True)

    def read_wave(self, number: int, start: int, stop: int) -> Any:  # noqa: ANN401 (2-D here)
        """Return the rows (F, D) of a window of a clip."""
        return self.store.read((int(self.rows[number]), start, stop))


def evict_for(store: FeatureStore, num_bytes: int, limit: int | None) -> bool:
    """Delete other stores until one can grow; return False if it cannot.

    Stores that were used within a day, or that another run has open, are never deleted.

    Args:
        store: The one to grow.
        num_bytes: By how much.
        limit: Maximum of all stores together, in bytes; None: their size and a share of the free
            disk space.
    """
    items = list_items(["features"])
    free = shutil.disk_usage(store.path).free
    used = sum(item.num_bytes for item in items)
    most = limit if limit is not None else used + int(FREE_SHARE * free)
    for item in sorted(items, key=lambda other: other.last_used):
        if used + num_bytes <= most:
            break
        is_old = time.time() - item.last_used > UNUSED_SECONDS
        if is_old and item.path != store.path and item.remove():
            used, free = used - item.num_bytes, free + item.num_bytes
    return used + num_bytes <= most and num_bytes < free
