"""Table of the settings that have an effect only together with another one.

`find_unused` lists the settings that differ from their default but would not be used. `RunConfig`
refuses these; the command line first resets those of a preset, which the user did not give.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]  # setting name -> value, of every setting


@dataclass(frozen=True)
class Requirement:
    """When a setting has an effect, and what to do if it has none."""

    setting: str
    is_met: Callable[[Values], bool]
    advice: str  # follows "--flag VALUE has no effect: "


def _make_groups() -> list[Requirement]:
    """Return the requirements of settings that need one other setting."""
    groups: list[tuple[str, Callable[[Values], bool], str]] = [
        (
            "hub_repo_id private create_pr hub_strategy push_logs",
            lambda v: v["push_to_hub"],
            "add --push-to-hub, or give it to audio-cls publish after the run",
        ),
        ("push_logs", lambda v: "tensorboard" in v["report_to"], "add --report-to tensorboard"),
        ("energy_country", lambda v: v["measure_energy"], "add --measure-energy"),
        ("focal_gamma", lambda v: v["loss"] == "focal", "add --loss focal"),
        ("decay_ratio", lambda v: v["scheduler"] == "wsd", "add --scheduler wsd"),
        ("lora_alpha lora_dropout", lambda v: v["lora_rank"] > 0, "add --lora-rank, such as 8"),
        (
            "unfreeze_after_epochs",
            lambda v: v["freeze"] != "none",
            "add --freeze features or --freeze backbone",
        ),
        (
            "feature_cache_gb",
            lambda v: v["freeze"] != "none" or v["method"] != "fine-tune",
            "it limits what is stored of frozen layers; add --freeze features or backbone",
        ),
        (
            "layer_decay",
            lambda v: v["freeze"] != "backbone" or v["unfreeze_after_epochs"] is not None,
            "with --freeze backbone only the head is trained; use --learning-rate",
        ),
        (
            "hop_seconds",
            lambda v: v["aggregate"] != "first",
            "--aggregate first uses one window per clip; choose another --aggregate",
        ),
        ("shuffle_buffer", lambda v: v["streaming"], "add --streaming"),
        (
            "gradient_checkpointing",
            lambda v: v["freeze"] != "backbone" or v["unfreeze_after_epochs"] is not None,
            "with --freeze backbone no gradient passes through the layers; leave it out",
        ),
        ("seed", lambda v: not v["seeds"], "--seeds gives the seed of each run; leave it out"),
    ]
    return [
        Requirement(name, is_met, advice)
        for names, is_met, advice in groups
        for name in names.split()
    ]


def _make_augmentation() -> list[Requirement]:
    """Return the requirements of the settings of augmentations."""
    noise = "add --noise-snr-db LOW,HIGH, such as 10,30"
    return [
        Requirement("noise_dir", lambda v: v["noise_snr_db"] is not None, noise),
        Requirement("noise_color", lambda v: v["noise_snr_db"] is not None, noise),
        Requirement(
            "noise_color",
            lambda v: v["noise_dir"] is None,
            "--noise-dir replaces the synthetic noise; give one of the two",
        ),
        Requirement(
            "time_mask_seconds", lambda v: v["time_masks"] > 0, "add --time-masks, such as 2"
        ),
        Requirement(
            "frequency_mask_share",
            lambda v: v["frequency_masks"] > 0,
            "add --frequency-masks, such as 1",
        ),
    ]


def _is_folded(values: Values) -> bool:
    """Return whether folds decide which clips are tested."""
    return values["fold"] is not None or values["folds"] is not None


def _has_validation(values: Values) -> bool:
    """Return whether a run has validation clips: only `--fold-validation none` has none."""
    return not _is_folded(values) or values["fold_validation"] != "none"


NO_VALIDATION = (
    "--fold-validation none leaves no validation clips, which it needs; leave it out, or use"
    " --fold-validation next or cut"
)


def _make_validated() -> list[Requirement]:
    """Return the requirements of the settings that choose by validation."""
    names = ("early_stopping_patience", "metric_goal", "sweep", "refit", "eval_every")
    return [Requirement(name, _has_validation, NO_VALIDATION) for name in names]


def _make_data() -> list[Requirement]:
    """Return the requirements of the settings of clips, labels and splits."""
    keywords = "add --keywords or --unknown-from, which define the keywords"
    silence = "add --silence-from, such as auto"
    tested = "folds decide which clips are tested; leave it out"
    listed = "--split-files decides which clips are in which split; leave it out"
    requirements = [
        Requirement("unknown_share", lambda v: bool(v["keywords"] or v["unknown_from"]), keywords),
        Requirement("silence_share", lambda v: v["silence_from"] is not None, silence),
        Requirement("silence_seconds", lambda v: v["silence_from"] is not None, silence),
        Requirement(
            "keywords",
            lambda v: not v["unknown_from"],
            "--unknown-from makes every other label a keyword; give one of the two",
        ),
        Requirement("end_column", lambda v: v["start_column"] is not None, "add --start-column"),
        Requirement(
            "duration_column", lambda v: v["start_column"] is not None, "add --start-column"
        ),
        Requirement(
            "duration_column",
            lambda v: v["end_column"] is None,
            "--end-column already gives the end; give one of the two",
        ),
        Requirement(
            "merge_rare_into",
            lambda v: v["min_clips_per_label"] is not None,
            "add --min-clips-per-label, which defines the rare labels",
        ),
        Requirement("fold_column", _is_folded, "add --fold, or --folds for one run per fold"),
        Requirement("fold_validation", _is_folded, "add --fold-column with --fold, or --folds"),
        Requirement(
            "split_files_sha256", lambda v: v["split_files"] is not None, "add --split-files"
        ),
        Requirement(
            "max_bad_audio_ratio",
            lambda v: v["bad_audio"] == "skip",
            "--bad-audio fail stops at the first unusable clip; give one of the two",
        ),
        Requirement(
            "split_method",
            lambda v: v["group_column"] is None and v["group_pattern"] is None,
            "with --group-column or --group-pattern whole groups are split at random; leave it out",
        ),
        Requirement("test_size", lambda v: not _is_folded(v), tested),
        Requirement(
            "test_size",
            lambda v: v["test_split"] is None and not v["test_groups"],
            "--test-split or --test-groups already gives the test clips; leave it out",
        ),
        Requirement(
            "validation_size",
            lambda v: not _is_folded(v) or v["fold_validation"] != "next",
            "the next fold is the validation split; add --fold-validation cut",
        ),
        Requirement("validation_size", _has_validation, NO_VALIDATION),
        Requirement(
            "validation_size",
            lambda v: v["validation_split"] is None and not v["validation_groups"],
            "--validation-split or --validation-groups already gives the validation clips; leave it"
            " out",
        ),
    ]
    for name in ("train_split", "validation_split", "test_split"):
        requirements.append(Requirement(name, lambda v: not _is_folded(v), tested))
        requirements.append(Requirement(name, lambda v: v["split_files"] is None, listed))
    return requirements


# Settings of gradient steps and of training crops, which a linear probe does not have.
STEP_SETTINGS = """
epochs max_steps max_train_minutes early_stopping_patience batch_size effective_batch_size
length_buckets gradient_accumulation_steps mixed_precision gradient_checkpointing compile
save_every_steps keep_checkpoints report_to hub_strategy eval_windows eval_every
optimizer learning_rate head_learning_rate layer_decay warmup_ratio weight_decay scheduler
decay_ratio ema_decay loss focal_gamma label_smoothing sampler max_grad_norm
freeze unfreeze_after_epochs lora_rank lora_alpha lora_dropout weighted_layer_sum
min_seconds crop gain_db shift_seconds speed_range polarity_probability noise_snr_db
noise_color noise_dir time_masks time_mask_seconds frequency_masks frequency_mask_share mixup_alpha
cutmix_alpha augment augment_p
"""


def _make_probe() -> list[Requirement]:
    """Return the requirements of the settings that a linear probe does not use."""
    advice = "--method probe fits on the frozen encoder without gradient steps; leave it out"
    mean = "--method probe and auto take the mean over the frames; leave it out"
    return [
        Requirement("pooling", lambda v: v["method"] == "fine-tune", mean),
        *(
            Requirement(name, lambda v: v["method"] != "probe", advice)
            for name in STEP_SETTINGS.split()
        ),
    ]


def _make_auto() -> list[Requirement]:
    """Return the requirements of the settings that `--method auto` does not use."""
    advice = {
        "keep_checkpoints": "--method auto removes the checkpoints of its candidates at its end;"
        " leave it out",
        "hub_strategy": "--method auto uploads the model that it chooses at its end; leave it out",
        "eval_windows": "--method auto compares all windows; leave it out",
        "weighted_layer_sum": "--method auto chooses the layer; leave it out",
    }
    return [
        *(
            Requirement(name, lambda v: v["method"] != "auto", text)
            for name, text in advice.items()
        ),
        Requirement(
            "freeze",
            lambda v: (
                v["method"] != "auto"
                or v["freeze"] != "backbone"
                or v["unfreeze_after_epochs"] is not None
            ),
            "--method auto also trains the layers; use --method probe, which trains the head alone",
        ),
    ]


REQUIREMENTS = (
    *_make_probe(),
    *_make_auto(),
    *_make_groups(),
    *_make_augmentation(),
    *_make_data(),
    *_make_validated(),
)


def find_unused(values: Values, defaults: Values) -> dict[str, str]:
    """Return {setting: what to do} of the settings that would not be used.

    Args:
        values: All settings.
        defaults: Their defaults; a setting that has its default is never listed.
    """
    unused: dict[str, str] = {}
    for one in REQUIREMENTS:
        if values[one.setting] != defaults[one.setting] and not one.is_met(values):
            unused.setdefault(one.setting, one.advice)
    return unused


def reset_unused(values: Values, defaults: Values, keep: Collection[str]) -> dict[str, Any]:
    """Return the values, with those that would not be used reset to their defaults.

    For values of a preset or of an earlier run: they were not chosen in this combination.

    Args:
        values: Setting name -> value; settings that are missing have their default.
        defaults: The default of every setting.
        keep: Settings that the user gave: they stay, and `RunConfig` refuses them.
    """
    kept = dict(values)
    while names := find_unused({**defaults, **kept}, defaults).keys() - set(keep):
        kept |= {name: defaults[name] for name in names}  # which may leave others without effect
    return kept
