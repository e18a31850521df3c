"""A setting without effect is refused where it is typed, and reset where a preset left it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from audio_cls.cli.options.config_options import settings_command
from audio_cls.config import RunConfig, drop_unused, flag_name
from audio_cls.config.requirements import REQUIREMENTS, STEP_SETTINGS
from audio_cls.errors import SettingError

UNVALIDATED = {"folds": 3, "fold_validation": "none"}
# setting -> a value, the settings with which it has no effect, those with which it has one
CASES: list[tuple[str, Any, dict[str, Any], dict[str, Any]]] = [
    ("hub_repo_id", "ann/run", {}, {"push_to_hub": True}),
    ("private", True, {}, {"push_to_hub": True}),
    ("create_pr", True, {}, {"push_to_hub": True}),
    ("hub_strategy", "best", {}, {"push_to_hub": True}),
    ("push_logs", True, {"push_to_hub": True},
     {"push_to_hub": True, "report_to": ("tensorboard",)}),
    ("push_logs", True, {"report_to": ("tensorboard",)},
     {"push_to_hub": True, "report_to": ("tensorboard",)}),
    ("energy_country", "FRA", {}, {"measure_energy": True}),
    ("focal_gamma", 1.0, {}, {"loss": "focal"}),
    ("decay_ratio", 0.5, {"scheduler": "cosine"}, {"scheduler": "wsd"}),
    ("lora_alpha", 4.0, {}, {"lora_rank": 2}),
    ("lora_dropout", 0.5, {}, {"lora_rank": 2}),
    ("unfreeze_after_epochs", 1, {}, {"freeze": "features"}),
    ("feature_cache_gb", 1.0, {}, {"freeze": "backbone"}),
    ("weighted_layer_sum", True, {"method": "auto"}, {}),
    ("keep_checkpoints", 3, {"method": "auto"}, {}),
    ("freeze", "backbone", {"method": "auto"}, {"method": "fine-tune"}),
    ("freeze", "backbone", {"method": "auto"}, {"method": "auto", "unfreeze_after_epochs": 1}),
    ("hub_strategy", "best", {"method": "auto", "push_to_hub": True}, {"push_to_hub": True}),
    ("epochs", 3, {"method": "probe"}, {"method": "auto"}),
    ("mixup_alpha", 0.2, {"method": "probe"}, {"method": "auto"}),
    ("layer_decay", 0.5, {"freeze": "backbone"}, {}),
    ("layer_decay", 0.5, {"freeze": "backbone"},
     {"freeze": "backbone", "unfreeze_after_epochs": 1}),
    ("gradient_checkpointing", True, {"freeze": "backbone"}, {"freeze": "features"}),
    ("hop_seconds", 1.0, {"aggregate": "first"}, {}),
    ("shuffle_buffer", 10, {}, {"streaming": True, "max_steps": 3}),
    ("seed", 1, {"seeds": (2, 3)}, {}),
    ("noise_dir", "noise", {}, {"noise_snr_db": (0.0, 9.0)}),
    ("noise_color", "pink", {}, {"noise_snr_db": (0.0, 9.0)}),
    ("noise_color", "pink", {"noise_snr_db": (0.0, 9.0), "noise_dir": "noise"},
     {"noise_snr_db": (0.0, 9.0)}),
    ("time_mask_seconds", 0.1, {}, {"time_masks": 1}),
    ("frequency_mask_share", 0.1, {}, {"frequency_masks": 1}),
    ("unknown_share", 1.0, {}, {"keywords": ("yes",)}),
    ("unknown_share", 1.0, {"silence_from": "auto"}, {"unknown_from": ("no",)}),
    ("silence_share", 1.0, {"keywords": ("yes",)}, {"silence_from": "auto"}),
    ("silence_seconds", 2.0, {"keywords": ("yes",)}, {"silence_from": "auto"}),
    ("keywords", ("yes",), {"unknown_from": ("no",)}, {}),
    ("end_column", "end", {}, {"start_column": "start"}),
    ("duration_column", "length", {}, {"start_column": "start"}),
    ("duration_column", "length", {"start_column": "start", "end_column": "end"},
     {"start_column": "start"}),
    ("merge_rare_into", "other", {}, {"min_clips_per_label": 3}),
    ("fold_column", "fold", {}, {"folds": 3}),
    ("fold_validation", "cut", {}, {"fold_column": "fold", "fold": "1"}),
    ("split_files_sha256", "0", {}, {"split_files": "lists"}),
    ("max_bad_audio_ratio", 0.5, {"bad_audio": "fail"}, {}),
    ("split_method", "hash", {"group_column": "speaker"}, {}),
    ("split_method", "shuffled", {"group_pattern": "(.)"}, {}),
    ("test_size", 0.2, {"folds": 3}, {}),
    ("test_size", 0.2, {"test_split": "validation"}, {}),
    ("test_size", 0.2, {"group_column": "speaker", "test_groups": ("ann",)}, {}),
    ("validation_size", 0.2, {"folds": 3}, {"folds": 3, "fold_validation": "cut"}),
    ("validation_size", 0.2, {"validation_split": "dev"}, {}),
    ("train_split", "all", {"folds": 3}, {}),
    ("validation_size", 0.2, UNVALIDATED, {"folds": 3, "fold_validation": "cut"}),
    ("early_stopping_patience", 2, UNVALIDATED, {"folds": 3}),
    ("metric_goal", "min", UNVALIDATED, {"folds": 3}),
    ("sweep", "sweep.yaml", UNVALIDATED, {"folds": 3}),
    ("refit", True, UNVALIDATED, {"folds": 3}),
    ("pooling", "attention", {"method": "probe"}, {}),
    ("pooling", "mean_std", {"method": "auto"}, {}),
    ("validation_split", "dev", {"split_files": "lists"}, {}),
    ("test_split", "validation", {"fold_column": "fold", "fold": "1"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "without", "together"), CASES)
def test_a_setting_without_effect_is_refused_and_one_with_effect_is_not(
    name: str,
    value: Any,  # noqa: ANN401
    without: dict[str, Any],
    together: dict[str, Any],
) -> None:
    with pytest.raises(SettingError, match=f"{flag_name(name)}( .*)? has no effect: "):
        RunConfig.from_flat({name: value, **without})
    RunConfig.from_flat({name: value, **together})


def test_every_requirement_has_its_case() -> None:
    names = {name for name, *_ in CASES} | set(STEP_SETTINGS.split())
    assert {one.setting for one in REQUIREMENTS} == names


def test_what_a_preset_left_without_effect_is_reset_and_what_was_typed_is_not() -> None:
    left = {"time_mask_seconds": 0.1, "frequency_masks": 1, "frequency_mask_share": 0.1}
    assert drop_unused(left) == {**left, "time_mask_seconds": 0.5}
    assert drop_unused(left, keep=["time_mask_seconds"]) == left


def test_a_reset_value_takes_back_what_needed_it() -> None:
    left = {"fold_column": "fold", "fold_validation": "cut", "freeze": "none", "lora_alpha": 3.0}
    assert drop_unused(left) == {
        "fold_column": None, "fold_validation": "next", "freeze": "none", "lora_alpha": None,
    }  # fmt: skip


def test_correcting_twice_for_the_number_of_clips_per_class_is_refused() -> None:
    with pytest.raises(SettingError, match="rare classes get too much weight"):
        RunConfig.from_flat({"sampler": "balanced", "class_weights": "balanced"})


@pytest.mark.parametrize(
    ("value", "is_allowed"), [(0.0, True), (0.9999, True), (1.0, False), (1.5, False)]
)
def test_a_moving_average_of_weights_has_a_decay_below_one(
    value: float, *, is_allowed: bool
) -> None:
    if is_allowed:
        assert RunConfig.from_flat({"ema_decay": value}).optim.ema_decay == value
    else:
        with pytest.raises(SettingError, match="--ema-decay"):
            RunConfig.from_flat({"ema_decay": value})


def _resolve(preset: str, folder: Path, *typed: str) -> tuple[int, str, RunConfig | None]:
    """Return exit code, output and settings of a command line with this preset."""
    seen: list[RunConfig] = []

    def remember(cfg: RunConfig) -> None:
        """Keep the settings."""
        seen.append(cfg)

    command: click.Command = settings_command()(remember)
    path = folder / "own.yaml"
    path.write_text(preset, encoding="utf-8")
    answer = CliRunner().invoke(command, ["--preset", str(path), *typed])
    return answer.exit_code, answer.output, seen[0] if seen else None


def test_a_flag_that_switches_an_augmentation_off_takes_the_presets_details_with_it(
    tmp_path: Path,
) -> None:
    preset = (
        "augment: {time_masks: 2, time_mask_seconds: 0.1, noise_snr_db: [0, 9], noise_color: pink}"
    )
    _, _, cfg = _resolve(preset, tmp_path, "--time-masks", "0", "--noise-snr-db", "")
    assert cfg is not None
    assert cfg.augment == RunConfig().augment  # nothing varies the sound: features can be stored
    code, output, _ = _resolve(preset, tmp_path, "--time-masks", "0", "--time-mask-seconds", "0.3")
    assert code == 2
    assert "--time-mask-seconds 0.3 has no effect: add --time-masks, such as 2." in output


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("audio", "min_seconds", "1.0"),
        ("audio", "hop_seconds", "1.0"),
        ("augment", "noise_snr_db", "[0, 9]"),
        ("augment", "speed_range", "[0.9, 1.1]"),
        ("data", "min_clips_per_label", "3"),
        ("data", "folds", "5"),
        ("train", "max_steps", "7"),
        ("optim", "head_learning_rate", "1e-3"),
    ],
)
def test_an_empty_flag_switches_a_number_or_a_range_of_a_preset_off(
    section: str, name: str, value: str, tmp_path: Path
) -> None:
    preset = f"{section}: {{{name}: {value}}}"
    _, _, cfg = _resolve(preset, tmp_path)
    assert cfg is not None and getattr(getattr(cfg, section), name) is not None
    _, _, cfg = _resolve(preset, tmp_path, flag_name(name), "")
    assert cfg is not None and getattr(getattr(cfg, section), name) is None
