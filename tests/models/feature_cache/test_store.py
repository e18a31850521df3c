"""The key of stored features: everything that a frozen module's output depends on changes it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from tiny_models import write_tiny_checkpoint

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.data.clips.clips import Clips, hash_audio
from audio_cls.data.clips.decode_cache import FEATURES
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.feature_cache import store
from audio_cls.models.feature_cache.output_layout import FrozenOutputLayout
from audio_cls.models.feature_cache.partial_forward import plan_partial_forward
from audio_cls.models.feature_cache.store import make_store_key
from audio_cls.models.finetuning.freeze import find_frozen
from audio_cls.models.load import load_for_training

CPU = torch.device("cpu")


def load(folder: Path, labels: tuple[str, ...] = ("a", "b", "c"), **audio: Any) -> AudioModel:  # noqa: ANN401
    """Load a classifier."""
    settings = AudioConfig(**{"max_seconds": 1.0, **audio})
    return load_for_training(open_checkpoint(ModelConfig(model=str(folder))), settings, labels)


def find(audio_model: AudioModel, what: str = "backbone") -> FrozenOutputLayout:
    """Find the cut of what is frozen."""
    layout = plan_partial_forward(
        audio_model.model,
        audio_model.processor,
        find_frozen(audio_model.model, audio_model.processor, what),
    )
    assert layout is not None
    return layout


def key_of(audio_model: AudioModel, layout: FrozenOutputLayout | None = None) -> str:
    """Return the key for some sound on a CPU."""
    found = layout or find(audio_model)
    return make_store_key(audio_model, found.names, repr(found), "sound", "no", CPU)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny checkpoint."""
    return write_tiny_checkpoint("wav2vec2", tmp_path_factory.mktemp("key") / "plain")


# Of the same weights: the configuration alone tells them apart.
EDITS: dict[str, Any] = {
    "layer_norm_eps": 0.01,
    "hidden_act": "relu",
    "feat_extract_activation": "relu",
    "num_attention_heads": 1,
    "do_stable_layer_norm": True,
}


def test_an_edited_config_json_has_another_key(checkpoint: Path, tmp_path: Path) -> None:
    plain = load(checkpoint)
    keys = {key_of(plain), key_of(load(checkpoint))}
    assert len(keys) == 1
    for number, (name, value) in enumerate(EDITS.items()):
        folder = tmp_path / name
        folder.mkdir()
        for file in checkpoint.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        config = json.loads((folder / "config.json").read_text())
        assert config[name] != value
        (folder / "config.json").write_text(json.dumps({**config, name: value}))
        edited = load(folder)
        weights = plain.model.wav2vec2.state_dict()
        assert all(
            torch.equal(v, weights[k]) for k, v in edited.model.wav2vec2.state_dict().items()
        )
        keys.add(key_of(edited))
        assert len(keys) == number + 2, name


def test_labels_and_head_make_no_difference(checkpoint: Path) -> None:
    assert key_of(load(checkpoint)) == key_of(load(checkpoint, labels=("x", "y")))


def change_weight(audio_model: AudioModel) -> None:
    """Change one number of the frozen part."""
    with torch.no_grad():
        next(audio_model.model.wav2vec2.parameters()).view(-1)[0] += 1


def add_buffer(audio_model: AudioModel) -> None:
    """Add what a checkpoint does not hold."""
    audio_model.model.wav2vec2.register_buffer("positions", torch.arange(3), persistent=False)


CHANGES: dict[str, Callable[[AudioModel], None]] = {
    "a weight": change_weight,
    "a buffer": add_buffer,
    "its code": lambda audio_model: audio_model.code.update({"modeling.py": b"..."}),
    "attention": lambda audio_model: audio_model.model.set_attn_implementation("eager"),
    "the extractor": lambda audio_model: setattr(
        audio_model.processor.extractor, "do_normalize", "no"
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_other_weights_code_and_inputs_have_another_key(name: str, checkpoint: Path) -> None:
    audio_model = load(checkpoint)
    layout = find(audio_model)
    before = key_of(audio_model, layout)
    CHANGES[name](audio_model)
    assert key_of(audio_model, layout) != before


def test_other_audio_precision_device_layout_and_versions_have_other_keys(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio_model = load(checkpoint)
    layout = find(audio_model)
    keys = {
        f"{sound} {precision} {device}": make_store_key(
            audio_model, layout.names, repr(layout), sound, precision, device
        )
        for sound, precision, device in (
            ("sound", "no", CPU),
            ("other", "no", CPU),
            ("sound", "bf16", CPU),
            ("sound", "no", torch.device("cuda")),
        )
    }
    other = dataclasses.replace(layout, is_mask_framed=not layout.is_mask_framed)
    keys["cut"] = key_of(audio_model, other)
    for module, name in (
        (store.transformers, "__version__"),  # as the code sees it
        (store.torch, "__version__"),
        (store, "__version__"),
        (store, "STORE_VERSION"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, "0.0.1")
            keys[f"{module} {name}"] = key_of(audio_model, layout)
    with monkeypatch.context() as patch:
        patch.setattr(store, "find_version", lambda _: "2.0")
        keys["torchaudio"] = key_of(audio_model, layout)
    found = list(keys.values())
    assert {name: found.count(key) for name, key in keys.items()} == dict.fromkeys(keys, 1)
    assert len(keys) == 10


def test_the_key_of_audio_depends_on_waveforms_and_order_not_on_files() -> None:
    def make(*hashes: str, rate: int = 16_000) -> Clips:
        rows = {name: [None] * len(hashes) for name in FEATURES}
        table = Dataset.from_dict({**rows, "hash": list(hashes)}, features=FEATURES)
        numbers = np.arange(len(hashes))
        return Clips(table, numbers, numbers, numbers.astype(str), numbers, rate)

    made = [make("a", "b"), make("b", "a"), make("a"), make("a", "c"), make("a", "b", rate=8_000)]
    assert len({hash_audio(clips) for clips in made}) == len(made)
    assert hash_audio(made[0]) == hash_audio(make("a", "b"))
    assert hash_audio(made[0], np.array([1, 0])) == hash_audio(made[1])
