"""Tests of audio_cls.models.feature_cache.precompute."""

from __future__ import annotations

import itertools
import logging
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import write_tiny_checkpoint
from tiny_runs import QUIET, make_config, prepare

from audio_cls.config import RunConfig
from audio_cls.distributed.accelerator import start_accelerator
from audio_cls.evaluation.scorer import make_scorer
from audio_cls.evaluation.validate import make_validator
from audio_cls.models.feature_cache import store as store_module
from audio_cls.models.feature_cache.partial_forward import CachedFeatureProcessor
from audio_cls.models.feature_cache.precompute import (
    TrainingInputs,
    list_split_windows,
    precompute_frozen_features,
)
from audio_cls.models.feature_cache.store import CachedClips, FeatureStore
from audio_cls.storage import cache
from audio_cls.training.loop import train
from audio_cls.training.open_run import open_run
from audio_cls.training.setup import set_up_training

FAMILIES = {  # name -> family and what its configuration says otherwise
    "wav2vec2": ("wav2vec2", {"feat_extract_norm": "layer"}),
    "hubert": ("hubert", {}),
    "whisper": ("whisper", {"dropout": 0.1}),
    "ast": ("audio-spectrogram-transformer", {"hidden_dropout_prob": 0.1}),
    "bert": ("wav2vec2-bert", {}),
    "still-bert": (
        "wav2vec2-bert",
        {**QUIET, "hidden_dropout": 0.0, "conformer_conv_dropout": 0.0},
    ),
    "sew": ("sew", QUIET),  # no mask makes padding harmless: a forward pass for each length
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of tiny checkpoints, by name."""
    root = tmp_path_factory.mktemp("checkpoints")
    for name, (family, changes) in FAMILIES.items():
        write_tiny_checkpoint(family, root / name, **changes)
    return root


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the stores of this test."""
    monkeypatch.setattr(cache, "cache_root", lambda: tmp_path / "caches")
    return tmp_path / "caches" / "features"


def run(cfg: RunConfig) -> tuple[TrainingInputs, dict[str, Any]]:
    """Train as scripts/train.py does; return the inputs, the weights and the test scores."""
    accelerator = start_accelerator(cfg.train)
    folder = open_run(cfg, accelerator)
    clips, audio_model = prepare(cfg)
    inputs = precompute_frozen_features(cfg, accelerator, audio_model, clips)
    scorer = make_scorer(inputs.audio_model, cfg, accelerator)
    validate = make_validator(scorer, inputs.validation, cfg.eval)
    result = set_up_training(cfg, accelerator, folder, inputs, validate)
    train(result)
    weights = {name: value.clone() for name, value in audio_model.model.state_dict().items()}
    audio_model.load_state(folder.path)
    scores = scorer.score(audio_model.model, inputs.test)
    return inputs, {"weights": weights, "scores": scores.probabilities}


def make_pair(folder: Path, checkpoint: Path, tmp_path: Path, **changes: Any) -> list[RunConfig]:  # noqa: ANN401
    """Return the settings of a run without feature cache, and of one with it."""
    values = {"epochs": 2, "crop": "start", "learning_rate": 3e-3, "num_workers": 0, **changes}
    return [
        make_config(folder, checkpoint, tmp_path / f"run-{limit}", feature_cache_gb=limit, **values)
        for limit in (0, None)
    ]


@pytest.mark.parametrize(
    ("name", "freeze"),
    # Of wav2vec2-bert's features a frame of padding is not kept: dropout draws differently.
    sorted(set(itertools.product(FAMILIES, ["features", "backbone"])) - {("bert", "features")}),
)
def test_the_trained_result_is_that_of_a_run_without_cache(
    name: str, freeze: str, tone_folder: Path, checkpoints: Path, stores: Path, tmp_path: Path
) -> None:
    pair = make_pair(
        tone_folder, checkpoints / name, tmp_path, freeze=freeze, max_seconds=0.5, epochs=1
    )
    (inputs, uncached), (stored, cached) = (run(cfg) for cfg in pair)
    assert not isinstance(inputs.train, CachedClips)
    assert len(set(inputs.train.lengths)) > 1
    assert isinstance(stored.train, CachedClips)
    assert isinstance(stored.audio_model.processor, CachedFeatureProcessor)
    assert list(stores.glob("*/*.rows"))
    moved = 0
    for key, value in uncached["weights"].items():
        torch.testing.assert_close(cached["weights"][key], value, rtol=1e-3, atol=2e-5)
        moved += 1
    assert moved > 10
    assert abs(uncached["scores"] - cached["scores"]).max() < 1e-4


def test_epochs_and_a_second_run_with_another_seed_compute_nothing_again(
    tone_folder: Path,
    checkpoints: Path,
    stores: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    values = {"freeze": "backbone", "crop": "start"}
    run(make_config(tone_folder, checkpoints / "ast", tmp_path / "a", seed=1, **values))
    files = {file: file.stat().st_mtime_ns for file in stores.glob("*/*")}
    assert re.search(r"feature cache: computing (\d+) of \1 windows", caplog.text)
    run(make_config(tone_folder, checkpoints / "ast", tmp_path / "b", seed=2, **values))
    assert "feature cache: computing 0 of " in caplog.text
    assert {file: file.stat().st_mtime_ns for file in stores.glob("*/*")} == files


def test_other_weights_settings_or_audio_get_another_store(
    tone_folder: Path, checkpoints: Path, stores: Path, tmp_path: Path
) -> None:
    other = write_tiny_checkpoint("whisper", tmp_path / "other", seed=1, dropout=0.1)
    for number, (checkpoint, changes) in enumerate(
        [
            (checkpoints / "whisper", {}),
            (other, {}),
            (checkpoints / "whisper", {"max_seconds": 1.2}),
            (checkpoints / "whisper", {"max_train_samples": 20}),
            (checkpoints / "whisper", {"freeze": "features"}),
        ]
    ):
        values = {"freeze": "backbone", "crop": "start", "max_steps": 1, **changes}
        run(make_config(tone_folder, checkpoint, tmp_path / f"run-{number}", **values))
        assert len(list(stores.iterdir())) == number + 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"feature_cache_gb": 0}, "--feature-cache-gb is 0"),
        ({"unfreeze_after_epochs": 1}, "--unfreeze-after-epochs trains them later"),
        ({"feature_cache_gb": 1e-6}, "GB exceed the limit"),
    ],
)
def test_features_that_change_or_do_not_fit_are_not_cached_and_this_is_logged(
    changes: dict[str, Any],
    reason: str,
    tone_folder: Path,
    checkpoints: Path,
    stores: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    values = {"freeze": "features", "crop": "start", "max_steps": 1, **changes}
    folder = stores.parent.parent / "run"
    inputs, _ = run(make_config(tone_folder, checkpoints / "wav2vec2", folder, **values))
    assert not isinstance(inputs.train, CachedClips)
    said = [one for one in caplog.messages if reason in " ".join(one.split())]
    assert len(said) == 1
    assert max(map(len, said[0].splitlines())) <= 80 or "exceed" in said[0]  # a wrapped warning
    assert not list(stores.glob("*/*.rows"))


@pytest.mark.parametrize(
    "changed",
    [
        ({"gain_db": 3.0}, "training clips are augmented"),
        ({"crop": "random"}, "cropped at random positions"),
        ({"min_seconds": 0.3}, "crops have a random length"),
    ],
)
def test_evaluation_windows_are_cached_where_training_crops_change(
    changed: tuple[dict[str, Any], str],
    tone_folder: Path,
    checkpoints: Path,
    stores: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    changes, reason = changed
    values = {"freeze": "features", "crop": "start", "max_seconds": 0.5, **changes}
    pair = make_pair(tone_folder, checkpoints / "wav2vec2", tmp_path, **values)
    (_, uncached), (inputs, cached) = (run(cfg) for cfg in pair)
    assert reason in " ".join(caplog.text.split())
    assert not isinstance(inputs.train, CachedClips)
    assert isinstance(inputs.validation, CachedClips)
    assert isinstance(inputs.test, CachedClips)
    (counted,) = re.findall(r"feature cache: computing (\d+) of", caplog.text)
    assert int(counted) == sum(
        len(list_split_windows(name, clips, pair[0].audio))
        for name, clips in (("validation", inputs.validation), ("test", inputs.test))
    )
    for key, value in uncached["weights"].items():
        torch.testing.assert_close(cached["weights"][key], value, rtol=0, atol=0)
    assert abs(uncached["scores"] - cached["scores"]).max() < 1e-4


def test_a_run_killed_while_it_computes_leaves_nothing_that_is_read(
    tone_folder: Path,
    checkpoints: Path,
    stores: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = store_module.FeatureStore.add

    def die(self: store_module.FeatureStore, items: Any) -> None:  # noqa: ANN401
        def some() -> Any:  # noqa: ANN401
            yield next(items)
            raise KeyboardInterrupt

        whole(self, some())

    values = {"freeze": "backbone", "crop": "start", "max_steps": 1}
    monkeypatch.setattr(store_module.FeatureStore, "add", die)
    with pytest.raises(KeyboardInterrupt):
        run(make_config(tone_folder, checkpoints / "ast", tmp_path / "a", **values))
    assert not list(stores.glob("*/*.npy"))
    monkeypatch.setattr(store_module.FeatureStore, "add", whole)
    inputs, _ = run(make_config(tone_folder, checkpoints / "ast", tmp_path / "b", **values))
    assert isinstance(inputs.train, CachedClips)


def age_store(stores: Path, name: str, seconds: float) -> Path:
    """Fill a store with 1,000 bytes, used so long ago."""
    (stores / name).mkdir(parents=True, exist_ok=True)
    (stores / name / "x.rows").write_bytes(bytes(1000))
    stamp = time.time() - seconds
    os.utime(stores / name, (stamp, stamp))
    return stores / name


def test_a_store_that_nobody_used_for_a_day_makes_room(stores: Path) -> None:
    old, fresh = age_store(stores, "old", 3 * 86_400), age_store(stores, "fresh", 60)
    new = FeatureStore("new", 1)
    assert store_module.evict_for(new, 900, 3000)
    assert old.exists()
    assert store_module.evict_for(new, 1500, 2600)
    assert not old.exists()
    assert not store_module.evict_for(new, 1500, 2000)
    assert fresh.exists()


def test_a_store_that_a_long_run_has_open_is_not_deleted(stores: Path) -> None:
    used = FeatureStore("used", 1)
    age_store(stores, "used", 3 * 86_400)
    new = FeatureStore("new", 1)
    assert not store_module.evict_for(new, 1500, 2000)
    assert used.path.exists()
    del used  # as at the end of the run
    assert store_module.evict_for(new, 1500, 2000)
    assert not (stores / "used").exists()


def test_a_store_that_is_written_meanwhile_can_be_measured(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, new = age_store(stores, "other", 60), FeatureStore("new", 1)
    (other / ".y.partial").write_bytes(bytes(500))
    whole = os.walk

    def walk_then_rename(path: Path) -> Any:  # noqa: ANN401
        found = list(whole(path))
        if Path(path) == other:
            (other / ".y.partial").rename(other / "y.rows")  # as its writer does
        return found

    monkeypatch.setattr(cache.os, "walk", walk_then_rename)
    assert store_module.evict_for(new, 900, 2600)
