"""Base of classifiers: inputs -> windows -> batches -> predictions, without torch.

A subclass runs the network on a batch of windows. Letters: B windows, L labels, D embedding size,
T samples, C channels, N inputs.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.audio.blocks import AudioInput, check_rate, resample_blocks, to_samples
from audio_cls.audio.waveform import Wave, mix_channels
from audio_cls.audio.windows import Window, cut_windows
from audio_cls.config import AudioConfig, Hertz, Seconds
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
from audio_cls.inference.reading import InputReader, is_single_input, read_ahead

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
            The windows of `audio.windows.list_windows`: the last one ends at the input's end.

        Raises:
            SettingError: The window is too long for the model, or a value is out of range.
            AudioError: The input cannot be read; perhaps after some windows.
        """
        audio = self._window_settings(window_seconds, overlap, hop_seconds)
        return self._read_windows(InputReader(source, audio, self.sampling_rate))

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
        audio = self._window_settings(window_seconds, overlap, hop_seconds)
        rate = check_rate(sampling_rate)
        waves = (mix_channels(to_samples(block)) for block in blocks if len(block))
        resampled = resample_blocks(waves, rate, self.sampling_rate)
        windows = cut_windows(resampled, audio, self.sampling_rate)
        return (self._describe_windows("<stream>", [window])[0] for window in windows)

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

    def _window_settings(
        self, window_seconds: Seconds | None, overlap: float | None, hop_seconds: Seconds | None
    ) -> AudioConfig:
        """Return the window settings of a timeline.

        Raises:
            SettingError: A value is out of range.
        """
        audio = replace(self.model_input.audio, aggregate="mean-logit")  # all windows
        if window_seconds is not None:
            audio = replace(audio, window_seconds=window_seconds, hop_seconds=None)
        window = audio.window_seconds or audio.piece_seconds
        limit = self.model_input.max_samples
        if limit is not None and window * self.sampling_rate > limit:
            raise SettingError(
                f"A window of {window:g} s is too long: the input of this model is"
                f" {limit / self.sampling_rate:g} s long. Give a shorter window."
            )
        if overlap is not None:
            if hop_seconds is not None:
                raise SettingError("overlap and hop_seconds exclude each other: give one of them.")
            if not 0 <= overlap < 1:
                raise SettingError(
                    f"overlap={overlap!r} is not possible: it is a share of the window, from 0 to"
                    " below 1. For a step in seconds give hop_seconds."
                )
            hop_seconds = window * (1 - overlap)
        return audio if hop_seconds is None else replace(audio, hop_seconds=hop_seconds)

    def _read_windows(self, reader: InputReader) -> Iterator[WindowPrediction]:
        """Read and classify the windows of one input."""
        for part in read_ahead([reader], self.num_workers):
            yield from self._describe_windows(reader.file, part.windows)
            if part.error is not None:
                raise part.error

    def _describe_windows(self, file: str, windows: Sequence[Window]) -> list[WindowPrediction]:
        """Classify windows of one input."""
        outputs = run_batches(self.run_model, self.model_input, [w.wave for w in windows])
        predictions = []
        for number, window in enumerate(windows):
            logits = outputs[number].logits[None]
            found = aggregate_windows(logits, "first", is_multilabel=self.is_multilabel)
            place = (file, window.start, window.stop, self.sampling_rate)
            predictions.append(WindowPrediction(*place, *self.rule.decide(found)))
        return predictions

    def _score(
        self, inputs: Iterable[AudioInput], *, with_embeddings: bool
    ) -> Iterator[ClipScores]:
        """Read and score inputs, in order."""
        readers = (InputReader(one, self.model_input.audio, self.sampling_rate) for one in inputs)
        parts = read_ahead(readers, self.num_workers)
        run = functools.partial(self.run_model, with_embeddings=with_embeddings)
        return score_parts(run, self.model_input, parts)

    def _predict(self, clip: ClipScores, *, is_single: bool) -> Prediction:
        """Aggregate the windows of an input; its error is raised, or becomes `Prediction.error`."""
        file = clip.reader.file
        try:
            clip.raise_error()
            how = self.model_input.audio.aggregate
            found = aggregate_windows(clip.stack_logits(), how, is_multilabel=self.is_multilabel)
            decision = self.rule.decide(found)
        except (AudioError, ModelError) as error:
            if is_single:
                raise
            return Prediction(file, error=str(error))
        embedding = clip.mean_embedding() if clip.embeddings else None
        return Prediction(
            file,
            **decision._asdict(),
            remark=clip.reader.describe(),
            seconds=clip.reader.num_samples / self.sampling_rate,
            embedding=embedding,
        )


def check_count(name: str, value: int, minimum: int) -> None:
    """Check an integer setting.

    Raises:
        SettingError: It is not an integer, or below the minimum.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise SettingError(f"{name}={value!r} is not possible: give an integer from {minimum} on.")
