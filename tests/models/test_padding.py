"""A clip trains as if it were alone, whatever clips share its batch, and however it is stored."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List, Value
from tiny_models import FAMILIES, write_tiny_checkpoint
from tiny_outside import OUTSIDE, write_tiny_outside
from torch import nn

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.loading.batch import Example, collate
from audio_cls.data.loading.datasets import TrainingDataset
from audio_cls.data.loading.loaders import make_training_loader
from audio_cls.data.loading.sampler import DistributedBatchSampler, SamplingSpec, StepShape
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.load import load_for_training

RATE = 16_000
BFLOAT16 = 0.05  # tolerance: each value is rounded by up to 1 / 512
SECONDS = (1.0, 2.0, 10.0)
NO_DROPOUT = {  # no dropout of any kind, in any family
    "hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0, "feat_quantizer_dropout": 0.0, "final_dropout": 0.0,
    "layerdrop": 0.0, "apply_spec_augment": False, "hidden_dropout_prob": 0.0, "dropout": 0.0,
    "attention_probs_dropout_prob": 0.0, "encoder_layerdrop": 0.0, "conformer_conv_dropout": 0.0,
}  # fmt: skip
NORMS = [(family, norm) for family in FAMILIES for norm in (None, "layer")]


def make_waves(seconds: tuple[float, ...]) -> list[np.ndarray]:
    """Return a tone in noise for each length, each with its own mean and loudness."""
    rng = np.random.default_rng(0)
    waves = []
    for number, length in enumerate(seconds, start=1):
        time = np.arange(round(length * RATE)) / RATE
        tone = np.sin(2 * np.pi * 200 * number * time)
        wave = 0.1 * number * (tone + 0.3 * rng.standard_normal(len(time)))
        waves.append((wave + 0.01).astype(np.float32))
    return waves


def load(folder: Path) -> AudioModel:
    """Load a classifier of three labels in training mode, without dropout."""
    torch.manual_seed(0)
    audio_model = load_for_training(
        open_checkpoint(ModelConfig(model=str(folder))),
        AudioConfig(max_seconds=10.0),
        ("a", "b", "c"),
    )
    head: Any = audio_model.model.classifier
    nn.init.normal_(getattr(head, "dense", head).weight)  # the logits tell clips apart
    return disable_dropout(audio_model)


def disable_dropout(audio_model: AudioModel) -> AudioModel:
    """Set training mode without dropout of any kind, and with batch norm at rest."""
    audio_model.model.train()
    for module in audio_model.model.modules():
        if hasattr(module, "config"):
            module.config.speech_encoder_layerdrop = 0.0
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()  # its statistics are of a batch, by its nature
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in ("dropout", "attention_dropout", "activation_dropout", "layerdrop"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return audio_model


def train(audio_model: AudioModel, waves: list[np.ndarray]) -> tuple[torch.Tensor, dict[str, Any]]:
    """Return the logits of a pass, in the order of the clips, and the gradient of its loss."""
    pieces = [
        Example(wave, number % 3, number, 1 / len(SECONDS)) for number, wave in enumerate(waves)
    ]
    parts = collate(
        pieces,
        audio_model.processor,
        equal_lengths=not audio_model.processor.input_spec.trains_padded,
    )
    audio_model.model.zero_grad()
    rows: dict[int, torch.Tensor] = {}
    for part in parts:
        logits = audio_model.model(**part.inputs).logits
        losses = nn.functional.cross_entropy(logits, part.labels, reduction="none")
        (losses * part.weights).sum().backward()
        rows |= dict(zip(part.numbers.tolist(), logits.detach(), strict=True))
    gradients = {
        name: weight.grad.clone()
        for name, weight in audio_model.model.named_parameters()
        if weight.grad is not None
    }
    return torch.stack([rows[number] for number in range(len(waves))]), gradients


def check_gradients(
    found: dict[str, Any], expected: dict[str, torch.Tensor], *, is_bf16: bool = False
) -> None:
    """Compare the gradients of all weights: each value, in bfloat16 the norm of the difference."""
    assert found.keys() == expected.keys()
    if is_bf16:
        pairs = [(found[name], grad) for name, grad in expected.items()]
        squares = [((one - grad).square().sum(), grad.square().sum()) for one, grad in pairs]
        difference, size = (float(sum(part)) ** 0.5 for part in zip(*squares, strict=True))
        assert difference < BFLOAT16 * size
        return
    largest = max(float(grad.abs().max()) for grad in expected.values())
    assert largest > 0
    for name, grad in expected.items():
        scale = max(float(grad.abs().max()), 1e-3 * largest)
        assert float((found[name] - grad).abs().max()) < 2e-3 * scale, name


def check_alone_and_together(
    audio_model: AudioModel, seconds: tuple[float, ...] = SECONDS, *, is_bf16: bool = False
) -> None:
    """Compare three clips, each alone, with the three in one pass."""
    waves = make_waves(seconds)
    together, gradients = train(audio_model, waves)
    total: dict[str, torch.Tensor] = {}
    for number, wave in enumerate(waves):
        labelled = [Example(wave, number % 3, 0, 1 / len(SECONDS))]
        (part,) = collate(labelled, audio_model.processor)
        audio_model.model.zero_grad()
        logits = audio_model.model(**part.inputs).logits
        within = BFLOAT16 if is_bf16 else 1e-4
        torch.testing.assert_close(together[number], logits[0].detach(), rtol=within, atol=within)
        loss = nn.functional.cross_entropy(logits, part.labels) * part.weights[0]
        loss.backward()
        for name, weight in audio_model.model.named_parameters():
            if weight.grad is not None:
                total[name] = total.get(name, torch.zeros_like(weight)) + weight.grad
    check_gradients(gradients, total, is_bf16=is_bf16)


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_so_it_has_in_bfloat16_within_its_rounding(norm: str, tmp_path: Path) -> None:
    changes = {**NO_DROPOUT, "feat_extract_norm": norm}
    audio_model = load(write_tiny_checkpoint("wav2vec2", tmp_path, **changes))
    with torch.autocast("cpu", torch.bfloat16):
        check_alone_and_together(audio_model, (0.3, 0.5, 0.8), is_bf16=True)


@pytest.mark.parametrize(("family", "norm"), NORMS)
def test_a_clip_has_the_same_gradient_alone_and_with_longer_ones(
    family: str, norm: str | None, tmp_path: Path
) -> None:
    changes = {} if norm is None else {"feat_extract_norm": norm}
    check_alone_and_together(load(write_tiny_checkpoint(family, tmp_path, **NO_DROPOUT, **changes)))


@pytest.mark.parametrize("kind", OUTSIDE)
def test_so_it_does_below_a_pooled_head(kind: str, tmp_path: Path) -> None:
    write_tiny_outside(kind, tmp_path)
    torch.manual_seed(0)
    longest = 2.0 if kind == "clap" else 10.0
    audio_model = load_for_training(
        open_checkpoint(ModelConfig(model=str(tmp_path))),
        AudioConfig(max_seconds=longest),
        ("a", "b", "c"),
    )
    check_alone_and_together(
        disable_dropout(audio_model), (0.2, 0.5, 1.0) if kind == "clap" else SECONDS
    )


@pytest.mark.parametrize("family", ["hubert", "sew", "hubert in bfloat16"])
def test_sixteen_clips_of_one_process_are_the_step_of_two_with_eight(
    family: str, tmp_path: Path
) -> None:
    family, _, precision = family.partition(" in ")
    longest = 0.5 if precision else 3.0  # most processors emulate it
    audio_model = load(write_tiny_checkpoint(family, tmp_path, **NO_DROPOUT))
    waves = make_waves(tuple(np.random.default_rng(1).uniform(0.03, longest, 16)))
    table = Dataset.from_dict({"wave": waves}, features=Features({"wave": List(Value("float32"))}))
    rows = np.arange(16)
    lengths = np.array([len(wave) for wave in waves])
    clips = Clips(table, rows, rows % 3, rows.astype(str), lengths, RATE)
    spec = SamplingSpec(equal_lengths=not audio_model.processor.input_spec.trains_padded)
    steps = []
    for shape in (StepShape(16, 1, 1), StepShape(8, 1, 2), StepShape(1, 16, 1)):
        audio_model.model.zero_grad()
        total = 0.0
        for rank in range(shape.num_processes):  # whose gradients are added up
            order = DistributedBatchSampler(16, shape, rank=rank, seed=0, spec=spec)
            dataset = TrainingDataset(clips, AudioConfig(max_seconds=5.0), order.seed)
            loader = make_training_loader(
                dataset, order, audio_model.processor, 0, equal_lengths=spec.equal_lengths
            )
            for batch in next(order.group_steps(loader)):
                with torch.autocast("cpu", torch.bfloat16, enabled=bool(precision)):
                    logits = audio_model.model(**batch.inputs).logits
                losses = nn.functional.cross_entropy(logits.float(), batch.labels, reduction="none")
                loss = (losses * batch.weights).sum()
                loss.backward()
                total += float(loss.detach())
        steps.append((total, {n: w.grad.clone() for n, w in audio_model.model.named_parameters()
                              if w.grad is not None}))  # fmt: skip
    loss, gradients = steps[0]
    for other, found in steps[1:]:
        assert other == pytest.approx(loss, abs=BFLOAT16 / 10 if precision else 1e-5)
        check_gradients(found, gradients, is_bf16=bool(precision))


def test_a_batch_of_one_length_needs_no_mask_and_one_of_several_does(tmp_path: Path) -> None:
    audio_model = load(write_tiny_checkpoint("wavlm", tmp_path))
    short, long = make_waves((0.5, 0.75))
    assert list(audio_model.processor([short, short])) == ["input_values"]
    inputs = audio_model.processor([short, long])
    assert inputs["attention_mask"].sum(dim=1).tolist() == [8000, 12_000]


def test_copies_and_models_that_are_interrupted_forget_the_lengths(tmp_path: Path) -> None:
    audio_model = load(write_tiny_checkpoint("hubert", tmp_path, **NO_DROPOUT))
    twin: Any = copy.deepcopy(audio_model.model)
    with torch.no_grad():
        for name, weight in twin.named_parameters():
            if "conv_layers" in name:
                weight.zero_()
    inputs = audio_model.processor(make_waves((0.5, 0.75)))
    own: Any = audio_model.model
    expected = own(**inputs).logits
    twin(**inputs)
    torch.testing.assert_close(own(**inputs).logits, expected)
    hook = own.hubert.encoder.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        own(**inputs)
    hook.remove()
    front = own.hubert.feature_extractor
    padded = front(inputs["input_values"])  # called by itself, it knows no lengths
    assert padded.shape == (2, 16, 37)
    assert bool((padded[0, :, -1] != 0).any())
