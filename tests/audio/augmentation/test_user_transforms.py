"""Tests of --augment: a user's own transforms, from their import to a finished run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from datasets import Dataset, Features, List, Value
from sounds import make_tone
from tiny_runs import make_config, prepare, set_up, write_quiet_checkpoint

from audio_cls.audio.augmentation.augmenter import make_augmenter
from audio_cls.audio.augmentation.user_transforms import (
    UserTransform,
    check_user_transforms,
    load_factory,
)
from audio_cls.cli.options.config_options import settings_command
from audio_cls.config import AudioConfig, AugmentConfig, HubConfig, RunConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.loading.batch import Batch
from audio_cls.data.loading.datasets import TrainingDataset
from audio_cls.data.loading.loaders import make_training_loader
from audio_cls.data.loading.sampler import DistributedBatchSampler, StepShape
from audio_cls.errors import RunFolderError, SettingError, TransformError
from audio_cls.models.feature_cache.precompute import find_changing_crops
from audio_cls.publishing.hub.files import gather_files
from audio_cls.runs.config_file import check_same_settings
from audio_cls.training.loop import train
from audio_cls.workflows.train import run_training

RATE = 16_000
MODULE = """
import random

import numpy as np

NOT_CALLABLE = 3
STATE = []


def fade(sampling_rate):
    length = sampling_rate // 100  # 10 ms

    def apply(wave, rng):  # a closure, which cannot be pickled
        ramp = np.minimum(np.arange(len(wave)) / length, 1) ** rng.uniform(1, 2)
        return (wave * ramp).astype(np.float32)

    return apply


def halve(sampling_rate):
    return lambda wave, rng: wave / 2


def in_place(sampling_rate):
    def apply(wave, rng):
        wave *= 0
        return wave

    return apply


def no_transform(sampling_rate):
    return None


def raise_at_once(sampling_rate):
    raise ValueError("only 8k")


def one_buffer(sampling_rate):
    buffer = np.zeros(2**20, np.float32)

    def apply(wave, rng):
        output = buffer[: len(wave)]
        output[:] = wave * rng.uniform(0.5, 1.5)
        return output

    return apply


def double_precision(sampling_rate):
    return lambda wave, rng: wave * np.float64(0.5)


def shorten(sampling_rate):
    return lambda wave, rng: wave[1:]


def a_list(sampling_rate):
    return lambda wave, rng: wave.tolist()


def not_finite(sampling_rate):
    return lambda wave, rng: wave + np.float32("nan")


def fail(sampling_rate):
    return lambda wave, rng: wave.missing


def global_generator(sampling_rate):
    return lambda wave, rng: wave * np.float32(random.random())


def keep_state(sampling_rate):
    def apply(wave, rng):
        STATE.append(0)
        return wave * np.float32(len(STATE))

    return apply


def fail_on_short(sampling_rate):
    return lambda wave, rng: wave if len(wave) > 5000 else wave[:-1]
"""


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Write the module into an empty current folder; return its name."""
    folder = tmp_path / "current"
    folder.mkdir()
    (folder / "my_augment.py").write_text(MODULE)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "my_augment"
    for module in ("my_augment", "half_written"):
        sys.modules.pop(module, None)


def pad_waves(waves: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    """Stack waves as the simplest processor does."""
    tensors = [torch.from_numpy(wave) for wave in waves]
    return {"input_values": torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)}


def make_rng(seed: int = 0) -> np.random.Generator:
    """Return a generator."""
    return np.random.default_rng(seed)


def list_batches(
    cfg: AugmentConfig, *, workers: int = 0, context: str | None = None
) -> list[Batch]:
    """Return the batches of one epoch over six clips, the last of which is short."""
    waves = [make_tone(300 + 100 * n, 0.4 if n < 5 else 0.2, RATE, seed=n) for n in range(6)]
    table = Dataset.from_dict({"wave": waves}, features=Features({"wave": List(Value("float32"))}))
    rows, lengths = np.arange(6), np.array([len(wave) for wave in waves])
    names = np.array([f"clip-{n}.wav" for n in rows])
    clips = Clips(table, rows, rows % 3, names, lengths, RATE)
    dataset = TrainingDataset(clips, AudioConfig(), 3, make_augmenter(cfg, RATE, 3))
    sampler = DistributedBatchSampler(6, StepShape(2, 1, 1), rank=0, seed=3)
    loader = make_training_loader(dataset, sampler, pad_waves, workers)
    if context is not None:
        loader.multiprocessing_context = context
    return [batch for one in loader for batch in one]


def test_a_factory_of_the_current_folder_gets_the_sampling_rate(name: str) -> None:
    fade = UserTransform(f"{name}:fade", 8_000)
    faded = fade(np.ones(200, np.float32), make_rng())
    power = make_rng().uniform(1, 2)
    np.testing.assert_allclose(faded[:80], (np.arange(80) / 80) ** power, rtol=1e-6)
    assert (faded[80:] == 1).all()


def test_a_file_of_the_current_folder_replaces_no_installed_module(name: str) -> None:
    Path("operator.py").write_text("raise SystemExit('must not be run')")
    assert load_factory("operator:neg")(3) == -3  # type: ignore[comparison-overlap]
    load_factory(f"{name}:fade")
    assert sys.path.index(str(Path.cwd())) == len(sys.path) - 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("no_such_module:fade", r"there is no module 'no_such_module'.*current folder.*correct"),
        ("my_augment.deep:fade", r"there is no module 'my_augment.deep'"),
        ("half_written:fade", r"it imports 'not_installed', which is not installed\. Install it"),
        ("my_augment:fad", r"my_augment\.py has no function 'fad'; it has fade, .*mean fade\?"),
        ("my_augment:NOT_CALLABLE", r"has no function 'NOT_CALLABLE'"),
        ("my_augment:no_transform", r"returned NoneType, which is not a transform\. Return a func"),
    ],
)
def test_what_cannot_be_imported_is_refused(name: str, given: str, message: str) -> None:
    Path("half_written.py").write_text("import not_installed")
    with pytest.raises(SettingError, match=message):
        check_user_transforms((given,))


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("double_precision", r"returned float64 \(16000,\) for a float32 wave of shape \(16000,\)"),
        ("shorten", r"returned float32 \(15999,\) for a float32 wave"),
        ("a_list", r"returned list for"),
        ("not_finite", r"NaN or infinite samples\. Return finite"),
        ("fail", r"failed \(AttributeError: .*'missing', .*my_augment\.py:\d+\)\. Correct it"),
        ("global_generator", r"two results for the same wave.*all random numbers from the gen"),
        ("keep_state", r"two results for the same wave.*no state between calls"),
    ],
)
def test_a_transform_is_tried_before_the_run(name: str, factory: str, message: str) -> None:
    with pytest.raises(TransformError, match=f"^--augment {name}:{factory} .*{message}"):
        check_user_transforms((f"{name}:halve", f"{name}:{factory}"))


@pytest.mark.parametrize("given", ["fade", "my_augment.py:fade()", "../my:fade", ":f", "m:", "1:f"])
def test_anything_but_module_and_factory_is_refused(given: str) -> None:
    with pytest.raises(SettingError, match=r"must be MODULE:FACTORY, such as my_augment:reverb"):
        AugmentConfig(augment=(given,))


def test_transforms_follow_the_others_in_their_order(name: str) -> None:
    cfg = AugmentConfig(gain_db=6, augment=(f"{name}:halve", f"{name}:in_place"))
    augmenter = make_augmenter(cfg, RATE, 3)
    assert augmenter is not None
    wave = make_tone(300, 0.1)
    assert not augmenter.sample(0, 0, 0, 9).apply(wave.copy()).any()
    halved = make_augmenter(AugmentConfig(gain_db=6, augment=(f"{name}:halve",)), RATE, 3)
    louder = make_augmenter(AugmentConfig(gain_db=6), RATE, 3)
    assert halved is not None and louder is not None
    one, other = (each.sample(0, 0, 0, 9).apply(wave) for each in (halved, louder))
    np.testing.assert_array_equal(one, other / 2)


def test_a_transform_has_a_probability(name: str) -> None:
    cfg = AugmentConfig(augment=(f"{name}:halve",), augment_p=(f"{name}:halve=0.3",))
    augmenter = make_augmenter(cfg, RATE, 3)
    assert augmenter is not None
    wave = np.ones(4, np.float32)
    halved = [augmenter.sample(0, 0, n, 9).apply(wave)[0] == 0.5 for n in range(1000)]
    assert np.mean(halved) == pytest.approx(0.3, abs=0.045)  # 3 standard deviations
    with pytest.raises(SettingError, match=r"'my_augment:fade' is not in use"):
        AugmentConfig(augment=(f"{name}:halve",), augment_p=(f"{name}:fade=0.3",))


@pytest.mark.parametrize(("context", "workers"), [("fork", 2), ("spawn", 1)])
def test_loader_processes_change_nothing(name: str, context: str, workers: int) -> None:
    cfg = AugmentConfig(augment=(f"{name}:fade",), augment_p=(f"{name}:fade=0.7",))
    alone = list_batches(cfg)
    plain = list_batches(AugmentConfig())
    both = list_batches(cfg, workers=workers, context=context)
    for one, other in zip(alone, both, strict=True):
        assert torch.equal(one.inputs["input_values"], other.inputs["input_values"])
    assert not torch.equal(alone[0].inputs["input_values"], plain[0].inputs["input_values"])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_in_training_names_the_clip_and_the_transform(name: str, workers: int) -> None:
    check_user_transforms((f"{name}:fail_on_short",))
    with pytest.raises(TransformError) as caught:
        list_batches(AugmentConfig(augment=(f"{name}:fail_on_short",)), workers=workers)
    assert str(caught.value) == (  # without the traceback of a loader process
        f"Clip 'clip-5.wav': --augment {name}:fail_on_short returned float32 (3199,) for a float32"
        " wave of shape (3200,). Return float32 samples of the same shape."
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny HuBERT without dropout."""
    return write_quiet_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def train_to_end(tone_folder: Path, checkpoint: Path, run: Path, **changes: Any) -> Any:  # noqa: ANN401
    """Train six steps; return the weights."""
    values = {"max_steps": 6, "max_train_samples": 24, "scheduler": "constant", **changes}
    trained = set_up(make_config(tone_folder, checkpoint, run, **values))
    train(trained)
    return {key: value.clone() for key, value in trained.model.state_dict().items()}


def test_a_run_with_a_transform_goes_on_bit_for_bit(
    name: str, tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"augment": (f"{name}:fade",), "save_every_steps": 2}
    whole = train_to_end(tone_folder, checkpoint, tmp_path / "run", keep_checkpoints=9, **changes)
    plain = train_to_end(tone_folder, checkpoint, tmp_path / "plain")
    assert not all(torch.equal(whole[key], plain[key]) for key in whole)
    middle = str(tmp_path / "run" / "checkpoints" / "step-2")
    again = train_to_end(
        tone_folder, checkpoint, tmp_path / "run",
        keep_checkpoints=9, resume=middle, num_workers=2, **changes,
    )  # fmt: skip
    assert all(torch.equal(whole[key], again[key]) for key in whole)
    other = make_config(tone_folder, checkpoint, tmp_path / "run", max_train_samples=24)
    with pytest.raises(RunFolderError, match=r"--augment \['my_augment:fade'\] is now \[\]"):
        check_same_settings(tmp_path / "run", other)


def test_a_finished_run_names_its_transforms_and_keeps_no_code(
    name: str, tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    own = {"augment": (f"{name}:fade",), "augment_p": (f"{name}:fade=0.5",)}
    cfg = make_config(
        tone_folder, checkpoint, run, max_steps=2, max_train_samples=12, max_eval_samples=8, **own
    )
    run_training(cfg)
    settings = yaml.safe_load((run / "run_config.yaml").read_text())["augment"]
    assert settings["augment"] == [f"{name}:fade"]
    assert settings["augment_p"] == [f"{name}:fade=0.5"]
    results = json.loads((run / "results.json").read_text())
    assert results["user_transforms"] == [f"{name}:fade"]
    assert not list(run.rglob("*.py"))
    files = gather_files(run, "ann/model", HubConfig())
    assert not [file for file in files if file.endswith(".py")]
    published = json.loads(bytes(files["results.json"]))  # type: ignore[arg-type]
    assert published["user_transforms"] == [f"{name}:fade"]
    card = (run / "README.md").read_text()
    assert f"| `--augment` | `{name}:fade` |" in card
    assert f"- Not published: the code of `{name}:fade`." in card


def test_a_transform_forbids_the_feature_cache_of_training_clips(
    name: str, tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    reasons = []
    for augment in ((), (f"{name}:fade",)):
        cfg = make_config(
            tone_folder, checkpoint, tmp_path / "run", freeze="features", crop="start",
            augment=augment,
        )  # fmt: skip
        clips, _ = prepare(cfg)
        reasons.append(find_changing_crops(cfg, clips.train))
    assert [reason is None for reason in reasons] == [True, False]


def test_a_run_is_refused_before_its_data_are_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()  # which would be refused, too
    cfg = make_config(tmp_path / "empty", tmp_path, tmp_path / "run", augment=(f"{name}:fail",))
    with pytest.raises(TransformError, match="failed"):
        run_training(cfg)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("case", ["own", "record", "beside a model", "below a model"])
def test_a_preset_that_comes_with_a_model_cannot_run_code(case: str, tmp_path: Path) -> None:
    seen: list[tuple[str, ...]] = []

    @settings_command()
    def command(cfg: RunConfig) -> None:
        seen.append(cfg.augment.augment)

    tree: dict[str, Any] = {"data": {"dataset": "x"}, "augment": {"augment": ["evil:code"]}}
    if case == "record":
        tree["record"] = {"command": "train.py"}
    if "model" in case:
        (tmp_path / "config.json").touch()
    preset = tmp_path / ("presets/p.yaml" if case == "below a model" else "p.yaml")
    preset.parent.mkdir(exist_ok=True)
    preset.write_text(yaml.safe_dump(tree))
    answer = CliRunner().invoke(command, ["--preset", str(preset)])
    if case == "own":
        assert answer.exit_code == 0, answer.output
        assert seen == [("evil:code",)]
        return
    assert answer.exit_code == 2
    assert "Read the code, then add --augment evil:code to" in " ".join(answer.output.split())
    for given in ("", "mine:code", "evil:code"):
        answer = CliRunner().invoke(command, ["--preset", str(preset), "--augment", given])
        assert answer.exit_code == 0, answer.output
    assert seen == [(), ("mine:code",), ("evil:code",)]


def test_a_transform_may_use_one_buffer_for_all_clips(name: str) -> None:
    transform = UserTransform(f"{name}:one_buffer", 16_000)
    waves = [np.full(10, value, np.float32) for value in (1.0, 2.0)]
    first, second = (transform(wave, np.random.default_rng(0)) for wave in waves)
    assert not np.shares_memory(first, second) and (2 * first == second).all()


def test_a_factory_that_fails_is_one_line(name: str) -> None:
    with pytest.raises(SettingError, match=r"raise_at_once could not be made .* only 8k"):
        UserTransform(f"{name}:raise_at_once", 16_000)
