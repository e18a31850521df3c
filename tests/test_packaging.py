"""Packaging and pages: version, extras, workflows, hooks, forms and tables name what exists."""

from __future__ import annotations

import configparser
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import TrainingArguments

import audio_cls
from audio_cls.runs.results import RunResults

ROOT = Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", "utf-8")
EXTRAS = SETUP["options.extras_require"]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


def read_yaml(name: str | Path) -> Any:  # noqa: ANN401 # as yaml
    """Return the content of a YAML file below the root."""
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def list_names(requirements: str) -> set[str]:
    """Return the names of the libraries of an extra, without bounds and extras of their own."""
    return {re.split(r"[\[<>=]", line)[0] for line in requirements.split()}


def check_command(line: str) -> None:
    """Assert that make targets, extras, files and commands in a shell line exist."""
    assert set(re.findall(r"\bmake (\w+)", line)) <= TARGETS, line
    for extras in re.findall(r"\.\[([\w,]+)\]", line):
        assert set(extras.split(",")) <= set(EXTRAS), line
    for path in re.findall(r"(?<![\w./-])((?:\.ci|tests|scripts)/\S+|constraints\.txt)", line):
        assert (ROOT / path).is_file(), line


def test_the_version_is_that_of_the_package_everywhere() -> None:
    assert SETUP["metadata"]["version"] == "attr: audio_cls.__version__"
    assert read_yaml("CITATION.cff")["version"] == audio_cls.__version__
    for readme in ROOT.glob("README*.md"):
        assert f"version = {{{audio_cls.__version__}}}" in readme.read_text("utf-8")


def test_each_library_of_setup_cfg_has_a_tested_version() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    tested = {line.split("==")[0].lower() for line in lines if not line.startswith("#")}
    named = list_names(SETUP["options"]["install_requires"])
    named = named.union(*(list_names(extra) for extra in EXTRAS.values()))
    assert {name.lower() for name in named} - tested - {"av"} == set()


def test_manifest_names_what_exists() -> None:
    for line in (ROOT / "MANIFEST.in").read_text("utf-8").splitlines():
        kind, *names = line.split()
        if kind in ("include", "graft"):
            assert all((ROOT / name).exists() for name in names), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_commands_that_exist_and_pin_their_actions(path: Path) -> None:
    jobs = read_yaml(path)["jobs"]
    assert all("timeout-minutes" in job for job in jobs.values())
    steps = [step for job in jobs.values() for step in job["steps"]]
    for step in steps:
        assert re.fullmatch(r"[\w/-]+@v\d+\.\d+\.\d+", step.get("uses", "a/b@v1.0.0")), step
        check_command(step.get("run", ""))
    assert [step for step in steps if "run" in step] or "deploy-pages" in str(steps)


def test_hooks_are_commands_of_the_dev_extra() -> None:
    hooks = read_yaml(".pre-commit-config.yaml")["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == ["ruff-check", "ruff-format", "mypy", "words"]
    for hook in hooks:
        assert hook["entry"].split()[0] in list_names(EXTRAS["dev"]) | {"python"}
        assert hook["language"] == "system"
        check_command(hook["entry"])


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms_have_what_github_requires(path: Path) -> None:
    form = read_yaml(path)
    assert {"name", "description", "body"} <= set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 0
    assert all(field["attributes"]["label"] for field in fields)


def test_each_page_of_docs_is_in_the_menu_of_the_site() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")]
    assert [page for page in pages if f": {page}\n" not in text] == []
    named = re.findall(r": (\S+\.(?:md|py))\n", text.split("\nnav:\n")[1])
    files = [page.replace(".ipynb.md", ".ipynb") for page in named]  # a page made of a notebook
    assert [file for file in files if not (ROOT / file).is_file()] == []


def list_first_cells(page: str) -> set[str]:
    """Return the names in the first column of the first table of a page."""
    rows = re.findall(
        r"^\| (`[^|]*) \|", (ROOT / page).read_text("utf-8").split("\n## From the n")[0], re.M
    )
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_the_table_of_results_json_has_its_keys() -> None:
    keys = {field.name for field in dataclasses.fields(RunResults)} - {"unknown"}
    assert list_first_cells("docs/results_json.md") == keys


def test_flags_of_the_script_are_those_of_transformers() -> None:
    known = {field.name for field in dataclasses.fields(TrainingArguments)}
    script = """model_name_or_path model_revision trust_remote_code config_name cache_dir token
        feature_extractor_name ignore_mismatched_sizes freeze_feature_encoder attention_mask
        dataset_name dataset_config_name train_file eval_file train_split_name eval_split_name
        audio_column_name label_column_name max_train_samples max_eval_samples max_length_seconds"""
    assert list_first_cells("docs/migration.md") - known == set(script.split())
