"""What is frozen stays as it is, makes no noise and leaves nothing for the backward pass."""

from __future__ import annotations

import copy
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import FAMILIES, write_tiny_checkpoint
from tiny_runs import make_config, set_up

from audio_cls.config import AudioConfig, ModelConfig, RunConfig
from audio_cls.errors import SettingError
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.finetuning.freeze import freeze
from audio_cls.models.load import load_for_training
from audio_cls.training.loop import train
from audio_cls.training.optim.losses import cross_entropy_per_clip

FRONTS = {  # family -> what its front end is called below the base model; else the convolutions
    "audio-spectrogram-transformer": ["embeddings"],
    "wav2vec2-bert": ["feature_projection"],
    "whisper": ["conv1", "conv2"],
}
BOTH = ("features", "backbone")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that writes a tiny checkpoint with every kind of noise in it, once."""
    written: dict[str, Path] = {}

    def write(family: str) -> Path:
        if family not in written:
            folder = tmp_path_factory.mktemp(family)
            names = ("hidden_dropout", "hidden_dropout_prob", "dropout")  # a family has one of them
            loud = {"mask_time_prob": 0.3, "mask_time_length": 2, **dict.fromkeys(names, 0.5)}
            written[family] = write_tiny_checkpoint(family, folder, **loud)
        return written[family]

    return write


def load(folder: Path, what: Any, **more: Any) -> tuple[AudioModel, ModelConfig]:  # noqa: ANN401
    torch.manual_seed(0)
    cfg = ModelConfig(model=str(folder), freeze=what, **more)
    return load_for_training(open_checkpoint(cfg), AudioConfig(max_seconds=1.0), ("a", "b")), cfg


def make_waves() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(9600).astype(np.float32) for _ in range(4)]


def take_steps(audio_model: AudioModel) -> None:
    """Three steps of training at a rate that moves everything that can move."""
    model = audio_model.model
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=0.1, weight_decay=0.1)
    for _ in range(3):
        model.train()
        logits = model(**audio_model.processor(make_waves())).logits
        cross_entropy_per_clip(logits, torch.tensor([0, 1, 0, 1])).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("what", BOTH)
@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_parts_are_the_same_bit_for_bit_after_training_and_the_rest_moved(
    family: str, what: str, checkpoint: Callable[[str], Path]
) -> None:
    audio_model, cfg = load(checkpoint(family), what)
    frozen = freeze(audio_model, cfg)
    base = next(iter(frozen.modules)).split(".")[0]
    front = [f"{base}.{name}" for name in FRONTS.get(family, ["feature_extractor"])]
    assert list(frozen.modules) == (front if what == "features" else [base])
    assert frozen.end == list(frozen.modules)[-1]
    before = copy.deepcopy(audio_model.model.state_dict())
    take_steps(audio_model)
    still = set()
    for name, value in audio_model.model.state_dict().items():
        if name.startswith(tuple(f"{part}." for part in frozen.modules)):
            assert torch.equal(value, before[name]), name
            still.add(name)
    moved = {n for n, v in audio_model.model.state_dict().items() if not torch.equal(v, before[n])}
    assert len(still) >= 2
    assert any(name.startswith("classifier.") for name in moved)
    assert (what == "features") == any(name.startswith(f"{base}.") for name in moved)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_frozen_backbone_is_in_eval_mode_and_saves_no_activations(
    family: str, checkpoint: Callable[[str], Path]
) -> None:
    loud, _ = load(checkpoint(family), "none")
    assert not torch.equal(*_hear_twice(loud))
    audio_model, cfg = load(checkpoint(family), "backbone")
    frozen = freeze(audio_model, cfg)
    (part,) = frozen.modules.values()
    depth, kept = [0], [0, 0]  # tensors kept outside and inside of the frozen part

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[min(depth[0], 1)] += 1
        return tensor

    part.register_forward_pre_hook(lambda *_: depth.__setitem__(0, 1))
    part.register_forward_hook(lambda *_: depth.__setitem__(0, 0))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        one, other = _hear_twice(audio_model)
    assert torch.equal(one, other)
    assert kept[0] > 0
    assert kept[1] == 0


def _hear_twice(audio_model: AudioModel) -> list[torch.Tensor]:
    """What the last layer gives on the same clips, twice, in training."""
    audio_model.model.train()
    inputs = audio_model.processor(make_waves())
    return [audio_model.model(**inputs).logits for _ in range(2)]


def test_frozen_convolutions_keep_no_tensor_while_the_transformer_goes_on_masking(
    checkpoint: Callable[[str], Path],
) -> None:
    audio_model, cfg = load(checkpoint("hubert"), "features")
    frozen = freeze(audio_model, cfg)
    audio_model.model.train()
    outputs: list[torch.Tensor] = []
    front: Any = frozen.modules["hubert.feature_extractor"]
    front.register_forward_hook(lambda *given: outputs.append(given[-1]))
    one, other = _hear_twice(audio_model)
    assert [output.requires_grad for output in outputs] == [False, False]
    assert torch.equal(*outputs)
    assert not torch.equal(one, other)
    assert not front.training
    assert audio_model.model.base_model.training


def test_modules_are_unfrozen_in_their_epoch_and_frozen_before_it(
    checkpoint: Callable[[str], Path],
) -> None:
    audio_model, cfg = load(checkpoint("whisper"), "features", unfreeze_after_epochs=2)
    learning = {name for name, p in audio_model.model.named_parameters() if p.requires_grad}
    frozen = freeze(audio_model, cfg)
    conv: Any = audio_model.model.get_submodule("encoder.conv1")
    for epoch, awake in ((0, False), (1, False), (2, True), (5, True), (0, False), (2, True)):
        frozen.set_epoch(epoch)
        audio_model.model.train()
        assert conv.training == conv.weight.requires_grad == awake
    assert learning == {name for name, p in audio_model.model.named_parameters() if p.requires_grad}


def test_the_copy_of_a_frozen_model_is_frozen_independently(
    checkpoint: Callable[[str], Path],
) -> None:
    audio_model, cfg = load(checkpoint("hubert"), "backbone", unfreeze_after_epochs=1)
    frozen = freeze(audio_model, cfg)
    frozen.set_epoch(0)
    twin: Any = copy.deepcopy(audio_model.model)
    frozen.set_epoch(1)
    for model in (twin, audio_model.model):
        model.train()
    assert not any(module.training for module in twin.hubert.modules())
    assert all(module.training for module in audio_model.model.modules())


def test_nothing_to_unfreeze_is_refused() -> None:
    with pytest.raises(SettingError, match=r"--unfreeze-after-epochs 2 .* --freeze features"):
        RunConfig.from_flat({"unfreeze_after_epochs": 2})


def test_a_run_with_a_frozen_backbone_saves_the_given_weights(
    tone_folder: Path, tmp_path: Path, checkpoint: Callable[[str], Path]
) -> None:
    from safetensors.torch import load_file

    folder = checkpoint("wav2vec2-conformer")  # batch norm, dropout, layerdrop and masks
    settings = {"freeze": "backbone", "ema_decay": 0.9, "weight_decay": 0.1}
    run = set_up(make_config(tone_folder, folder, tmp_path / "run", **settings))
    train(run)
    saved, given = (load_file(path / "model.safetensors") for path in (tmp_path / "run", folder))
    pairs = {f"wav2vec2_conformer.{name}": value for name, value in given.items()}
    shared = [name for name in pairs if name in saved]
    assert len(shared) > 30
    assert all(torch.equal(saved[name], pairs[name]) for name in shared)
    assert len(list(csv.DictReader((tmp_path / "run" / "summary.csv").open()))) == 1
