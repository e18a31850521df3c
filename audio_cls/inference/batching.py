"""Batching: windows of several inputs -> batches of similar length -> the logits of each input.

Letters: B windows, L labels, D embedding size, T samples.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audio_cls.audio.waveform import Wave
from audio_cls.config import MIN_HOP_SECONDS, AudioConfig, Hertz, Seconds
from audio_cls.data.loading.length_buckets import group_windows
from audio_cls.errors import AudioClsError, SettingError
from audio_cls.inference.reading import InputReader, Part

BATCH_SIZE = 16  # windows of one forward pass, at most
CPU_BATCH_SECONDS: Seconds = 30.0  # of one forward pass with its padding: larger is not faster
POOL_BATCHES = 4  # full batches of windows that are collected before they are sorted by length


class ModelOutput(NamedTuple):
    """What a network returns for B windows."""

    logits: NDArray[np.float64]  # (B, L)
    embeddings: NDArray[np.float32] | None = None  # (B, D), where they were asked for


@dataclass(frozen=True)
class ModelInput:
    """What a network takes."""

    audio: AudioConfig  # windows, hop and aggregation, as in evaluation
    sampling_rate: Hertz
    equal_lengths: bool  # only windows of one length may share a batch
    max_samples: int | None = None  # to which each window is padded; None: no fixed length
    batch_size: int = BATCH_SIZE
    max_batch_samples: int | None = None  # of a batch with its padding; None: no limit

    def choose_windows(
        self, window_seconds: Seconds | None, overlap: float | None, hop_seconds: Seconds | None
    ) -> AudioConfig:
        """Return the settings of all windows of an input, see `BaseClassifier.windows`.

        Raises:
            SettingError: A window is too long for the model, or a value is out of range.
        """
        audio = replace(self.audio, aggregate="mean-logit")  # all windows
        if window_seconds is not None:
            audio = replace(audio, window_seconds=window_seconds, hop_seconds=None)
        window = audio.window_seconds or audio.piece_seconds
        limit = self.max_samples
        if limit is not None and window * self.sampling_rate > limit:
            raise SettingError(
                f"A window of {window:g} s is too long: the input of this model is"
                f" {limit / self.sampling_rate:g} s long. Give a shorter window."
            )
        if overlap is not None:
            if hop_seconds is not None:
                raise SettingError("overlap and hop_seconds exclude each other: give one of them.")
            hop_seconds = overlap_to_hop(overlap, window)
        return audio if hop_seconds is None else replace(audio, hop_seconds=hop_seconds)


def overlap_to_hop(overlap: float, window: Seconds) -> Seconds:
    """Return the step from one window to the next.

    Raises:
        SettingError: The overlap is no share below 1, or the step is below `MIN_HOP_SECONDS`.

    >>> overlap_to_hop(0.25, 2.0)
    1.5
    """
    if not 0 <= overlap < 1:
        raise SettingError(
            f"overlap={overlap!r} is not possible: it is a share of the window, from 0 to below 1."
            " For a step in seconds give hop_seconds."
        )
    hop = window * (1 - overlap)
    if hop < MIN_HOP_SECONDS - 1e-9:
        most = math.floor((1 - MIN_HOP_SECONDS / window) * 1000 + 1e-6) / 1000
        raise SettingError(
            f"overlap={overlap!r} is too large for windows of {window:g} s, which would start every"
            f" {hop:.3g} s; the shortest step is {MIN_HOP_SECONDS:g} s. Give at most {most:g}."
        )
    return max(hop, MIN_HOP_SECONDS)


@dataclass
class ClipScores:
    """The windows of one input that were scored so far."""

    reader: InputReader
    num_windows: int = 0  # read so far
    is_complete: bool = False  # all windows were read
    error: AudioClsError | None = None
    logits: dict[int, NDArray[np.float64]] = field(default_factory=dict)  # window -> (L,)
    embeddings: dict[int, NDArray[np.float32]] = field(default_factory=dict)  # window -> (D,)

    @property
    def is_done(self) -> bool:
        """Return whether nothing is left to do."""
        is_scored = len(self.logits) == self.num_windows
        return self.error is not None or (self.is_complete and is_scored)

    def raise_error(self) -> None:
        """Raise the error of an input that cannot be read."""
        if self.error is not None:
            raise self.error

    def stack_logits(self) -> NDArray[np.float64]:
        """Return the logits of the windows, (number of windows, L)."""
        return np.stack([self.logits[number] for number in range(self.num_windows)])

    def mean_embedding(self) -> NDArray[np.float32]:
        """Return the mean of the embeddings of the windows, (D,)."""
        rows = [self.embeddings[number] for number in range(self.num_windows)]
        return np.asarray(np.mean(rows, axis=0, dtype=np.float64), dtype=np.float32)


RunModel = Callable[[Sequence[Wave]], ModelOutput]


def run_batches(
    run_model: RunModel, settings: ModelInput, waves: Sequence[Wave]
) -> dict[int, ModelOutput]:
    """Run a network on windows in batches of similar length.

    Args:
        run_model: The network.
        settings: What it takes.
        waves: The windows.

    Returns:
        Number of the window -> its logits (L,) and embedding (D,).
    """
    batches = group_windows(
        [settings.max_samples or len(wave) for wave in waves],
        settings.batch_size,
        equal_lengths=settings.equal_lengths,
        max_samples=settings.max_batch_samples,
    )
    outputs: dict[int, ModelOutput] = {}
    for batch in batches:
        found = run_model([waves[number] for number in batch])
        for row, number in enumerate(batch):
            embedding = None if found.embeddings is None else found.embeddings[row]
            outputs[number] = ModelOutput(found.logits[row], embedding)
    return outputs


def score_parts(
    run_model: RunModel, settings: ModelInput, parts: Iterable[Part]
) -> Iterator[ClipScores]:
    """Score all windows of inputs; yield the inputs in order, also those that cannot be read."""
    clips: deque[ClipScores] = deque()
    pool: list[tuple[ClipScores, int, Wave]] = []
    for part in parts:
        if not clips or clips[-1].reader is not part.reader:
            clips.append(ClipScores(part.reader))
        clip = clips[-1]
        clip.is_complete, clip.error = part.is_last, part.error
        for window in part.windows if part.error is None else ():
            pool.append((clip, clip.num_windows, window.wave))
            clip.num_windows += 1
        num_samples = sum(len(wave) for _, _, wave in pool)
        is_full = len(pool) >= POOL_BATCHES * settings.batch_size
        if is_full or num_samples >= POOL_BATCHES * (settings.max_batch_samples or math.inf):
            _score_pool(run_model, settings, pool)
        while clips and clips[0].is_done:
            yield clips.popleft()
    _score_pool(run_model, settings, pool)
    yield from clips


def _score_pool(
    run_model: RunModel, settings: ModelInput, pool: list[tuple[ClipScores, int, Wave]]
) -> None:
    """Score the windows of several inputs together, and empty the list."""
    outputs = run_batches(run_model, settings, [wave for _, _, wave in pool])
    for place, (clip, number, _) in enumerate(pool):
        clip.logits[number] = outputs[place].logits
        embedding = outputs[place].embeddings
        if embedding is not None:
            clip.embeddings[number] = embedding
    pool.clear()
