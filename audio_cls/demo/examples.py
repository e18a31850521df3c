"""Example clips of the page: those that training saved where the licence allows it."""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path

from audio_cls.audio.files import encode_wav
from audio_cls.demo.dataset_clips import load_clips
from audio_cls.demo_data import BUILTIN
from audio_cls.evaluation.model_run import read_source_run
from audio_cls.models.inference_settings import find_file
from audio_cls.runs.results import RESULTS_FILE, read_results

NUM_EXAMPLES = 3


def write_examples(
    model: str, revision: str | None, folder: Path, sampling_rate: int
) -> list[Path]:
    """Write example clips, `FOLDER/NUMBER-LABEL.wav`.

    They are the samples of the model's run, which training saves only under a licence that allows
    redistribution, or clips of the built-in data set.

    Args:
        model: A run folder or a Hub id.
        revision: Of the model on the Hub.
        folder: Is made if there is an example.
        sampling_rate: Of clips of the built-in data set, in Hz.
    """
    find = functools.partial(find_file, model, revision)
    results = find(RESULTS_FILE)
    samples = (read_results(results).samples or []) if results else []
    paths = []
    for number, sample in enumerate(samples[:NUM_EXAMPLES], start=1):
        source = find(sample["file"])
        if source is not None:
            paths.append(_name_example(folder, number, sample["label"]))
            shutil.copyfile(source, paths[-1])
    if paths or not uses_builtin_data(model, revision):
        return paths
    clips = load_clips(model, revision, {}, sampling_rate)
    firsts: dict[str, str] = {}
    for clip, label in zip(clips.ids, clips.labels, strict=True):
        if clip in clips.predictions or not clips.predictions:  # test clips
            firsts.setdefault(label, clip)
    for number, (label, clip) in enumerate(sorted(firsts.items())[:NUM_EXAMPLES], start=1):
        paths.append(_name_example(folder, number, label))
        paths[-1].write_bytes(encode_wav(clips.read_wave(clip), sampling_rate))
    return paths


def uses_builtin_data(model: str, revision: str | None) -> bool:
    """Return whether a model was trained on a data set that ships with this package."""
    settings = read_source_run(functools.partial(find_file, model, revision)).settings
    return str(settings.get("data", {}).get("dataset")).startswith(BUILTIN)


def _name_example(folder: Path, number: int, label: str) -> Path:
    """Return the path of an example, and make its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{number}-{re.sub(r'[^A-Za-z0-9_]+', '_', label)[:40] or 'clip'}.wav"
