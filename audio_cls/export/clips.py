"""Clips to compare an export on: of a folder, the run's test clips, or the demo's.

Each is cut to the length of a window. Letters: T samples.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from audio_cls.audio.files import find_audio_files
from audio_cls.audio.waveform import Wave, decode_wave
from audio_cls.audio.windows import seconds_to_samples
from audio_cls.config import Hertz, RunConfig, Seconds
from audio_cls.data.keyword_spotting.relabel import relabel_keywords
from audio_cls.data.labels.labels import parse_labels
from audio_cls.data.load import load_dataset
from audio_cls.data.prepare import prepare_split
from audio_cls.data.splits.clip_index import build_clip_index
from audio_cls.demo_data import locate_builtin
from audio_cls.errors import AudioClsError, AudioError, DatasetError, count_of
from audio_cls.evaluation.label_mapping import load_label_map, match_labels
from audio_cls.evaluation.model_run import (
    SourceRun,
    inherit_settings,
    keep_lists,
    read_source_run,
    select_rows,
)
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.inference_settings import find_file, read_inference_settings

TOTAL_SECONDS: Seconds = 600  # of all clips, so that a large model is compared in minutes
MIN_CLIPS, MAX_CLIPS = 20, 100

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckClips:
    """Waveforms at the model's rate, and where they are from."""

    waves: list[Wave]
    origin: str  # such as "30 test clips of the run"


def read_check_clips(audio_model: AudioModel, model: str, folder: Path | None) -> CheckClips:
    """Read the clips for a model.

    Args:
        audio_model: The loaded model.
        model: Run folder or Hub id. A run folder's test clips are read where its data set is found;
            for an id of the Hub nothing is downloaded: the clips of the demo are read.
        folder: Audio files to read instead.

    Raises:
        DatasetError: The folder has no audio file that can be read.
    """
    rate = audio_model.processor.input_spec.sampling_rate
    window = read_inference_settings(audio_model)
    seconds = window.window_seconds or window.piece_seconds
    num_clips = max(MIN_CLIPS, min(MAX_CLIPS, round(TOTAL_SECONDS / seconds)))
    found = None
    if folder is not None:
        found = _read_folder(folder, rate, num_clips)
    elif Path(model).is_dir():
        found = _read_test_clips(audio_model, model, num_clips)
    clips = found or _read_demo_clips(rate, num_clips)
    longest = seconds_to_samples(seconds, rate)
    return dataclasses.replace(clips, waves=[wave[:longest] for wave in clips.waves])


def _read_folder(folder: Path, rate: Hertz, num_clips: int) -> CheckClips:
    """Read audio files of a folder, evenly spaced in the order of their names.

    Raises:
        DatasetError: None can be read.
    """
    files = find_audio_files(folder)
    waves = []
    for file in files[:: max(1, len(files) // num_clips)][:num_clips]:
        try:
            waves.append(decode_wave(None, str(file), rate))
        except AudioError as error:
            logger.warning("%s is left out: %s", file, error)
    if not waves:
        raise DatasetError(
            f"--clips '{folder}' has no audio file that can be read. Give a folder with some clips"
            " of the kind that the model is for."
        )
    return CheckClips(waves, f"{count_of(len(waves), 'clip')} of the folder {folder.name}")


def _read_test_clips(audio_model: AudioModel, model: str, num_clips: int) -> CheckClips | None:
    """Read test clips of a run; None where its data set is not found."""
    try:
        run = read_source_run(functools.partial(find_file, model, None))
        if not run.settings.get("data", {}).get("dataset"):
            return None
        waves = _load_test_split(audio_model, run, num_clips)
    except (AudioClsError, OSError) as error:
        reason = " ".join(str(error).split())
        logger.warning("The test clips of '%s' are not compared: %s", model, reason)
        return None
    return CheckClips(waves, f"{count_of(len(waves), 'test clip')} of the run")


def _load_test_split(audio_model: AudioModel, run: SourceRun, num_clips: int) -> list[Wave]:
    """Decode clips of the test split of a run, as `audio-cls evaluate` does."""
    cfg: RunConfig = inherit_settings({"max_eval_samples": num_clips}, run)[0]
    data = dataclasses.replace(cfg.data, problem_type=audio_model.problem_type)
    dataset = relabel_keywords(load_dataset(data), data)
    match = match_labels(parse_labels(dataset, data), audio_model.labels, load_label_map(None))
    index = build_clip_index(dataset, match.labels, data)
    lists = keep_lists(run, dataset, index)
    rows = select_rows(index, "test", lists, cfg, is_same_dataset=True).rows
    rate = audio_model.processor.input_spec.sampling_rate
    clips, _ = prepare_split(dataset, index, rows, rate, data)
    return [clips.read_wave(n, 0, int(length)) for n, length in enumerate(clips.lengths)]


def _read_demo_clips(rate: Hertz, num_clips: int) -> CheckClips:
    """Read test clips of the demo's data set, spoken words in three languages."""
    folder = locate_builtin("builtin:tiny_speech")
    assert folder is not None
    table = pq.read_table(folder / "data" / "test-00000-of-00001.parquet", columns=["audio"])
    audio = table["audio"].to_pylist()[:num_clips]
    waves = [decode_wave(one["bytes"], one["path"], rate) for one in audio]
    return CheckClips(waves, f"{count_of(len(waves), 'clip')} of the built-in demo (speech)")
