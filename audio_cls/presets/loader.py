"""Load preset YAML files, list them, and find the one of a data set.

A preset has settings, in sections or at the top level (see read_file.py). Further keys at the top
level: `datasets`, the ids for which `--dataset ID` alone selects the preset, as a list or as a
mapping to the settings of each (`owner/name: {data: {label_column: class}}`); `about`, task and
result for `--list-presets`; in the `run_config.yaml` of a run `resolved`, the values of settings
that were left open, and `record` (ignored here).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from audio_cls.errors import SettingError, describe_error, list_names, suggest_name
from audio_cls.presets.read_file import ABOUT, DATASETS, read_datasets, read_values, read_yaml
from audio_cls.text_table import format_table, wrap_text

MODEL_FILES = (
    "config.json",
    "*.safetensors",
)  # a preset in their folder may be of the model's author
# Settings of a finished run that its repetition does not use: where it is, how it was started.
NOT_REPEATED = ("output_dir", "overwrite", "resume", "dry_run", "push_to_hub")


@dataclass(frozen=True)
class Preset:
    """One preset, read and checked."""

    name: str
    values: dict[str, Any]  # setting name -> value as YAML gave it
    datasets: dict[str, dict[str, Any]]  # id that selects this preset -> its settings
    text: str  # the file, header included
    about: Mapping[str, str] = field(default_factory=dict)  # task and result
    is_of_run: bool = False  # it is the run_config.yaml of a run
    run: Path | None = None  # the folder of that run, if it is on this machine
    comes_with_model: bool = False  # somebody else may have written it
    record: Mapping[str, Any] = field(default_factory=dict)  # of that run: its versions

    def choose_folder(self, resume: str | None) -> dict[str, str]:
        """Return the run folder for a preset that is a run's own run_config.yaml, else nothing.

        Args:
            resume: The value of --resume: the run itself is resumed; without it the run is repeated
                in the first of RUN-2, RUN-3 ... that does not exist.
        """
        if self.run is None:
            return {}
        if resume not in (None, "never"):
            return {"output_dir": str(self.run)}
        names = (f"{self.run}-{number}" for number in itertools.count(2))
        return {"output_dir": next(name for name in names if not Path(name).exists())}

    def list_unrelated(self, dataset: str | None) -> set[str]:
        """Return the settings that apply only to the preset's data set, if another one is given.

        Settings that the preset has for the given data set are kept.

        Args:
            dataset: The value of --dataset; None for that of the preset.
        """
        default = self.values.get("dataset")
        is_other = default is not None and dataset not in (None, default)
        special = self.datasets.get(str(dataset), {})
        return {"dataset_config", "dataset_revision"} - special.keys() if is_other else set()

    def choose_values(self, dataset: str | None) -> dict[str, Any]:
        """Return the settings for a data set: those for all data sets, then those for this one.

        Args:
            dataset: The value of --dataset; None for that of the preset.
        """
        chosen = dataset or self.values.get("dataset")
        return {**self.values, **self.datasets.get(str(chosen), {})}


def list_presets() -> list[str]:
    """Return the names of the presets that ship with the package."""
    folder = resources.files("audio_cls.presets")
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    )


def load_preset(name: str) -> Preset:
    """Read a shipped preset by name, or any file whose name ends in .yaml or .yml.

    Raises:
        SettingError: There is no such preset, the file is not YAML, or it names an unknown setting.
    """
    if name in list_presets():
        return _load_shipped(name)
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = list_presets()
        raise SettingError(
            f"There is no preset '{name}': it is one of {list_names(known)}, or a file that ends in"
            f" .yaml.{suggest_name(name, known)}"
        )
    try:
        preset = parse_preset(name, path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"The preset file {name} cannot be read ({describe_error(error)}). Check the path."
        ) from error
    folders = path.absolute().parents
    has_model = any(any(folder.glob(name)) for folder in folders for name in MODEL_FILES)
    preset = replace(preset, comes_with_model=preset.is_of_run or has_model)
    if not preset.is_of_run:
        return preset
    values = {name: value for name, value in preset.values.items() if name not in NOT_REPEATED}
    folder = folders[0]
    is_run_folder = any(any(folder.glob(name)) for name in ("model*.safetensors", "checkpoints"))
    return replace(preset, values=values, run=folder if is_run_folder else None)


@functools.cache
def _load_shipped(name: str) -> Preset:
    """Read a shipped preset, once per process."""
    text = (resources.files("audio_cls.presets") / f"{name}.yaml").read_text("utf-8")
    return parse_preset(name, text)


def describe_presets() -> str:
    """Return a table of the shipped presets: name, task, data set and result."""
    rows = [["preset", "task", "data set", "test accuracy"]]
    for one in map(load_preset, list_presets()):
        about = one.about
        rows.append([one.name, about["task"], one.values["dataset"], about["result"]])
    note = (
        "measured: by this code; published: by other code, for some presets with another model or"
        " protocol. Sources and more: --show-preset NAME."
    )
    return "\n".join([*format_table(rows), "", *wrap_text(note)])


def find_preset_for(dataset: str) -> Preset | None:
    """Return the shipped preset that has this id under `datasets`, if there is one."""
    presets = map(load_preset, list_presets())
    return next((preset for preset in presets if dataset in preset.datasets), None)


def parse_preset(name: str, text: str) -> Preset:
    """Return the preset in a YAML text.

    Raises:
        SettingError: The text is not a mapping, or has unknown names.
    """
    tree = read_yaml(name, text)
    about = tree.get(ABOUT)
    return Preset(
        name,
        read_values(name, tree),
        read_datasets(name, tree.get(DATASETS)),
        text,
        about={str(k): str(v) for k, v in about.items()} if isinstance(about, dict) else {},
        is_of_run="record" in tree,
        record=tree["record"] if isinstance(tree.get("record"), dict) else {},
    )
