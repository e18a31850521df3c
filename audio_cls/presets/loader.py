"""Load preset YAML files, list them, and find the one of a data set.

A preset names settings by section (`optim: {learning_rate: 5e-5}`). More keys are allowed on top:
`datasets`, the ids for which `--dataset ID` alone picks the preset up; in the `run_config.yaml` of
a run also `resolved`, which fills in what its settings left open, and `record` (ignored here).
`datasets` is a list of ids, or a mapping of ids to what is special to each (`owner/name: {data:
{label_column: class}}`), so that one recipe serves several data sets. Values stay as YAML gave
them: click converts them, so that `1e-4` (a string for YAML 1.1) becomes a number.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from audio_cls.config import iterate_settings, rename_settings
from audio_cls.errors import SettingError, list_names, suggest_name
from audio_cls.runs.resolved import RESOLVED, read_settings

EXTRA_KEYS = ("datasets", RESOLVED, "record")
MODEL_FILES = ("config.json", "*.safetensors")  # a preset near one came with a model
# Settings of a finished run that its repetition does not take over: where it went, how it began.
NOT_REPEATED = ("output_dir", "overwrite", "resume", "dry_run", "push_to_hub")


@dataclass(frozen=True)
class Preset:
    """One preset, read and checked."""

    name: str
    values: dict[str, Any]  # setting name -> value as YAML gave it
    # Data set ids that pick this preset up by themselves -> what is special about each.
    datasets: dict[str, dict[str, Any]]
    text: str  # the file, header included
    is_of_run: bool = False  # it is the run_config.yaml of a run
    run: Path | None = None  # and the folder of that run, where it is here
    comes_with_model: bool = False  # it may be somebody else's

    def choose_folder(self, resume: str | None) -> dict[str, str]:
        """Return the run folder for a preset that is a run's own run_config.yaml, else nothing.

        Args:
            resume: What was typed as --resume: the run itself is resumed; else it is repeated in
                the first of RUN-2, RUN-3 ... that does not exist.
        """
        if self.run is None:
            return {}
        if resume not in (None, "never"):
            return {"output_dir": str(self.run)}
        names = (f"{self.run}-{number}" for number in itertools.count(2))
        return {"output_dir": next(name for name in names if not Path(name).exists())}

    def choose_values(self, dataset: str | None) -> dict[str, Any]:
        """Return the settings for a data set: what the preset says of all, then of this one.

        Args:
            dataset: The id that was typed; None for the preset's own.
        """
        chosen = dataset or self.values.get("dataset")
        return {**self.values, **self.datasets.get(str(chosen), {})}

    @property
    def title(self) -> str:
        """Return what the first line of the header says the preset is for."""
        first = self.text.partition("\n")[0]
        return first.lstrip("# ").rstrip(".") if first.startswith("#") else ""


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
            f"The preset file {name} cannot be read ({error}). Check the path."
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
    """Return a table of the shipped presets: name, what it is for, its data sets."""
    presets = [load_preset(name) for name in list_presets()]
    rows = [(one.name, one.title, ", ".join(one.datasets)) for one in presets]
    rows.insert(0, ("preset", "what it is for", "data sets that pick it up by themselves"))
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    lines = [f"{name:<{widths[0]}}  {title:<{widths[1]}}  {ids}" for name, title, ids in rows]
    return "\n".join(line.rstrip() for line in lines)


def find_preset_for(dataset: str) -> Preset | None:
    """Return the shipped preset that names this data set id as its own, if one does."""
    presets = map(load_preset, list_presets())
    return next((preset for preset in presets if dataset in preset.datasets), None)


def parse_preset(name: str, text: str) -> Preset:
    """Check the YAML text of a preset; all unknown names are reported at once.

    Raises:
        SettingError: The text is not a mapping of sections, or has unknown names.
    """
    try:
        tree = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise SettingError(f"{name} is not valid YAML: {where}. Mend that line.") from error
    if isinstance(tree, dict) and RESOLVED in tree:
        tree |= read_settings(tree)
    values = _read_values(name, tree)
    datasets = _read_datasets(name, tree.get("datasets"))
    return Preset(name, values, datasets, text, is_of_run="record" in tree)


def _read_values(name: str, tree: Any) -> dict[str, Any]:  # noqa: ANN401 (any YAML value)
    """Flatten sections of settings; all unknown names are reported at once."""
    sections: dict[str, set[str]] = {}
    for one in iterate_settings():
        sections.setdefault(one.section, set()).add(one.name)
    if not isinstance(tree, dict):
        raise SettingError(f"{name} must be a mapping of sections: {list_names(sections)}.")
    known = {one.name: one for one in iterate_settings()}
    values: dict[str, Any] = {}
    faults = []
    for section, content in tree.items():
        if section in EXTRA_KEYS:
            continue
        content = rename_settings({section: content})[section]
        if section not in sections:
            hint = suggest_name(str(section), sections)
            faults.append(
                f"unknown section '{section}', it is one of {list_names(sections)}.{hint}"
            )
        elif not isinstance(content, dict):
            faults.append(f"section '{section}' must hold 'setting: value' lines.")
        else:
            faults += _unknown_names(section, content, sections)
            values |= {
                key: known[key].read_yaml(value)
                for key, value in content.items()
                if value is not None and key in known
            }
    if faults:
        raise SettingError(f"{name}: " + " ".join(faults))
    return values


def _read_datasets(name: str, given: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401 (any YAML value)
    """Read `datasets`: a list of ids, or a mapping of ids to the settings special to each."""
    if isinstance(given, list | tuple):
        return {str(one): {} for one in given}
    if given is None or isinstance(given, dict):
        return {
            str(key): _read_values(f"{name}, {key}", part or {})
            for key, part in (given or {}).items()
        }
    raise SettingError(f"{name}: datasets must be a list of ids, or 'id: settings' lines.")


def _unknown_names(
    section: str, content: dict[str, Any], sections: dict[str, set[str]]
) -> list[str]:
    """Say which settings of one section do not exist, each with the nearest name of any section."""
    full_names = [f"{owner}.{name}" for owner, names in sections.items() for name in names]
    faults = []
    for key in content:
        if key not in sections[section]:
            hint = suggest_name(f"{section}.{key}", full_names)
            faults.append(f"unknown setting '{section}.{key}'.{hint}")
    return faults
