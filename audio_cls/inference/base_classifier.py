"""Base of classifiers: inputs -> windows -> batches -> predictions, without torch.

A subclass runs the network on a batch of windows. Letters: B windows, L labels, D embedding size,
T samples, C channels, N inputs.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.audio.blocks import AudioInput, check_rate, resample_blocks, to_samples
from audio_cls.audio.waveform import Wave, mix_channels
from audio_cls.audio.windows import Window, cut_windows
from audio_cls.config import Hertz, Seconds
from audio_cls.errors import AudioError, ModelError, SettingError
from audio_cls.inference.aggregation import aggregate_windows
from audio_cls.inference.batching import (
    ClipScores,
    ModelInput,
    ModelOutput,
    run_batches,
    score_parts,
)
from audio_cls.inference.label_rule import LabelRule
from audio_cls.inference.prediction import Prediction, WindowPrediction
from audio_cls.inference.reading import InputReader, Part, is_single_input, read_ahead

NUM_WORKERS = 2  # threads that decode


class BaseClassifier(abc.ABC):
    """Everything of a classifier but the network; see `Classifier` for how to use it."""

    def __init__(
        self, model_input: ModelInput, rule: LabelRule, num_workers: int | None = None
    ) -> None:
        """Set how inputs are cut and how labels are chosen.

        Args:
            model_input: What the network takes.
            rule: Labels, temperature, thresholds.
            num_workers: Threads that decode; 0: none but the caller's. Default: 2.
        """
        self.model_input = model_input
        self.rule = rule
        self.num_workers = NUM_WORKERS if num_workers is None else num_workers
        self.audio_seconds: Seconds = 0.0  # of the inputs so far, for the progress of a call

    @abc.abstractmethod
    def run_model(self, waves: Sequence[Wave], *, with_embeddings: bool = False) -> ModelOutput:
        """Run the network once on B windows, (T_i,) float32 at `sampling_rate`.

        Args:
            waves: The windows; of one length where `model_input.equal_lengths`.
            with_embeddings: Return also the input of the last linear layer.

        Raises:
            ModelError: The model gives no embeddings.
        """

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the names of the L labels, in the order of the logits."""
        return self.rule.names

    @property
    def sampling_rate(self) -> Hertz:
        """Return the sampling rate of the model in Hz."""
        return self.model_input.sampling_rate

    @property
    def is_multilabel(self) -> bool:
        """Return True if each label has a probability of its own (sigmoid), False for softmax."""
        return self.rule.is_multilabel

    @property
    def temperature(self) -> float:
        """Return the temperature of the scores; 1: none is applied."""
        return self.rule.temperature

    def __call__(self, inputs: Any, *, with_embeddings: bool = False) -> Any:  # noqa: ANN401 (one or several)
        """Classify one input or several.

        Args:
            inputs: A path, the bytes of a file, (samples, sampling rate) with samples of shape (T,)
                or (T, C), {"array" or "raw": samples, "sampling_rate": rate}, or an iterable of
                these.
            with_embeddings: Set `Prediction.embedding`, see `embed`.

        Returns:
            A Prediction for one input; a list for a list; for a generator an iterator, which reads
            a bounded number of inputs ahead. Among several, an input that cannot be read has
            `Prediction.error`.

        Raises:
            AudioError: One input was given, and cannot be read.
            ModelError: One input was given, and the model's scores are not finite.
        """
        if is_single_input(inputs):
            (clip,) = self._score([inputs], with_embeddings=with_embeddings)
            return self._predict(clip, is_single=True)
        clips = self._score(inputs, with_embeddings=with_embeddings)
        predictions = (self._predict(clip, is_single=False) for clip in clips)
        return predictions if isinstance(inputs, Iterator) else list(predictions)

    def windows(
        self,
        source: AudioInput,
        *,
        window_seconds: Seconds | None = None,
        overlap: float | None = None,
        hop_seconds: Seconds | None = None,
    ) -> Iterator[WindowPrediction]:
        """Classify each window of one input, in order; memory does not grow with its length.

        Args:
            source: A path, bytes or (samples, sampling rate), see `__call__`.
            window_seconds: Length of a window. Default: that of evaluation.
            overlap: Share of a window that the next one has, too: 0 or more, below 1. Excludes
                `hop_seconds`.
            hop_seconds: Step from one window to the next. Default: that of evaluation, or the
                window's length where `window_seconds` is given.

        Yields:
            The windows of `audio.windows.list_windows`: the last one ends at the input's end, or
            less than a twentieth of a window before it.

        Raises:
            SettingError: The window is too long for the model, or a value is out of range.
            AudioError: The input cannot be read; perhaps after some windows.
        """
        audio = self.model_input.choose_windows(window_seconds, overlap, hop_seconds)
        return self._read_windows(InputReader(source, audio, self.sampling_rate))

    def with_windows(
        self, source: AudioInput, report: Callable[[Seconds], object] = lambda _: None
    ) -> tuple[Prediction, list[WindowPrediction]]:
        """Classify one input and each of its windows of evaluation; each window is scored once.

        Args:
            source: A path, bytes or (samples, sampling rate), see `__call__`.
            report: Is called with the number of seconds that are done.

        Raises:
            AudioError: The input cannot be read.
            ModelError: The model's scores are not finite.
        """
        audio = self.model_input.choose_windows(None, None, None)
        reader = InputReader(source, audio, self.sampling_rate)
        logits: list[NDArray[np.float64]] = []
        windows = []
        for part in self._read([reader]):
            if part.error is not None:
                raise part.error
            for row, window in self._score_windows(reader.file, part.windows):
                logits.append(row)
                windows.append(window)
            report(part.num_samples / self.sampling_rate)
        return self._describe(reader, np.stack(logits)), windows

    def stream(
        self,
        blocks: Iterable[NDArray[Any]],
        sampling_rate: Hertz,
        *,
        window_seconds: Seconds | None = None,
        overlap: float | None = None,
        hop_seconds: Seconds | None = None,
    ) -> Iterator[WindowPrediction]:
        """Classify the windows of sound that comes in blocks, each as soon as it is complete.

        Args:
            blocks: Samples, (T,) or (T, C), float or integer; taken one by one.
            sampling_rate: Of the blocks, in Hz.
            window_seconds: See `windows`.
            overlap: See `windows`.
            hop_seconds: See `windows`.

        Yields:
            The windows that `windows` gives for the same samples; `file` is "<stream>". The last
            one comes when `blocks` ends. Resampling delays a window by up to 0.04 s of 44.1 or
            48 kHz sound.

        Raises:
            SettingError: See `windows`.
            AudioError: A block has the wrong shape, or there is no sample at all.
        """
        audio = self.model_input.choose_windows(window_seconds, overlap, hop_seconds)
        rate = check_rate(sampling_rate)
        waves = (mix_channels(to_samples(block)) for block in blocks if len(block))
        resampled = resample_blocks(waves, rate, self.sampling_rate)
        windows = cut_windows(resampled, audio, self.sampling_rate)
        return (self._score_windows("<stream>", [window])[0][1] for window in windows)

    def embed(self, inputs: Any) -> NDArray[np.float32]:  # noqa: ANN401 (see `__call__`)
        """Return embeddings: the input of the last linear layer, mean over the windows.

        Args:
            inputs: See `__call__`.

        Returns:
            Shape (D,) for one input, (N, D) for several.

        Raises:
            AudioError: An input cannot be read.
            ModelError: The model gives no embeddings.
        """
        is_single = is_single_input(inputs)
        clips = self._score([inputs] if is_single else inputs, with_embeddings=True)
        rows = []
        for clip in clips:
            clip.raise_error()
            rows.append(clip.mean_embedding())
        if is_single:
            return rows[0]
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def _read(self, readers: Iterable[InputReader]) -> Iterator[Part]:
        """Yield the parts of inputs, and count the seconds that are done."""
        before = self.audio_seconds
        for part in read_ahead(readers, self.num_workers):
            yield part
            self.audio_seconds = before + part.num_samples / self.sampling_rate
            before = self.audio_seconds if part.is_last else before

    def _read_windows(self, reader: InputReader) -> Iterator[WindowPrediction]:
        """Read and classify the windows of one input."""
        for part in self._read([reader]):
            yield from (window for _, window in self._score_windows(reader.file, part.windows))
            if part.error is not None:
                raise part.error

    def _score_windows(
        self, file: str, windows: Sequence[Window]
    ) -> list[tuple[NDArray[np.float64], WindowPrediction]]:
        """Return the logits (L,) and the prediction of each window of an input."""
        outputs = run_batches(self.run_model, self.model_input, [w.wave for w in windows])
        found = []
        for number, window in enumerate(windows):
            logits = outputs[number].logits
            scores = aggregate_windows(logits[None], "first", is_multilabel=self.is_multilabel)
            place = (file, window.start, window.stop, self.sampling_rate)
            found.append((logits, WindowPrediction(*place, *self.rule.decide(scores))))
        return found

    def _score(
        self, inputs: Iterable[AudioInput], *, with_embeddings: bool
    ) -> Iterator[ClipScores]:
        """Read and score inputs, in order."""
        readers = (InputReader(one, self.model_input.audio, self.sampling_rate) for one in inputs)
        run = functools.partial(self.run_model, with_embeddings=with_embeddings)
        return score_parts(run, self.model_input, self._read(readers))

    def _predict(self, clip: ClipScores, *, is_single: bool) -> Prediction:
        """Aggregate the windows of an input; its error is raised, or becomes `Prediction.error`."""
        try:
            clip.raise_error()
            prediction = self._describe(clip.reader, clip.stack_logits())
        except (AudioError, ModelError) as error:
            if is_single:
                raise
            return Prediction(clip.reader.file, error=str(error))
        embedding = clip.mean_embedding() if clip.embeddings else None
        return replace(prediction, embedding=embedding)

    def _describe(self, reader: InputReader, logits: NDArray[np.float64]) -> Prediction:
        """Return the prediction of an input for the logits (number of windows, L)."""
        how = self.model_input.audio.aggregate
        scores = aggregate_windows(logits, how, is_multilabel=self.is_multilabel)
        seconds = reader.num_samples / self.sampling_rate
        remark, decision = reader.describe(), self.rule.decide(scores)
        return Prediction(reader.file, **decision._asdict(), remark=remark, seconds=seconds)


def check_count(name: str, value: int, minimum: int) -> None:
    """Check an integer setting.

    Raises:
        SettingError: It is not an integer, or below the minimum.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise SettingError(f"{name}={value!r} is not possible: give an integer from {minimum} on.")
