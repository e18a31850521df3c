"""The Hub fails at every request in turn: right data, or one error; never half of something.

Data set as parquet and as a folder of clips, checkpoint: the real client against the Hub on
loopback. Pushes: `tests/publishing/hub/test_push.py` and `test_kills.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import datasets
import huggingface_hub
import pytest
from fault_cases import count_survivors
from hub_datasets import load, make_parquet, make_sounds, make_wav
from hub_server import HubServer
from huggingface_hub import HfApi
from safetensors.torch import load_file, save_file
from tiny_models import write_tiny_checkpoint
from torch import nn

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import AudioClsError
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.load import load_for_training

pytestmark = pytest.mark.usefixtures("data_hub", "quick_retries", "own_caches")
STATUSES = (401, 403, 404, 409, 412, 429, 500, 503)
MAX_REQUESTS = 8  # of one download; a fault is at each of them in turn


@pytest.fixture
def own_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start each test without anything that was downloaded before."""
    _use_caches(monkeypatch, tmp_path)


def _use_caches(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 5)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "datasets")
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", folder / "downloads")


def _seed_parquet(hub: HubServer, start: int = 0) -> None:
    table = {"audio": make_sounds(6, start), "label": ["a", "b"] * 3}
    hub.seed("datasets", "tester/table", {"data/train-00000-of-00001.parquet": make_parquet(table)})


def _seed_folder(hub: HubServer) -> None:
    clips: dict[str, bytes | str | Path] = {
        f"{label}/{number}.wav": make_wav(number) for number, label in enumerate(["dog", "cat"] * 3)
    }
    hub.seed("datasets", "tester/folder", clips)


def _read_clips(name: str) -> list[object]:
    """Load a data set; return its labels and sounds."""
    table = load(name).splits["train"]
    cells = [cell.get("bytes") or Path(cell["path"]).read_bytes() for cell in table["audio"]]
    return [table["label"][:], cells]


def _add_up(model: nn.Module) -> list[object]:
    """Return a sum of each weight of the encoder; the head is new."""
    named = model.hubert.named_parameters()  # type: ignore[operator,union-attr]
    return [float(value.detach().sum()) for _, value in named]


def _read_weights(name: str) -> list[object]:
    """Load a checkpoint; return a sum of each weight."""
    audio_model = load_for_training(open_checkpoint(ModelConfig(name)), AudioConfig(), ["a", "b"])
    return _add_up(audio_model.model)


READ: dict[str, Callable[[str], list[object]]] = {
    "tester/table": _read_clips, "tester/folder": _read_clips, "tester/model": _read_weights,
}  # fmt: skip


@pytest.fixture(scope="module")
def seeded(one_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> HubServer:
    """Put all three on the Hub."""
    _seed_parquet(one_hub)
    _seed_folder(one_hub)
    one_hub.seed(
        "models", "tester/model", write_tiny_checkpoint("hubert", tmp_path_factory.mktemp("m"))
    )
    return one_hub


@pytest.mark.parametrize("name", READ)
def test_a_download_is_right_or_refused_and_right_the_next_time(
    name: str, seeded: HubServer, num_cases: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = READ[name](name)
    kinds = [*STATUSES, "cut", "drop", "lose"]
    cases: dict[str, Callable[[], None]] = {}
    for number, kind in enumerate(kinds):
        for place in range(MAX_REQUESTS if num_cases > 4 else 1):
            for times in (1, None):

                def run(
                    kind: int | str = kind, skip: int = (number + place) % MAX_REQUESTS,
                    times: int | None = times,
                ) -> None:  # fmt: skip
                    _use_caches(monkeypatch, tmp_path / f"{kind}-{skip}-{times}")
                    fault = seeded.fail(times=times)
                    fault.skip, fault.headers = skip, {"Retry-After": "3"}
                    fault.kind = kind if isinstance(kind, str) else "status"
                    fault.status = kind if isinstance(kind, int) else 0
                    begun = time.monotonic()
                    try:
                        assert READ[name](name) == right, "wrong data"
                    except AudioClsError as error:
                        assert "\n" not in str(error) and len(str(error)) > 40
                    except Exception as error:
                        raise AssertionError(f"{type(error).__name__}: {error}") from error
                    finally:
                        seeded.faults.clear()
                    assert time.monotonic() - begun < 60
                    assert READ[name](name) == right, "wrong data afterwards"

                cases[f"{kind}, request {(number + place) % MAX_REQUESTS}, {times}"] = run
    count_survivors(f"download of {name}", cases)


@pytest.mark.parametrize("name", READ)
def test_a_slow_hub_gives_the_right_data(name: str, seeded: HubServer) -> None:
    seeded.trickle(20_000, times=3)
    found = READ[name](name)
    seeded.faults.clear()
    assert found == READ[name](name)


def test_a_data_set_that_changes_while_it_is_read_is_that_of_one_commit(
    seeded: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, ask = _read_clips("tester/table"), HfApi.dataset_info

    def change(api: HfApi, *words: str, **more: object) -> object:
        found = ask(api, *words, **more)  # type: ignore[arg-type]
        if "tester/table" in words:
            _seed_parquet(seeded, start=len(seeded.requests))
        return found

    monkeypatch.setattr(HfApi, "dataset_info", change)
    first = _read_clips("tester/table")
    assert first == right or len(first[1]) == 6  # type: ignore[arg-type]
    monkeypatch.undo()


def test_a_model_that_changes_while_it_is_read_is_that_of_one_commit(
    seeded: HubServer, tmp_path: Path
) -> None:
    right = _read_weights("tester/model")
    opened = open_checkpoint(ModelConfig("tester/model"))
    folder = write_tiny_checkpoint("hubert", tmp_path / "new")
    weights = load_file(folder / "model.safetensors")
    save_file({key: value + 1 for key, value in weights.items()}, folder / "model.safetensors")
    seeded.seed("models", "tester/model", folder)
    model = load_for_training(opened, AudioConfig(), ["a", "b"]).model
    assert _add_up(model) == right
    assert _read_weights("tester/model") != right
