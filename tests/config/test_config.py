"""Settings: ranges, contradictions, and the way from a preset to the tree and back."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from audio_cls.config import SECTIONS, AudioConfig, RunConfig, flag_name, iterate_settings
from audio_cls.errors import SettingError
from audio_cls.presets import list_presets, load_preset, parse_preset


def test_former_names_of_settings_are_read_from_presets() -> None:
    preset = parse_preset("old", "train: {prefix_cache_gb: 2}\ndata: {max_bad_share: 0.5}")
    assert preset.values == {"feature_cache_gb": 2, "max_bad_audio_ratio": 0.5}


def test_a_setting_has_one_name_in_all_sections_and_a_sentence() -> None:
    names = [one.name for one in iterate_settings()]
    assert len(names) == len(set(names)) > 40
    for one in iterate_settings():
        assert one.meaning.endswith((".", "...")), one.name


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("max_seconds", 0, "0.1 or more"),
        ("learning_rate", 0, "above 0"),
        ("learning_rate", float("nan"), "above 0"),
        ("learning_rate", float("inf"), "above 0 and finite"),
        ("max_seconds", float("inf"), "0.1 or more and finite"),
        ("epochs", 0, "1 or more"),
        ("validation_size", 1.5, "above 0 and 0.9 or less"),
        ("warmup_ratio", -0.1, "from 0 to 1"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(
    name: str, value: float, allowed: str
) -> None:
    with pytest.raises(SettingError) as caught:
        RunConfig.from_flat({name: value})
    assert flag_name(name) in str(caught.value)
    assert allowed in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SettingError, match=r"--epochs 0.*--seed -1|--seed -1.*--epochs 0"):
        RunConfig.from_flat({"epochs": 0, "seed": -1})
    with pytest.raises(SettingError, match=r"--max-seconds(.|\n)*--epochs"):
        RunConfig.from_flat({"epochs": 0, "max_seconds": 0})


@pytest.mark.parametrize(
    "values",
    [
        {"overwrite": True, "resume": "auto"},
        {"max_seconds": 1.0, "window_seconds": 2.0},
        {"max_seconds": 1.0, "hop_seconds": 2.0},
        {"push_logs": True, "report_to": ("wandb",)},
        {"energy_country": "FRA"},
    ],
)
def test_contradictions_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingError):
        RunConfig.from_flat(values)


def test_settings_survive_the_way_to_yaml_and_back() -> None:
    cfg = RunConfig.from_flat({"report_to": ("tensorboard",), "max_seconds": 3.0, "resume": "auto"})
    flat = {name: value for part in cfg.to_nested().values() for name, value in part.items()}
    flat = {name: tuple(v) if isinstance(v, list) else v for name, v in flat.items()}
    assert RunConfig.from_flat(flat) == cfg


def test_settings_cannot_be_changed_once_made() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        AudioConfig().max_seconds = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("name", list_presets())
def test_every_shipped_preset_makes_a_valid_configuration_and_says_what_it_is(name: str) -> None:
    preset = load_preset(name)
    known = {one.name for one in iterate_settings()}
    assert set(preset.values) <= known
    for word in ("# Data set", "# Launch", "# Expected"):
        assert word in preset.text
    assert preset.about.keys() == {"task", "result"}
    lines = [line for line in preset.text.splitlines() if "scripts/train.py" not in line]
    assert max(map(len, lines)) <= 80
    expected = preset.text.partition("# Expected")[2].partition("# Time")[0]
    number, _, origin = preset.about["result"].partition(" ")
    assert origin in ("(measured)", "(published)", "measured yet")
    assert origin.strip("()").split()[0] in expected and number in expected
    assert (number == "not") == ("published" not in expected and "not measured yet" in expected)


def test_gtzan_is_the_course_recipe_value_for_value() -> None:
    values = load_preset("gtzan").values
    expected = {
        "dataset": "marsyas/gtzan", "label_column": "genre", "split_method": "shuffled",
        "split_seed": 42, "validation_size": 0.1, "test_split": "validation",
        "model": "ntu-spml/distilhubert", "normalize": True, "attention_mask": True,
        "max_seconds": 30.0, "batch_size": 8, "epochs": 10, "warmup_ratio": 0.1,
        "metric": "accuracy", "crop": "start", "aggregate": "first",
    }  # fmt: skip
    assert {name: values[name] for name in expected} == expected
    assert float(values["learning_rate"]) == 5e-5
    assert "mixed_precision" not in values  # auto: the course's fp16 on its GPU, a T4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "optim: {learning_rat: 1}",
            r"'optim\.learning_rat'.* Did you mean learning_rate \(section optim\)\?",
        ),
        (
            "learning_rat: 1",
            r"'learning_rat'.* Did you mean learning_rate \(section optim\)\?",
        ),
        (
            "learning-rate: 1",
            r"'learning-rate'.* Did you mean learning_rate \(section optim\)\?",
        ),
        ("zzzz: 1", r"unknown setting 'zzzz': docs/settings.md has all of them\.$"),
        ("optimizer: {x: 1}", "unknown section 'optimizer'.*optim"),
        ("class_weights: {it: 2}", "'class_weights' must have one value, not lines"),
        ("train: {learning_rate: 1}", "not in section 'train' but in 'optim': move it there"),
        ("epochs: 3\ntrain: {epochs: 5}", "'epochs' is given twice"),
        ("- a\n- b", "must have lines 'setting: value'.*sections.*data, audio"),
        ("epochs: 3\na: [", "not valid YAML, line 2: expected the node content"),
        ("train: 3", "section 'train' must have lines"),
    ],
)
def test_a_preset_with_a_mistake_is_refused_with_the_nearest_name(text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        parse_preset("p.yaml", text)


def test_settings_of_a_preset_may_be_without_sections_or_mixed_with_them() -> None:
    text = "model: a/b\nlearning_rate: 1e-3\nprefix_cache_gb: 2\naugment: [my:reverb]\nepochs:\n"
    text += "mixed_precision: no\ntrain: {batch_size: auto}\ndatasets: {a/c: {label_column: x}}"
    preset = parse_preset("mine.yaml", text)
    assert preset.values == {
        "model": "a/b", "learning_rate": 1e-3, "feature_cache_gb": 2, "augment": ["my:reverb"],
        "mixed_precision": "no", "batch_size": "auto",
    }  # fmt: skip
    assert preset.datasets == {"a/c": {"label_column": "x"}}
    in_sections = "model: {model: a/b}\noptim: {learning_rate: 1e-3}"
    assert parse_preset("p", in_sections).values == {"model": "a/b", "learning_rate": 1e-3}


def test_the_preset_files_in_the_documentation_are_read() -> None:
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    flat, in_sections = (parse_preset("p.yaml", block).values for block in blocks)
    assert len(flat) == 10 and flat["dataset"] == "my_clips" and flat["deduplicate"] is True
    assert in_sections == {"dataset": "my_clips", "label_column": "genre", "learning_rate": 1e-4}


def test_an_unknown_preset_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"demo.*gtzan.*Did you mean gtzan"):
        load_preset("gtzn")


def test_sections_are_listed_once() -> None:
    assert list(SECTIONS) == [spec.name for spec in dataclasses.fields(RunConfig)]


def test_one_preset_serves_several_data_sets_each_with_what_is_special_to_it() -> None:
    text = """
datasets:
  ann/one: {data: {label_column: category, folds: 5, fold_column: fold}}
  ann/two: {}
data: {dataset: ann/one, label_column: label}
"""
    preset = parse_preset("p", text)
    for dataset in (None, "ann/one"):
        values = preset.choose_values(dataset)
        assert (values["label_column"], values["folds"]) == ("category", 5)
    for dataset in ("ann/two", "my/own"):
        values = preset.choose_values(dataset)
        assert values["label_column"] == "label" and "folds" not in values
    with pytest.raises(SettingError, match=r"p, ann/one: unknown setting 'data.label_colum'"):
        parse_preset("p", "datasets: {ann/one: {data: {label_colum: x}}}")
    with pytest.raises(SettingError, match=r"p, ann/one: unknown setting 'label_colum'"):
        parse_preset("p", "datasets: {ann/one: {label_colum: x}}")
    with pytest.raises(SettingError, match="datasets must be a list of ids"):
        parse_preset("p", "datasets: 3")


def test_no_data_set_picks_two_presets_up() -> None:
    ids = [dataset for name in list_presets() for dataset in load_preset(name).datasets]
    assert len(ids) == len(set(ids)) >= 8
