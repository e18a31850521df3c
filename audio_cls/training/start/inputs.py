"""MethodInputs: what a method of `--method` gets, when data set and model are loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audio_cls.config import RunConfig
from audio_cls.data.labels.labels import Labels
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.prepare import PreparedClips
from audio_cls.data.splits.iterative_stratification import LabelArray
from audio_cls.distributed import Accelerator
from audio_cls.evaluation.baseline.fit import FittedBaseline
from audio_cls.models.audio_model import AudioModel
from audio_cls.runs.folder import RunFolder
from audio_cls.runs.provenance import Clock


@dataclass(frozen=True)
class MethodInputs:
    """Settings, clips and model of a run that is about to train."""

    cfg: RunConfig  # with what was resolved
    accelerator: Accelerator
    folder: RunFolder
    dataset: LoadedDataset
    labels: Labels
    clips: PreparedClips
    audio_model: AudioModel
    epoch_labels: LabelArray  # of the training clips of one epoch
    clock: Clock  # since the start of the run
    load_model: Callable[[], AudioModel]  # loads the checkpoint again, with a new head
    baseline: FittedBaseline | None = None  # of these clips, on the main process
    repo_id: str | None = None  # where the run is uploaded
