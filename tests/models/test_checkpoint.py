"""Tests of audio_cls.models.checkpoint, and of loading saved weights into a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import FAMILIES, write_tiny_checkpoint
from tiny_outside import OUTSIDE, write_tiny_outside
from tiny_runs import make_config
from transformers import AutoConfig, AutoFeatureExtractor

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import ModelError
from audio_cls.models import checkpoint as checkpoint_module
from audio_cls.models import checkpoint_files
from audio_cls.models import load as load_module
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.load import load_for_inference, load_for_training
from audio_cls.storage import cache
from audio_cls.workflows import train as workflow

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "ema": {"ema_decay": 0.9},
    "lora": {"lora_rank": 2, "ema_decay": 0.9},
    "cached features": {"freeze": "backbone", "crop": "start"},
    "pooled head": {},
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what opens or probes a checkpoint."""
    counter: Counter[str] = Counter()

    def count(owner: Any, name: str, key: str) -> None:  # noqa: ANN401
        original = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            counter[key] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    count(AutoConfig, "from_pretrained", "configuration")
    count(AutoFeatureExtractor, "from_pretrained", "feature extractor")
    count(checkpoint_module, "locate_checkpoint", "location")
    count(checkpoint_module, "pin_commit", "commit")
    count(load_module, "probe_input_spec", "probe")
    return counter


@pytest.mark.parametrize("case", CASES)
def test_a_run_opens_and_probes_its_checkpoint_once_and_tests_the_best_weights(
    case: str,
    calls: Counter[str],
    tone_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if case == "lora":
        pytest.importorskip("peft")
    monkeypatch.setattr(cache, "cache_root", lambda: tmp_path / "caches")
    write = write_tiny_outside if case == "pooled head" else write_tiny_checkpoint
    folder = write("moonshine" if case == "pooled head" else "hubert", tmp_path / "given")
    tested: dict[str, torch.Tensor] = {}
    score_test = workflow.score_test

    def spy(scorer: Any, model: Any, *others: Any) -> Any:  # noqa: ANN401
        tested.update({name: value.clone() for name, value in model.state_dict().items()})
        return score_test(scorer, model, *others)

    monkeypatch.setattr(workflow, "score_test", spy)
    cfg = make_config(
        tone_folder, folder, tmp_path / "run", epochs=3, learning_rate=0.1,
        max_train_samples=12, max_eval_samples=8, num_workers=0, **CASES[case],
    )  # fmt: skip
    workflow.run_training(cfg)
    assert calls == dict.fromkeys(
        ("configuration", "feature extractor", "location", "commit", "probe"), 1
    )
    best = load_for_inference(tmp_path / "run").model.state_dict()
    assert best.keys() == tested.keys()
    assert all(torch.equal(best[name], tested[name]) for name in best)


@pytest.mark.parametrize(
    ("write", "kind"),
    [(write_tiny_checkpoint, one) for one in FAMILIES]
    + [(write_tiny_outside, one) for one in sorted(OUTSIDE)],
)
def test_saved_weights_are_loaded_back_bit_for_bit(
    write: Callable[[str, Path], Path], kind: str, tmp_path: Path
) -> None:
    opened = open_checkpoint(ModelConfig(model=str(write(kind, tmp_path / "given"))))
    model = load_for_training(opened, AudioConfig(max_seconds=1.0), ("a", "b"))
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    assert len(before) > 10
    model.save(tmp_path / "saved")
    with torch.no_grad():
        for weight in model.model.parameters():
            weight.fill_(7.0)
    model.load_state(tmp_path / "saved")
    after = model.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_checkpoint_can_be_loaded_twice(tmp_path: Path) -> None:
    opened = open_checkpoint(ModelConfig(model=str(write_tiny_checkpoint("whisper", tmp_path))))
    first, second = (
        load_for_training(opened, AudioConfig(max_seconds=seconds, normalize=True), labels)
        for seconds, labels in ((1.0, ("a", "b")), (3.0, ("x", "y", "z")))
    )
    assert (first.labels, second.labels) == (("a", "b"), ("x", "y", "z"))
    assert first.processor.input_spec.max_samples == 16_000
    assert second.processor.input_spec.max_samples == 48_000
    assert not getattr(opened.extractor, "do_normalize", False)


def test_causes_of_an_error_that_form_a_circle_are_listed_once() -> None:
    first, second = OSError("one"), ValueError("two")
    first.__cause__, second.__cause__ = second, first
    assert checkpoint_files._list_types(first) == {"OSError", "ValueError"}


def test_a_folder_with_a_configuration_and_no_weights_is_one_clear_line(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint("wav2vec2", tmp_path / "model")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has a config\.json and no weights") as caught:
        load_for_inference(folder)
    assert "\n" not in str(caught.value) and "Error no file" not in str(caught.value)
