"""What the Hub reads out of a repository's files: card metadata, tags, results, leaderboards.

Strings and dicts come in, JSON-ready values go out; nothing here knows of HTTP.
YAML needs PyYAML, which huggingface_hub brings along; the rest is the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from hub_store import Blob, Repo

FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.S | re.M)
# Not the Hub's whole list, but those an audio model or data set is likely to carry.
_LICENSES = (
    "apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m afl-3.0 artistic-2.0 "
    "bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 "
    "cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 "
    "cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 "
    "cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 "
    "eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c "
    "ms-pl mpl-2.0 odc-by odbl openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl "
    "unknown other"
)
LICENSES = frozenset(_LICENSES.split())
SPACE_SDKS = ("gradio", "docker", "static", "streamlit")
LISTS = {  # the fields of a card that hold one string or a list of them
    "models": ("license", "language", "tags", "datasets", "metrics", "base_model"),
    "datasets": ("license", "language", "tags", "task_categories", "size_categories"),
    "spaces": ("license", "tags", "datasets", "models"),
}


class StrictLoader(yaml.SafeLoader):
    """YAML as the Hub's own parser reads it: a repeated key is an error."""


def _read_mapping(loader: StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: list[Any] = []
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            message = f"duplicated mapping key {key!r}"
            raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
        seen.append(key)
    return loader.construct_mapping(node, deep=True)


StrictLoader.add_constructor("tag:yaml.org,2002:map", _read_mapping)


def read_front_matter(text: str) -> dict[str, Any] | None:
    """Parse the metadata block of a card.

    Returns:
        Its mapping; None when there is no block or nothing in it.

    Raises:
        yaml.YAMLError: The block is not YAML.
        ValueError: The block is YAML, but no mapping.
    """
    block = FRONT_MATTER.match(text)
    card = yaml.load(block[1], Loader=StrictLoader) if block else None  # a SafeLoader
    if card is not None and not isinstance(card, dict):
        raise ValueError("YAML metadata should be an object")
    return card or None


def read_card(files: Mapping[str, Blob]) -> dict[str, Any]:
    """Parse the README of a tree; a missing or broken one gives no metadata."""
    readme = files.get("README.md")
    try:
        return (readme and read_front_matter(readme.data.decode())) or {}
    except (yaml.YAMLError, ValueError):
        return {}


def check_card(text: str, kind: str) -> tuple[list[str], list[str]]:
    """Validate a README as the Hub does before it takes one.

    Args:
        text: The whole README.
        kind: models, datasets or spaces.

    Returns:
        Error messages (the card is refused) and warnings.
    """
    try:
        card = read_front_matter(text)
    except yaml.YAMLError as error:
        return [f"Invalid YAML: {error}"], []
    except ValueError as error:
        return [str(error)], []
    if card is None:
        return [], ["empty or missing yaml metadata in repo card"]
    errors = [message for name in LISTS[kind] for message in _check_strings(card, name)]
    errors += _check_licenses(card)
    if kind == "models":
        errors += _check_model_index(card.get("model-index", []))
    if kind == "spaces" and card.get("sdk") not in SPACE_SDKS:
        errors.append(f'"sdk" must be one of [{", ".join(SPACE_SDKS)}]')
    if kind == "datasets" and not isinstance(card.get("configs", []), list):
        errors.append('"configs" must be an array')
    return errors, []


def _check_strings(card: Mapping[str, Any], name: str) -> list[str]:
    value = card.get(name)
    items = value if isinstance(value, list) else [] if value is None else [value]
    bad = [index for index, item in enumerate(items) if not isinstance(item, str)]
    where = (f"{name}[{index}]" if isinstance(value, list) else name for index in bad)
    return [f'"{place}" must be a string' for place in where]


def _check_licenses(card: Mapping[str, Any]) -> list[str]:
    unknown = [item for item in to_list(card.get("license")) if item not in LICENSES]
    return [f'"license" must be one of the licenses of the Hub, not "{item}"' for item in unknown]


def _check_model_index(index: object) -> list[str]:
    if not isinstance(index, list):
        return ['"model-index" must be an array']
    errors = []
    for i, entry in enumerate(index):
        place = f"model-index[{i}]"
        errors += _missing(entry, place, "name", "results")
        results = entry.get("results", []) if isinstance(entry, dict) else []
        if not isinstance(results, list):
            errors.append(f'"{place}.results" must be an array')
            continue
        for j, result in enumerate(results):
            errors += _check_result(result, f"{place}.results[{j}]")
    return errors


def _check_result(result: object, place: str) -> list[str]:
    errors = _missing(result, place, "task", "dataset", "metrics")
    if errors or not isinstance(result, dict):
        return errors
    errors += _missing(result["task"], f"{place}.task", "type")
    errors += _missing(result["dataset"], f"{place}.dataset", "type", "name")
    if "source" in result:
        errors += _missing(result["source"], f"{place}.source", "url")
    if not isinstance(result["metrics"], list):
        return [*errors, f'"{place}.metrics" must be an array']
    for k, metric in enumerate(result["metrics"]):
        errors += _missing(metric, f"{place}.metrics[{k}]", "type", "value")
    return errors


def _missing(value: object, place: str, *names: str) -> list[str]:
    if not isinstance(value, dict):
        return [f'"{place}" must be of type object']
    return [f'"{place}.{name}" is required' for name in names if value.get(name) is None]


def to_list(value: object) -> list[Any]:
    """Read a card field that holds one value, a list of them, or nothing."""
    return value if isinstance(value, list) else [] if value is None else [value]


def make_tags(card: Mapping[str, Any], kind: str) -> list[str]:
    """Make the tags a listing is filtered by: "dataset:marsyas/gtzan", "license:mit" and so on."""
    tags = [card[name] for name in ("library_name", "pipeline_tag") if card.get(name)]
    tags += [str(tag) for tag in to_list(card.get("tags"))]
    tags += [f"dataset:{item}" for item in to_list(card.get("datasets"))]
    for item in to_list(card.get("base_model")):
        tags += [f"base_model:{item}", f"base_model:finetune:{item}"]
    spoken = "" if kind == "models" else "language:"
    tags += [f"{spoken}{item}" for item in to_list(card.get("language"))]
    for name in ("license", "task_categories", "size_categories"):
        tags += [f"{name}:{item}" for item in to_list(card.get(name))]
    return list(dict.fromkeys([*tags, "region:us"]))


def read_results(files: Mapping[str, Blob]) -> list[dict[str, Any]]:
    """List the entries of every .eval_results/*.yaml; a broken file gives one with "error"."""
    entries: list[dict[str, Any]] = []
    for path in sorted(files):
        if not re.fullmatch(r"\.eval_results/[^/]+\.ya?ml", path):
            continue
        try:
            found = yaml.safe_load(files[path].data)
            for data in found if isinstance(found, list) else [found]:
                _ = data["dataset"]["id"], data["dataset"]["task_id"], float(data["value"])
                entries.append({"filename": path, "data": data})
        except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
            entries.append({"filename": path, "error": f"{type(error).__name__}: {error}"})
    return entries


def make_leaderboard(
    dataset_id: str, models: Iterable[Repo], *, base_model_only: bool
) -> list[dict[str, Any]]:
    """Rank what models report on a data set, the highest value first.

    Results on main count, and those in pull requests, which carry the request's number.

    Args:
        dataset_id: The data set whose leaderboard it is.
        models: The models whose files are read.
        base_model_only: Leave out models whose card names a base_model, as the Hub's page does.
    """
    rows: list[dict[str, Any]] = []
    for repo in models:
        if base_model_only and read_card(repo.resolve("main").files).get("base_model"):
            continue
        requests = sorted(name for name in repo.branches if name.startswith("refs/pr/"))
        seen: set[str] = set()
        for branch in ["main", *requests]:
            entries = read_results(repo.resolve(branch).files)
            new = [entry for entry in entries if "data" in entry and str(entry) not in seen]
            seen |= {str(entry) for entry in new}
            mine = [entry for entry in new if entry["data"]["dataset"]["id"] == dataset_id]
            rows += [_make_row(repo, branch, entry) for entry in mine]
    rows.sort(key=lambda row: -float(row["value"]))
    return [{"rank": rank, **row} for rank, row in enumerate(rows, start=1)]


def _make_row(repo: Repo, branch: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    data, name = entry["data"], repo.namespace
    row = {
        "modelId": repo.id,
        "value": data["value"],
        "filename": entry["filename"],
        "verified": bool(data.get("verifyToken")),
        "source": data.get("source"),
        "author": {"type": "user", "name": name, "fullname": name, "avatarUrl": ""},
    }
    if branch != "main":
        row["pullRequest"] = int(branch.rpartition("/")[2])
    return row | ({"notes": data["notes"]} if data.get("notes") else {})
