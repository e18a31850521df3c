"""RunRecord: a run folder read from disk, the input of card, evaluation results and upload.

It is made of results.json and, where they exist, run_config.yaml, summary.csv, config.json,
preprocessor_config.json and figures/. Nothing here trains, imports a model or needs a network, so
that a run can be published later from its folder alone.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from audio_cls.config import rename_settings
from audio_cls.errors import RunFolderError
from audio_cls.runs.resolved import read_settings
from audio_cls.runs.results import (
    RESULTS_FILE,
    DatasetDescription,
    ModelDescription,
    RunResults,
    read_results,
)
from audio_cls.text_table import to_line

MAX_FRONT_MATTER = 200  # characters of a value in YAML; the Hub shows it on one line
COMMIT_SHA = re.compile(r"[0-9a-f]{40}")
FIGURE_NAME = re.compile(r"[\w-]+\.png", re.ASCII)

Tree = Mapping[str, Any]

csv.field_size_limit(2**24)  # characters of a cell; the default is 131,072


@dataclass(frozen=True)
class RunRecord:
    """The content of one run folder."""

    folder: Path
    results: RunResults
    settings: Mapping[str, Tree]  # by section, as they were used in the run
    record: Tree  # run_config.yaml's `record`: versions, shas
    summary: list[dict[str, str]]  # summary.csv, one row per evaluation
    model: Tree  # config.json
    extractor: Tree  # preprocessor_config.json
    figures: list[str]  # file names under figures/
    duplicates: list[tuple[str, str]]  # duplicates.csv: the splits of each pair

    @property
    def labels(self) -> list[str]:
        """Return the labels in the order of the model's outputs."""
        return self.results.labels

    @property
    def dataset_hub_id(self) -> str | None:
        """Return the data set's Hub id, None for a folder."""
        return read_hub_id(self.results.dataset)

    @property
    def model_hub_id(self) -> str | None:
        """Return the base model's Hub id, None for a folder."""
        return read_hub_id(self.results.model)

    @property
    def dataset_name(self) -> str:
        """Return the data set's name, else its Hub id, else its folder's name."""
        dataset = self.results.dataset
        if self.dataset_hub_id:
            return dataset.name or self.dataset_hub_id
        return path_basename(dataset.id or dataset.name or "unnamed data set")

    @property
    def is_multilabel(self) -> bool:
        """Return whether a clip may have several labels, or none."""
        is_config = self.model.get("problem_type") == "multi_label_classification"
        return self.results.is_multilabel or is_config  # without results, config.json has it

    @property
    def is_from_scratch(self) -> bool:
        """Return whether training began from random weights."""
        return bool(self.settings.get("model", {}).get("from_scratch"))


def load_run(run: Path, *, is_finished: bool = True) -> RunRecord:
    """Read a run folder; only results.json is required.

    Args:
        run: The run folder.
        is_finished: False for a run that has no results.json yet.

    Raises:
        RunFolderError: There is no results.json, or one of the files does not have its format.
    """
    has_results = (run / RESULTS_FILE).is_file()
    if is_finished and not has_results:
        raise RunFolderError(
            f"'{run}' has no results.json. Give the folder of a finished run, which is the"
            " --output-dir of `audio-cls train`."
        )
    config = _load_mapping(run / "run_config.yaml")
    record = config.get("record")
    return RunRecord(
        folder=run,
        results=read_results(run / RESULTS_FILE) if has_results else RunResults(),
        settings=read_settings(config),
        record=record if isinstance(record, Mapping) else {},
        summary=_load_rows(run / "summary.csv"),
        model=_load_mapping(run / "config.json"),
        extractor=_load_mapping(run / "preprocessor_config.json"),
        duplicates=[
            (row.get("split", ""), row.get("same_as_split", ""))
            for row in _load_rows(run / "duplicates.csv")
        ],
        figures=sorted(p.name for p in run.glob("figures/*.png") if FIGURE_NAME.fullmatch(p.name)),
    )


def _load_mapping(path: Path) -> Tree:
    """Read a JSON or YAML file with a mapping; empty where the file does not exist."""
    if not path.is_file():
        return {}
    try:
        text = path.read_text("utf-8")
        content = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        raise RunFolderError(
            f"'{path}' cannot be read ({type(error).__name__}):"
            f" it must be {path.suffix[1:]} in UTF-8. Copy the run folder"
            " again, or repeat the evaluation."
        ) from error
    if not isinstance(content, Mapping):
        raise RunFolderError(f"'{path}' must contain a mapping. Copy the run folder again.")
    return rename_settings(content) if path.suffix == ".yaml" else content


def _load_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file as dictionaries; no rows where it does not exist, short rows are filled."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.DictReader(file, restval="")
        return [{k: str(v) for k, v in row.items() if k is not None} for row in reader]


def read_hub_id(source: DatasetDescription | ModelDescription) -> str | None:
    """Return the Hub id of a data set or model; None for a folder or another source.

    >>> read_hub_id(DatasetDescription(id="marsyas/gtzan", is_local=False))
    'marsyas/gtzan'
    >>> read_hub_id(DatasetDescription(id="data/gtzan", is_local=True)) is None
    True
    """
    is_on_hub = source.id is not None and source.is_local is False and is_repo_id(source.id)
    return source.id if is_on_hub else None


def is_repo_id(name: str) -> bool:
    """Return whether a name is a valid repository id.

    >>> is_repo_id("marsyas/gtzan"), is_repo_id("../gtzan")
    (True, False)
    """
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def path_basename(path: object) -> str:
    """Return the last part of a POSIX or Windows path, as one printable line.

    >>> path_basename("/home/ann/My Music/")
    'My Music'
    """
    parts = [part for part in re.split(r"[\\/]", str(path)) if part.strip(" .~")]
    return single_line(parts[-1] if parts else "unnamed", MAX_FRONT_MATTER)


def single_line(value: object, max_length: int) -> str:
    r"""Return a text on one line: white space collapsed, unprintable characters dropped, cut.

    >>> single_line("a\n  b" + chr(0), 80)
    'a b'
    """
    line = to_line(str(value))
    return line if len(line) <= max_length else line[: max_length - 1] + "…"
