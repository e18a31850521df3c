"""Summary at the start of a run: its text, and its width."""

from __future__ import annotations

import dataclasses

from audio_cls.config import RunConfig
from audio_cls.runs.setting_origins import SettingOrigins
from audio_cls.training.start.summary import StartFacts, format_resume, format_start, wrap_rows

GTZAN = StartFacts(
    dataset="marsyas/gtzan",
    dataset_revision="0123456789abcdef0123456789abcdef01234567",
    preset="gtzan",
    preset_reason="chosen because the data set is marsyas/gtzan; --preset none switches it off",
    label_column="genre",
    classes=("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "rock"),
    clips={"train": 1899, "validation": 100, "test": 100},
    is_test_validation=True,
    sampling_rate=16_000,
    max_seconds=30.0,
    model="ntu-spml/distilhubert",
    head="new classification head",
    parameters=23_691_141,
    trainable_parameters=23_691_141,
    device="cpu",
    precision_reason="fp16 needs a GPU",
    epochs=10,
    steps_per_epoch=113,
    steps=1130,
    clips_per_step=8,
    output_dir="runs/gtzan-distilhubert",
    settings={
        "--validation-size": "0.1 (preset)",
        "--normalize": "(preset)",
        "--learning-rate": "5e-5 (preset)",
        "--epochs": "3",
    },
)


def test_the_summary_of_a_run_is_aligned_within_80_columns() -> None:
    assert "\n".join(wrap_rows(format_start(GTZAN))) == (
        """\
data set    marsyas/gtzan, revision 0123456789ab, label 'genre'
preset      gtzan: chosen because the data set is marsyas/gtzan; --preset none
            switches it off
classes     9: blues, classical, country, disco, hiphop, jazz, metal, pop, ...
clips       1,899 train, 100 validation = test (the same clips)
audio       16,000 Hz, crops of at most 30 s
model       ntu-spml/distilhubert, 23,691,141 parameters, all trainable, new
            classification head
device      cpu, 1 process, float32 (fp16 needs a GPU)
training    10 epochs x 113 steps = 1,130 steps, 8 clips per step
run folder  runs/gtzan-distilhubert
settings    --validation-size 0.1 (preset), --normalize (preset),
            --learning-rate 5e-5 (preset), --epochs 3"""
    )


def test_a_flag_and_its_value_are_on_one_line() -> None:
    many = {f"--flag-{number}": f"{number} (preset)" for number in range(40)}
    lines = wrap_rows([("settings", ", ".join(f"{f} {v}" for f, v in many.items()))])
    assert max(map(len, lines)) <= 80
    assert all(line[12:].startswith("--flag-") for line in lines)


def test_a_name_or_a_value_with_a_comma_is_one_item() -> None:
    classes = ("bird, singing", "dog")
    pattern = "'" + "a, b " * 8 + "'"
    settings = {"--label-pattern": pattern, "--epochs": "3"}
    facts = dataclasses.replace(
        GTZAN, classes=classes, settings=settings, split_groups={"test": ("Lee, Ann", "Roe")}
    )
    rows = dict(format_start(facts))
    assert rows["classes"] == "2: 'bird, singing', dog"
    assert rows["groups"] == "test: 'Lee, Ann', Roe"
    first, second = wrap_rows([("settings", rows["settings"])])
    assert (first, second) == (f"settings    --label-pattern {pattern},", f"{'':12}--epochs 3")


def test_groups_streams_frozen_parts_and_short_runs_are_named() -> None:
    facts = dataclasses.replace(
        GTZAN,
        preset=None,
        classes=("yes", "no"),
        is_multilabel=True,
        clips={"validation": 1, "test": 2},
        is_streamed=True,
        is_test_validation=False,
        groups="speaker",
        trainable_parameters=2_000,
        freeze="--freeze backbone",
        processes=2,
        precision="bfloat16 mixed precision",
        precision_reason="",
        steps=100,
        clips_per_step=1,
        output_dir=None,
        settings={},
    )
    rows = dict(format_start(facts))
    assert "preset" not in rows and "settings" not in rows
    assert rows["classes"] == "2 (multi-label): yes, no"
    assert rows["clips"] == "train streamed, 1 validation, 2 test; split by group (speaker)"
    assert "2,000 trainable (--freeze backbone), new classification head" in rows["model"]
    assert rows["device"] == "cpu, 2 processes, bfloat16 mixed precision"
    assert rows["training"] == "100 steps, 1 clip per step"
    assert rows["run folder"] == "none: a dry run keeps no files"
    short = dataclasses.replace(GTZAN, epochs=0.1770, steps=20)
    assert dict(format_start(short))["training"] == (
        "20 steps (0.18 epochs, 113 steps per epoch), 8 clips per step"
    )


def test_a_resumed_run_has_one_line_and_a_new_one_none() -> None:
    resumed = dataclasses.replace(GTZAN, first_step=4, checkpoint="runs/a/checkpoints/step-4")
    assert format_resume(resumed) == ("Resuming from step 4 of 1,130 (runs/a/checkpoints/step-4)")
    assert format_resume(GTZAN) == ""


def test_a_value_of_a_sweep_is_not_said_to_be_of_the_preset() -> None:
    cfg = RunConfig.from_flat({"learning_rate": 0.004, "epochs": 3, "label_pattern": "a b$"})
    origins = SettingOrigins(by_name={"learning_rate": "preset", "epochs": "preset"})
    shown = origins.with_sweep(["learning_rate"]).list_changed(cfg)
    assert shown["--learning-rate"] == "0.004 (sweep)" and shown["--epochs"] == "3 (preset)"
    assert shown["--label-pattern"] == "'a b$'"  # as the shell takes it


def test_the_groups_of_validation_and_test_have_one_line() -> None:
    apart = dataclasses.replace(GTZAN, is_test_validation=False)
    some = dataclasses.replace(apart, split_groups={"validation": ("ann",), "test": ("bob", "cid")})
    assert dict(format_start(some))["groups"] == "validation: ann; test: bob, cid"
    names = tuple(f"speaker-{number}" for number in range(30))
    many = dataclasses.replace(apart, split_groups={"validation": names, "test": names})
    (line,) = wrap_rows([("groups", dict(format_start(many))["groups"])])
    assert len(line) <= 80 and line.count("(30)") == 2


def test_a_dry_run_and_the_clips_of_an_epoch_are_named() -> None:
    assert format_resume(dataclasses.replace(GTZAN, is_dry_run=True)).startswith("Dry run")
    sampled = dataclasses.replace(GTZAN, clips={**GTZAN.clips, "train": 124}, epoch_clips=44)
    assert dict(format_start(sampled))["clips"].startswith("124 train (44 in each epoch), ")
