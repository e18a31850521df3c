"""Inference settings and calibration, saved under the key `audio_cls` of config.json.

The entry is {max_seconds, window_seconds, hop_seconds, aggregate, repeat_short, input_spec} and,
once fitted, temperature and, for multi-label, thresholds {label: probability}. transformers keeps
keys that it does not know, so that the model still loads without this project. Evaluation and
prediction read the entry and cut clips into the windows of validation. A checkpoint that was not
trained with audio_cls has no entry: the defaults are used. This module needs no torch.
"""

from __future__ import annotations

import json
import math
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from transformers.utils.hub import cached_file

from audio_cls.config import MAX_CROP_SECONDS, AudioConfig, Hertz
from audio_cls.demo_data import locate_builtin
from audio_cls.errors import ModelError, list_names
from audio_cls.storage.files import replace_file

if TYPE_CHECKING:
    from audio_cls.models.audio_model import AudioModel

CONFIG_KEY = "audio_cls"  # of config.json: settings that evaluation shares with training
INPUT_KEY = "input_spec"  # of them: what `probe.py` found, so that a model loads faster
INFERENCE_FIELDS = ("max_seconds", "window_seconds", "hop_seconds", "aggregate", "repeat_short")
PROBLEM_TYPES = {  # of this project -> of config.json
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
}
AGGREGATES = typing.get_args(typing.get_type_hints(AudioConfig)["aggregate"])


def read_inference_settings(audio_model: AudioModel) -> AudioConfig:
    """Return the settings of training, see `parse_settings`."""
    spec = audio_model.processor.input_spec
    return parse_settings(_read_entry(audio_model), spec.max_samples, spec.sampling_rate)


def parse_settings(
    entry: Mapping[str, Any], max_samples: int | None, sampling_rate: Hertz
) -> AudioConfig:
    """Return the settings of training; defaults for a checkpoint not trained with audio_cls.

    By default, the window is at most the model's fixed input length, so that nothing is cut off.

    Args:
        entry: Of config.json.
        max_samples: The fixed input length; None where there is none.
        sampling_rate: Of the model, in Hz.

    Raises:
        ModelError: The entry has a value that no setting can have.
    """
    values = {name: entry[name] for name in INFERENCE_FIELDS if entry.get(name) is not None}
    if "max_seconds" not in values:
        values["max_seconds"] = min(MAX_CROP_SECONDS, (max_samples or math.inf) / sampling_rate)
    choices = {"aggregate": AGGREGATES, "repeat_short": (False, True)}
    is_valid = all(
        value in choices[name] if name in choices else _is_number(value)
        for name, value in values.items()
    )
    try:
        if not is_valid:
            raise ValueError("one of them is not a number or not a known word.")
        return AudioConfig(**values)
    except ValueError as error:  # also SettingError
        raise ModelError(
            f"config.json's '{CONFIG_KEY}' is {entry}, which is not valid: {error} It must hold"
            f" {', '.join(INFERENCE_FIELDS)} as training wrote them. Restore the file, or save"
            " the model again."
        ) from error


def is_calibrated(audio_model: AudioModel) -> bool:
    """Return True if a temperature was fitted for this model."""
    return _read_entry(audio_model).get("temperature") is not None


def read_temperature(audio_model: AudioModel) -> float:
    """Return the temperature that was fitted on validation.

    Raises:
        ModelError: None was fitted, or it is not a positive number.
    """
    value = parse_temperature(_read_entry(audio_model))
    if value is None:
        raise ModelError(
            "This model has no fitted temperature: training with audio_cls fits one on"
            " validation. Remove --calibrate."
        )
    return value


def parse_temperature(entry: Mapping[str, Any]) -> float | None:
    """Return the temperature in an entry of config.json; None where none was fitted.

    Raises:
        ModelError: It is not a positive number.
    """
    value = entry.get("temperature")
    if value is not None and not (_is_number(value) and 0 < value < 1e6):
        raise ModelError(
            f"config.json's '{CONFIG_KEY}' has the temperature {value!r}: it must be above 0."
            " Remove --calibrate, or train again."
        )
    return None if value is None else float(value)


def read_thresholds(audio_model: AudioModel) -> NDArray[np.float64] | None:
    """Return the probability from which each label is predicted, (L,); None for single-label.

    See `parse_thresholds`.
    """
    if not audio_model.is_multilabel:
        return None
    return parse_thresholds(_read_entry(audio_model), audio_model.labels)


def parse_thresholds(entry: Mapping[str, Any], labels: Sequence[str]) -> NDArray[np.float64] | None:
    """Return the probability from which each label is predicted, (L,), for a multi-label model.

    None where none were tuned: a checkpoint not trained with audio_cls.

    Raises:
        ModelError: The entry has no number for one of the labels.
    """
    given = entry.get("thresholds")
    if given is None:
        return None
    values = [given.get(label) if isinstance(given, dict) else None for label in labels]
    missing = [label for label, v in zip(labels, values, strict=True) if not _is_number(v)]
    if missing:
        raise ModelError(
            f"config.json's '{CONFIG_KEY}' has no threshold for {list_names(missing)}: it must"
            " hold one per label. Restore the file, or save the model again."
        )
    return np.array(values, dtype=np.float64)


def find_file(model: str, revision: str | None, name: str) -> Path | None:
    """Return a file of a model's folder or Hub repository; None where there is none.

    Downloads. None also where the Hub cannot be reached, or there is no such model: loading the
    model reports it.
    """
    try:
        path = cached_file(
            str(locate_builtin(model) or model),
            name,
            revision=revision,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    except OSError:
        return None
    return Path(path) if path else None


def save_calibration(
    folder: Path,
    temperature: float,
    labels: Sequence[str] = (),
    thresholds: NDArray[np.float64] | None = None,
) -> None:
    """Save what was fitted on validation to FOLDER/config.json. Main process only.

    Args:
        folder: The run folder.
        temperature: Of the scores.
        labels: Names of the L labels.
        thresholds: Of each label, (L,); None for single-label.
    """
    entry: dict[str, object] = {"temperature": temperature}
    if thresholds is not None:
        entry["thresholds"] = dict(zip(labels, thresholds.tolist(), strict=True))
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config[CONFIG_KEY] = {**(config.get(CONFIG_KEY) or {}), **entry}
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    replace_file(path, text + "\n")


def _read_entry(audio_model: AudioModel) -> dict[str, Any]:
    """Return the entry of config.json, empty where there is none."""
    entry = getattr(audio_model.model.config, CONFIG_KEY, None)
    return dict(entry) if isinstance(entry, dict) else {}


def _is_number(value: object) -> bool:
    """Return True if a value of the JSON file is a number, not a boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)
