"""Every setting changes what a run does or leaves; none is accepted without an effect.

A tiny run with the setting is compared with the same run without it, in the part of the run that
the setting is about. Settings that need a Hub, several processes or an extra have tests of their
own, which `ELSEWHERE` names.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import re
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from accelerate.state import AcceleratorState
from click.testing import CliRunner
from datasets import Audio, ClassLabel, Dataset, DatasetDict, Features, Value
from safetensors.torch import load_file
from tiny_models import write_tiny_checkpoint
from tiny_outside import write_tiny_outside
from tiny_runs import QUIET, write_quiet_checkpoint
from tones import encode_sound, make_tone
from torch.utils.data import DataLoader

from audio_cls.config import flag_name, iterate_settings
from audio_cls.runs.results import RunResults
from audio_cls.workflows import train as workflow
from audio_cls.workflows.methods import fine_tune

ROOT = Path(__file__).parents[2]
RATE = 16_000
FEATURES = Features(
    audio=Audio(decode=False),
    second=Audio(decode=False),
    label=ClassLabel(names=["low", "middle", "high", "rare"]),
    **{name: Value("string") for name in ("class", "several", "speaker")},
    **{name: Value("int64") for name in ("fold", "loud", "soft")},
)
COMMON = [
    "--max-seconds",
    "0.5",
    "--max-steps",
    "4",
    "--batch-size",
    "4",
    "--learning-rate",
    "1e-2",
]
COMMON += ["--label-column", "label", "--audio-column", "audio"]


@dataclass(frozen=True)
class Case:
    """What is typed, and which part of the run it must change."""

    typed: str  # the value, or all words that are typed when they begin with '-'
    part: str = "weights"
    base: str = ""  # typed in both runs; {root} is the folder of the inputs


CASES = {
    # --- data ---
    "dataset": Case("{root}/other", "scores"),
    "audio_root": Case("{root}/sounds", "scores", "--dataset {root}/own/t.csv --audio-column="),
    "audio_column": Case("second", "scores"),
    "start_column": Case(
        "begins", "exit", "--dataset {root}/pieces.csv --audio-column= --end-column ends"
    ),
    "end_column": Case(
        "ends", "exit", "--dataset {root}/pieces.csv --audio-column= --start-column begins"
    ),
    "duration_column": Case(
        "lasts", "exit", "--dataset {root}/pieces.csv --audio-column= --start-column begins"
    ),
    "label_column": Case("class", "labels"),
    "label_columns": Case("loud,soft", "labels", "--label-column="),
    "label_pattern": Case("(s[0-9])-", "labels", "--label-column="),
    "label_level": Case("-1", "labels", "--dataset {root}/tree"),
    "label_separator": Case(";", "labels", "--label-column several"),
    "problem_type": Case("multi-label", "labels"),
    "keep_labels": Case("low,high", "labels"),
    "drop_labels": Case("low", "labels"),
    "min_clips_per_label": Case("6", "labels"),
    "merge_rare_into": Case("other", "labels", "--min-clips-per-label 6"),
    "keywords": Case("low,middle", "labels"),
    "unknown_from": Case("high", "labels"),
    "unknown_share": Case("0.5", "results", "--keywords low"),
    "silence_from": Case("synthesise", "clips"),
    "silence_share": Case("0.5", "clips", "--silence-from synthesise"),
    "silence_seconds": Case("0.2", "scores", "--silence-from synthesise"),
    "group_column": Case("speaker", "clips"),
    "group_pattern": Case("-(.)", "clips"),
    "test_groups": Case("s1", "clips", "--group-column speaker"),
    "validation_groups": Case("s1", "clips", "--group-column speaker"),
    "train_split": Case("second", "scores", "--dataset {root}/splits"),
    "validation_split": Case("second", "training", "--dataset {root}/splits"),
    "test_split": Case("second", "scores", "--dataset {root}/splits"),
    "validation_size": Case("0.3", "clips"),
    "test_size": Case("0.3", "clips"),
    "split_method": Case("shuffled", "clips"),
    "split_seed": Case("1", "clips"),
    "folds": Case("3", "files"),
    "fold_column": Case("fold", "clips", "--folds 3 --fold 1"),
    "fold": Case("2", "clips", "--fold-column fold --fold 1"),
    "fold_validation": Case("cut", "clips", "--fold-column fold --fold 1"),
    "split_files": Case("{root}/lists", "clips"),
    "split_files_sha256": Case("0", "exit", "--split-files {root}/lists"),
    "deduplicate": Case("--deduplicate", "clips"),
    "max_train_samples": Case("8", "clips"),
    "max_eval_samples": Case("2", "clips"),
    "max_bad_audio_ratio": Case("0.0", "exit"),
    "bad_audio": Case("fail", "exit"),
    "max_clip_seconds": Case("0.6", "clips", "--max-bad-audio-ratio 1"),
    "min_clip_seconds": Case("0.5", "clips", "--max-bad-audio-ratio 1"),
    "drop_silent": Case("--drop-silent", "clips"),
    # --- audio ---
    "max_seconds": Case("0.3"),
    "min_seconds": Case("0.2"),
    "crop": Case("start"),
    "window_seconds": Case("0.2", "scores"),
    "hop_seconds": Case("0.1", "scores"),
    "aggregate": Case("max", "scores"),
    "repeat_short": Case("--repeat-short", "scores"),
    "normalize": Case("--no-normalize"),
    "attention_mask": Case("--no-attention-mask", "weights", "--model {root}/masked"),
    # --- augmentation ---
    "gain_db": Case("6"),
    "shift_seconds": Case("0.1"),
    "speed_range": Case("0.8,1.2"),
    "polarity_probability": Case("0.5"),
    "noise_snr_db": Case("0,10"),
    "noise_color": Case("pink", "weights", "--noise-snr-db 0,10"),
    "noise_dir": Case("{root}/sounds", "weights", "--noise-snr-db 0,10"),
    "time_masks": Case("2"),
    "time_mask_seconds": Case("0.1", "weights", "--time-masks 2"),
    "frequency_masks": Case("2"),
    "frequency_mask_share": Case("0.6", "weights", "--frequency-masks 2"),
    "mixup_alpha": Case("0.5"),
    "cutmix_alpha": Case("0.5"),
    "augment_p": Case("gain=0.5", "weights", "--gain-db 6"),
    # --- model ---
    "model": Case("{root}/masked"),
    "from_scratch": Case("--from-scratch"),
    "weighted_layer_sum": Case("--weighted-layer-sum", "keys"),
    "pooling": Case("mean_std", "weights", "--model {root}/pooled"),
    "freeze": Case("features"),
    "unfreeze_after_epochs": Case("1", "weights", "--freeze backbone --epochs 2 --max-steps="),
    "lora_rank": Case("2"),
    "lora_alpha": Case("64", "weights", "--lora-rank 2"),
    "lora_dropout": Case("0.5", "weights", "--lora-rank 2"),
    # --- optimisation ---
    "learning_rate": Case("1e-3"),
    "head_learning_rate": Case("1e-3"),
    "layer_decay": Case("0.5"),
    "warmup_ratio": Case("1.0"),
    "weight_decay": Case("0.5"),
    "scheduler": Case("cosine"),
    "decay_ratio": Case("0.8", "weights", "--scheduler wsd"),
    "ema_decay": Case("0.9"),
    "loss": Case("focal"),
    "focal_gamma": Case("5", "weights", "--loss focal"),
    "label_smoothing": Case("0.3"),
    "class_weights": Case("balanced"),
    "pos_weight": Case("3", "weights", "--label-column several --label-separator ;"),
    "sampler": Case("balanced"),
    "max_grad_norm": Case("0.01"),
    # --- training ---
    "epochs": Case("3", "training", "--epochs 1 --max-steps="),
    "max_steps": Case("2", "training"),
    "max_train_minutes": Case("1e-9", "training"),
    "early_stopping_patience": Case(
        "1", "training", "--epochs 6 --max-steps= --learning-rate 1e-9"
    ),
    "refit": Case("--refit"),
    "batch_size": Case("2"),
    "effective_batch_size": Case("8"),
    "length_buckets": Case("8"),
    "gradient_accumulation_steps": Case("2"),
    "mixed_precision": Case("bf16"),
    "seeds": Case("1,2", "files"),
    "sweep": Case("{root}/sweep.yaml", "files"),
    "seed": Case("1"),
    "num_workers": Case("1", "loaders"),
    "feature_cache_gb": Case("0", "output", "--freeze features --crop start"),
    "output_dir": Case("{root}/elsewhere", "place"),
    "dry_run": Case("--dry-run", "files"),
    "save_every_steps": Case("1", "checkpoints", "--keep-checkpoints 9"),
    "keep_checkpoints": Case("3", "checkpoints", "--save-every-steps 1"),
    "log": Case("quiet", "output"),
    "report_to": Case("tensorboard", "files"),
    # --- evaluation ---
    "metric": Case("log_loss", "training"),
    "metric_goal": Case("max", "weights", "--metric log_loss --epochs 4 --max-steps="),
    "eval_windows": Case("all", "training"),
    "eval_every": Case("2", "training", "--epochs 2 --max-steps="),
    "eval_batch_size": Case("2", "loaders"),
    "baseline": Case("no", "output"),
    # --- card ---
    "license": Case("mit", "card"),
    "language": Case("en", "card"),
    "model_description": Case("Tones of a synthesiser.", "card"),
    "intended_use": Case("Sorting of tones.", "card"),
    "citation": Case("@misc{tones}", "card"),
    "limitations": Case("Only tones.", "card"),
}

CLOCK_COLUMNS = ("seconds", "data_share", "clips_per_second")  # of summary.csv

# Settings with tests of their own: they need a Hub, a second start or process, or an extra.
ELSEWHERE = {
    "method": "tests/linear_probe/test_run.py",
    "dataset_config": "tests/data/sources/test_hub_source.py",
    "dataset_revision": "tests/data/sources/test_hub_source.py",
    "streaming": "tests/training/test_streaming.py",
    "shuffle_buffer": "tests/data/streaming/test_stream_clips.py",
    "allow_partial": "tests/data/sources/test_hub_source.py",
    "model_revision": "tests/models/test_trust_remote_code.py",
    "trust_remote_code": "tests/models/test_trust_remote_code.py",
    "augment": "tests/audio/augmentation/test_user_transforms.py",
    "attention": "tests/models/test_attention_backend.py",
    "gradient_checkpointing": "tests/models/test_attention_backend.py",
    "optimizer": "tests/training/optim/test_optimizer.py",
    "compile": "tests/models/test_attention_backend.py",
    "overwrite": "tests/runs/test_checkpoint.py",
    "resume": "tests/training/test_loop.py",
    "measure_energy": "tests/training/test_energy.py",
    "energy_country": "tests/training/test_energy.py",
    "push_to_hub": "tests/end_to_end/test_hub_way.py",
    "hub_repo_id": "tests/publishing/hub/test_push.py",
    "private": "tests/publishing/hub/test_push.py",
    "hub_strategy": "tests/publishing/hub/test_background.py",
    "create_pr": "tests/publishing/hub/test_background.py",
    "publish_ids": "tests/publishing/hub/test_published_files.py",
    "push_logs": "tests/publishing/hub/test_published_files.py",
    "task_id": "tests/publishing/hub/test_preflight.py",
    "eval_notes": "tests/publishing/hub/test_preflight.py",
}


def _make_rows(seed: int) -> dict[str, list[Any]]:
    """Return 39 tones with labels, groups and folds; one silent, one broken, two equal."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {name: [] for name in FEATURES}
    for number in range(39):
        kind = number % 3 if number < 36 else 3  # the last three are rare
        hz = (200, 800, 3000, 5000)[kind] * rng.uniform(0.95, 1.05)
        wave = make_tone(hz, rng.uniform(0.3, 1.0), seed=number) * (0.0 if number == 35 else 1.0)
        sound = b"no sound" if number == 34 else encode_sound(wave, RATE)
        name = f"s{number % 6}-{number:02d}.wav"
        rows["audio"].append({"bytes": sound, "path": name})
        rows["second"].append({"bytes": encode_sound(wave[::-1].copy(), RATE), "path": name})
        rows["label"].append(kind)
        rows["class"].append(("a", "b")[number % 2])
        rows["several"].append(("a", "b", "a;b")[number % 3])
        rows["speaker"].append(f"s{number % 6}")
        rows["fold"].append(number // 3 % 3 + 1)
        rows["loud"].append(int(number % 2 == 0))
        rows["soft"].append(int(number % 3 == 0))
    rows["audio"][33] = {"bytes": rows["audio"][30]["bytes"], "path": "s3-33.wav"}
    return rows


def _make_table(seed: int) -> Dataset:
    """Return the rows as a data set."""
    plain = {"bytes": Value("binary"), "path": Value("string")}
    features = Features({**FEATURES, "audio": plain, "second": plain})
    return Dataset.from_dict(_make_rows(seed), features=features).cast(FEATURES)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of all inputs: data sets, checkpoints, lists of clips, a sweep."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "data").mkdir()
    _make_table(0).to_parquet(folder / "data" / "train.parquet")
    (folder / "other").mkdir()
    _make_table(1).to_parquet(folder / "other" / "train.parquet")
    names = ("train", "validation", "test", "second")
    splits = {name: _make_table(seed) for seed, name in enumerate(names)}
    DatasetDict(splits).save_to_disk(folder / "splits")
    write_quiet_checkpoint(folder / "model")
    write_tiny_checkpoint("wav2vec2", folder / "masked", feat_extract_norm="layer", **QUIET)
    write_tiny_outside("moonshine", folder / "pooled")
    (folder / "sounds" / "a").mkdir(parents=True)
    (folder / "own" / "a").mkdir(parents=True)
    lines, others = ["file_name,label"], _make_rows(3)["audio"]
    for number, row in enumerate(_make_rows(2)["audio"]):
        (folder / "sounds" / "a" / f"{number}.wav").write_bytes(row["bytes"])
        (folder / "own" / "a" / f"{number}.wav").write_bytes(others[number]["bytes"])
        lines.append(f"a/{number}.wav,{'ab'[number % 2]}")
    (folder / "own" / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "sounds" / "a" / "34.wav").unlink()
    pieces = ["file_name,label,begins,ends,lasts"]
    for number in range(24):
        pieces.append(f"long.wav,{'ab'[number % 2]},{number / 2},{number / 2 + 0.5},0.5")
        place = folder / "tree" / f"speaker{number % 3}" / "ab"[number % 2] / f"{number}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(encode_sound(make_tone(300 + 900 * (number % 2), 0.4, seed=number), RATE))
    (folder / "pieces.csv").write_text("\n".join(pieces), encoding="utf-8")
    (folder / "long.wav").write_bytes(encode_sound(make_tone(500, 12.0), RATE))
    (folder / "sweep.yaml").write_text("learning_rate: [1e-3, 1e-2]", encoding="utf-8")
    (folder / "lists").mkdir()
    names = [row["path"] for row in _make_rows(0)["audio"]]
    for place, split in enumerate(("train", "validation", "test")):
        (folder / "lists" / f"{split}.txt").write_text("\n".join(names[place::3]), "utf-8")
    return folder


@pytest.fixture(scope="module")
def run(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Return the function that makes a run and describes it; equal words are run once."""
    main = runpy.run_path(str(ROOT / "scripts" / "train.py"))["main"]

    @functools.cache
    def make(words: tuple[str, ...]) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("runs") / "run"
        words = tuple(word.replace("{root}", str(root)) for word in words)
        own = ["--dataset", root / "data", "--model", root / "model", "--output-dir", folder]
        AcceleratorState._reset_state(reset_partial_state=True)  # type: ignore[no-untyped-call]
        with (  # figures are half of the time of a run
            _watch() as seen,
            mock.patch.object(workflow, "draw_figures"),
            mock.patch.object(fine_tune, "save_training_examples"),
        ):
            answer = CliRunner().invoke(main, [*map(str, own), *COMMON, *words])
        assert answer.exit_code in (0, 2), answer.output
        return {**_describe(folder), "loaders": sorted(seen), "exit": answer.exit_code,
                "output": _clean(answer.output, folder), "place": folder.exists()}  # fmt: skip

    return make


@contextlib.contextmanager
def _watch() -> Iterator[set[str]]:
    """Record the workers and the largest batch of every loader that is made."""
    seen: set[str] = set()
    make = DataLoader.__init__

    def record(self: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401
        """Make the loader."""
        batches = options.get("batch_sampler")
        largest = max(map(len, batches)) if isinstance(batches, list) else "training"
        seen.add(f"{largest} by {options.get('num_workers')}")
        make(self, *args, **options)

    with mock.patch.object(DataLoader, "__init__", record):
        yield seen


def _describe(folder: Path) -> dict[str, Any]:
    """Return what a run left, by part; nothing of it holds times or the run folder's name."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    parts: dict[str, Any] = {
        "files": [name for name in files if "tfevents" not in name],
        "checkpoints": [name for name in files if name.startswith("checkpoints/")],
        "clips": {p.name: p.read_text("utf-8") for p in folder.glob("splits/*.txt")},
    }
    if not (folder / "predictions.csv").is_file():
        return parts
    results = json.loads((folder / "results.json").read_text("utf-8"))
    assert RunResults.from_json(results).to_json() == results
    weights = load_file(folder / "model.safetensors")
    card = (folder / "README.md").read_text("utf-8").splitlines()
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        **parts,
        "labels": (results["labels"], results["dataset"]["problem_type"]),
        "scores": (folder / "predictions.csv").read_text("utf-8"),
        "training": [{k: v for k, v in row.items() if k not in CLOCK_COLUMNS} for row in rows],
        "weights": {name: tensor.double().sum().item() for name, tensor in weights.items()},
        "keys": sorted(weights),
        "results": [results["dataset"]["split"], results["test"]["num_examples"]],
        "card": [re.sub("[0-9]+", "", line) for line in card if "train.py" not in line],
    }


def _clean(output: str, folder: Path) -> str:
    """Take out of an output what differs between two equal runs: the folder, and all digits."""
    return re.sub(r"[0-9]+", "", output.replace(str(folder), ""))


def test_every_setting_has_its_case() -> None:
    assert CASES.keys() | ELSEWHERE.keys() == {one.name for one in iterate_settings()}
    for name, path in ELSEWHERE.items():
        assert name not in CASES
        text = (ROOT / path).read_text("utf-8")
        assert re.search(rf"\b{name}\b", text) or flag_name(name) in text, (name, path)


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_a_setting_changes_its_part_of_a_run(name: str, run: Callable[..., dict[str, Any]]) -> None:
    case = CASES[name]
    typed = [case.typed] if case.typed.startswith("--") else [flag_name(name), case.typed]
    base = case.base.split()
    without, given = run(tuple(base)), run((*base, *typed))
    if case.part not in ("exit", "files"):
        assert (without["exit"], given["exit"]) == (0, 0), given["output"][-500:]
    assert without[case.part] != given[case.part]


@pytest.mark.long
def test_two_runs_of_the_same_words_differ_in_no_part(run: Callable[..., dict[str, Any]]) -> None:
    one, other = run(()), run(("--seed", "42"))
    assert {part for part in one if part != "output" and one[part] != other[part]} == set()
