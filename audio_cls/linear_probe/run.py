"""Linear probe of a run: layer outputs, choice of the layer, and the checkpoint with its head.

Letters: M validation clips, L labels.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, softmax  # type: ignore[import-untyped]

from audio_cls.config import RunConfig
from audio_cls.data.clips.clips import Clips, select_clips
from audio_cls.data.keyword_spotting.sampling import draw_first_epoch
from audio_cls.data.prepare import PreparedClips, warn_of_short_clips
from audio_cls.data.splits.split_check import SHARED_GROUPS
from audio_cls.data.splits.train_test_split import Rows
from audio_cls.distributed import Accelerator
from audio_cls.distributed.hardware import configure_cpu
from audio_cls.distributed.processes import share_from_main
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.inference.forward import compute_logits
from audio_cls.linear_probe.checkpoint import apply_probe, check_probabilities
from audio_cls.linear_probe.choose import (
    CandidateScore,
    ProbeTask,
    choose_candidate,
    compare_candidates,
    take_default,
)
from audio_cls.linear_probe.cut import Candidate
from audio_cls.linear_probe.features import LayerFeatures, compute_layer_features
from audio_cls.linear_probe.folds import ChoiceFolds, choose_folds
from audio_cls.linear_probe.layers import LayerReader
from audio_cls.linear_probe.regression import Floats, LinearLayer
from audio_cls.models.audio_model import AudioModel
from audio_cls.progress import ProgressReport
from audio_cls.run_warnings import warn
from audio_cls.runs.provenance import count_parameters
from audio_cls.runs.results import ProbedLayer, ProbeResults
from audio_cls.training.optim.class_weights import compute_clip_weights, compute_pos_weights

CHECKED_WINDOWS = 8  # whose probabilities are compared after the model is cut
NO_CHOICE = (
    "No class has two training clips, so that the layers of the probe cannot be compared: the last"
    " layer and C = 1 are used. Add training clips, or validation clips (10 of most classes)."
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LinearProbe:
    """What `run_linear_probe` found; the model that it was given is the checkpoint."""

    candidate: Candidate
    layer: LinearLayer  # the regression
    results: ProbeResults
    validation: Floats  # probabilities of the validation clips, (M, L), not rounded
    start: LinearLayer  # a more strongly regularised one, to fine-tune from
    refitted: LinearLayer | None = None  # fitted on validation clips too
    refitted_start: LinearLayer | None = None
    num_refitted: int = 0  # clips of that


def run_linear_probe(
    cfg: RunConfig,
    accelerator: Accelerator,
    audio_model: AudioModel,
    clips: PreparedClips,
    *,
    is_refit: bool = False,
) -> LinearProbe:
    """Choose a layer of the frozen encoder, and make the regression on it the model's head.

    Call on every process: they share the pass of the encoder, and the main process fits. Changes
    the model in place: it is on the accelerator's device, in evaluation mode, and cut.

    Args:
        cfg: The settings.
        accelerator: This run's processes.
        audio_model: The classifier.
        clips: Of all splits, decoded; those of the test are not used.
        is_refit: The chosen layer and C are also fitted on training and validation clips.

    Raises:
        ModelError: The model family does not allow it.
        SettingError: The layer outputs exceed the disk limit.
    """
    assert isinstance(clips.train, Clips)  # a stream was refused with the settings
    started = time.monotonic()
    warn_of_short_clips(clips, audio_model.processor.input_spec.min_samples)
    configure_cpu(accelerator, count_parameters(audio_model))
    audio_model.model.to(accelerator.device).train(mode=False)
    reader = LayerReader(audio_model.model, audio_model.processor)
    train = take_epoch_clips(clips.train, audio_model.labels, cfg)
    parts = [train, clips.validation]
    features = compute_layer_features(cfg, accelerator, audio_model, reader, parts)
    seconds = time.monotonic() - started
    found = None
    if accelerator.is_main_process:
        data = _ProbeData(cfg, train, clips.validation, audio_model.labels, features)
        are_shared = bool(np.isin(clips.validation.ids, clips.test.ids).any())
        flatters = SHARED_GROUPS in clips.check["verdict"]  # then folds by group choose
        may_use_validation = not (are_shared or flatters)
        found = _choose(
            data, reader, seconds, may_use_validation=may_use_validation, is_refit=is_refit
        )
    probe = share_from_main(found)
    apply_probe(audio_model, probe.candidate, probe.layer)
    if accelerator.is_main_process:
        _check_model(audio_model, clips.train, features, probe, reader)
    return probe


@dataclass(frozen=True)
class _ProbeData:
    """Clips and the vectors of their windows; validation clips are numbered after training."""

    cfg: RunConfig
    train: Clips
    validation: Clips
    names: tuple[str, ...]  # the L labels
    features: LayerFeatures

    @property
    def used(self) -> Rows:
        """Return the numbers of the training clips."""
        return np.arange(len(self.train))

    def make_task(self, *, is_refit: bool = False) -> ProbeTask:
        """Return the labels and weights of the clips of both splits.

        Args:
            is_refit: Validation clips are fitted on, too: they count for the class weights.
        """
        every, cfg = np.concatenate([self.train.labels, self.validation.labels]), self.cfg.optim
        labels = every if is_refit else self.train.labels
        weights = np.ones(len(every))
        given = compute_clip_weights(labels, self.names, cfg)
        if given is not None:
            weights[: len(labels)] = given
        gain = compute_pos_weights(labels, self.names, cfg.pos_weight) if labels.ndim > 1 else None
        return ProbeTask(every, len(self.names), self.cfg.audio.aggregate, weights, gain)

    def make_folds(self, *, may_use_validation: bool) -> ChoiceFolds:
        """Return the clips that candidates are compared on."""
        train, validation = self.train, self.validation.labels
        given = validation if may_use_validation else validation[:0]
        seed = self.cfg.train.seed
        return choose_folds(train.labels, given, len(self.names), train.groups, seed)


def take_epoch_clips(clips: Clips, names: Sequence[str], cfg: RunConfig) -> Clips:
    """Return the training clips that the first epoch would use: all, except for keyword spotting.

    Args:
        clips: Of training.
        names: The L labels.
        cfg: Shares of the clips that are no keywords, and the seed.
    """
    numbers = draw_first_epoch(clips.labels, names, cfg.data, cfg.train.seed)
    return clips if numbers is None else select_clips(clips, np.sort(numbers))


def _choose(
    data: _ProbeData,
    reader: LayerReader,
    feature_seconds: float,
    *,
    may_use_validation: bool,
    is_refit: bool,
) -> LinearProbe:
    """Compare the candidates, and fit the best one on the training clips."""
    started, features = time.monotonic(), data.features
    task, folds = data.make_task(), data.make_folds(may_use_validation=may_use_validation)
    if folds.pairs:
        with ProgressReport("Layers", len(reader.candidates), logger) as report:
            scores = compare_candidates(features, reader.candidates, task, folds, report)
    else:
        scores = [take_default(reader.candidates)]
        warn(logger, NO_CHOICE)
    best = choose_candidate(scores)
    vectors = features.read(reader.candidates.index(best.candidate))
    regression = task.make_regression(vectors, features, data.used)
    layer, start = regression.fit(best.c), regression.fit(best.start_c)
    rows = features.clips >= len(data.train)
    predicted = task.predict(layer, vectors[rows], features.clips[rows])
    results = ProbeResults(
        layers=[_describe_score(one, best) for one in scores],
        total_layers=len(reader.layers),
        metric=task.metric,
        scored_on=folds.description if folds.pairs else None,
        num_windows=len(features.windows),
        num_computed=features.num_computed,
        feature_seconds=round(feature_seconds, 2),
        fit_seconds=round(time.monotonic() - started, 2),
    )
    found = LinearProbe(best.candidate, layer, results, predicted, start)
    if not is_refit:
        return found
    count = len(data.train) + len(data.validation)
    task = data.make_task(is_refit=True)
    regression = task.make_regression(vectors, features, np.arange(count))
    layers = regression.fit(best.c), regression.fit(best.start_c)
    return replace(found, refitted=layers[0], refitted_start=layers[1], num_refitted=count)


def _describe_score(score: CandidateScore, best: CandidateScore) -> ProbedLayer:
    """Return a candidate's part of results.json."""
    return ProbedLayer(
        layer=score.candidate.layer,
        num_layers=score.candidate.num_layers,
        c=score.c,
        log_loss=score.loss if math.isfinite(score.loss) else None,
        score=round(score.value, DECIMALS) if math.isfinite(score.value) else None,
        is_chosen=True if score is best else None,
    )


def _check_model(
    audio_model: AudioModel,
    clips: Clips,
    features: LayerFeatures,
    probe: LinearProbe,
    reader: LayerReader,
) -> None:
    """Compare the probabilities of the cut model and of the regression, on a few real windows.

    Raises:
        ModelError: They differ.
    """
    number = reader.candidates.index(probe.candidate)
    table = replace(clips, rows=np.arange(len(clips.table)))
    to_probabilities = expit if audio_model.is_multilabel else softmax
    for window in features.windows[:: max(1, len(features.windows) // CHECKED_WINDOWS)]:
        inputs = audio_model.processor([table.read_wave(*window)])
        on_device = {name: value.to(audio_model.model.device) for name, value in inputs.items()}
        found = compute_logits(audio_model.model, on_device)
        expected = probe.layer(features.store.read_row(window, number)[None])
        check_probabilities(to_probabilities(found), to_probabilities(expected))
