"""What our training notes in config.json beside the network: how clips are heard, and how sure.

The key `audio_cls` holds {max_seconds, window_seconds, hop_seconds, aggregate, repeat_short} and,
once fitted, temperature and, for multi-label, thresholds {label: probability}. transformers keeps
keys that it does not know: stock users are not disturbed. Evaluation and prediction read it back
and so cut clips into the very windows that training judged. A checkpoint from elsewhere has no such
key: it gets the defaults.
"""

from __future__ import annotations

import json
import math
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers.utils.hub import cached_file

from audio_cls.config import MAX_CROP_SECONDS, AudioConfig
from audio_cls.demo_data import locate_builtin
from audio_cls.errors import ModelError, SettingError, list_names
from audio_cls.models.audio_model import CONFIG_KEY, INFERENCE_FIELDS, AudioModel
from audio_cls.storage.files import replace_file

AGGREGATES = typing.get_args(typing.get_type_hints(AudioConfig)["aggregate"])


def read_inference_settings(audio_model: AudioModel) -> AudioConfig:
    """Return how clips were heard in training; the defaults for a checkpoint from elsewhere.

    Without a note, the window is no longer than the model's fixed length, so that nothing is lost.

    Raises:
        ModelError: The note holds something that cannot be a setting.
    """
    note = _read_note(audio_model)
    input_spec = audio_model.processor.input_spec
    kept = {name: note[name] for name in INFERENCE_FIELDS if note.get(name) is not None}
    if "max_seconds" not in kept:
        heard = (input_spec.max_samples or math.inf) / input_spec.sampling_rate
        kept["max_seconds"] = min(MAX_CROP_SECONDS, heard)
    words = {"aggregate": AGGREGATES, "repeat_short": (False, True)}
    is_sound = all(
        value in words[name] if name in words else _is_number(value) for name, value in kept.items()
    )
    try:
        if not is_sound:
            raise SettingError("one of them is no number, or no known word.")
        return AudioConfig(**kept)
    except SettingError as error:
        raise ModelError(
            f"config.json's '{CONFIG_KEY}' is {note}, which cannot be: {error} It holds"
            f" {', '.join(INFERENCE_FIELDS)} as training wrote them. Mend the file, or save the"
            " model again."
        ) from error


def is_calibrated(audio_model: AudioModel) -> bool:
    """Tell whether training fitted a temperature for this model."""
    return _read_note(audio_model).get("temperature") is not None


def read_temperature(audio_model: AudioModel) -> float:
    """Return the temperature that was fitted on validation.

    Raises:
        ModelError: None was fitted, or it is no positive number.
    """
    value = _read_note(audio_model).get("temperature")
    if value is None:
        raise ModelError(
            "This model has no fitted temperature: scripts/train.py fits one on validation."
            " Leave --calibrate out."
        )
    if not _is_number(value) or not 0 < value < 1e6:
        raise ModelError(
            f"config.json's '{CONFIG_KEY}' has the temperature {value!r}: it must be above 0."
            " Leave --calibrate out, or train again."
        )
    return float(value)


def read_thresholds(audio_model: AudioModel) -> NDArray[np.float64] | None:
    """Return the probability from which on each label counts as there, (L,).

    None where none were tuned: for one label a clip, or a checkpoint from elsewhere.

    Raises:
        ModelError: The note has no number for one of the labels.
    """
    told = _read_note(audio_model).get("thresholds")
    if told is None or not audio_model.is_multilabel:
        return None
    found = [told.get(label) if isinstance(told, dict) else None for label in audio_model.labels]
    lacking = [
        label
        for label, value in zip(audio_model.labels, found, strict=True)
        if not _is_number(value)
    ]
    if lacking:
        raise ModelError(
            f"config.json's '{CONFIG_KEY}' has no threshold for {list_names(lacking)}: it holds one"
            " a label, as training tuned them. Mend the file, or save the model again."
        )
    return np.array(found, dtype=np.float64)


def find_file(model: str, revision: str | None, name: str) -> Path | None:
    """Return a file that lies beside a model, on this disk or on the Hub; None without one.

    Downloads. A Hub that cannot be reached counts as having none.
    """
    found = cached_file(
        str(locate_builtin(model) or model),
        name,
        revision=revision,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return Path(found) if found else None


def save_temperature(folder: Path, temperature: float) -> None:
    """Add the temperature to FOLDER/config.json. Main process only."""
    _add_note(folder, "temperature", temperature)


def save_calibration(
    folder: Path,
    temperature: float,
    labels: Sequence[str],
    thresholds: NDArray[np.float64] | None,
) -> None:
    """Add to FOLDER/config.json what validation decided. Main process only.

    Args:
        folder: The run folder.
        temperature: Of the scores.
        labels: Names of the L labels.
        thresholds: Of each label, (L,); None for one label a clip.
    """
    save_temperature(folder, temperature)
    if thresholds is not None:
        _add_note(folder, "thresholds", dict(zip(labels, thresholds.tolist(), strict=True)))


def _add_note(folder: Path, name: str, value: object) -> None:
    """Add one entry to the note in FOLDER/config.json."""
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config[CONFIG_KEY] = {**(config.get(CONFIG_KEY) or {}), name: value}
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    replace_file(path, text + "\n")


def _read_note(audio_model: AudioModel) -> dict[str, Any]:
    """Return the note, empty where there is none."""
    note = getattr(audio_model.model.config, CONFIG_KEY, None)
    return dict(note) if isinstance(note, dict) else {}


def _is_number(value: object) -> bool:
    """Tell whether a value of the JSON file is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
