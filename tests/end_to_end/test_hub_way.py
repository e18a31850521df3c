"""The line that the project is for, from a script repository to a push, on a loopback Hub."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import huggingface_hub
import pytest
import soundfile
import soxr
from datasets import Audio, ClassLabel, Dataset, Features, Value
from hub_cards import check_card
from hub_fixtures import use_hub
from hub_server import HubServer
from huggingface_hub import ModelCard, ModelCardData
from tiny_runs import write_quiet_checkpoint
from tones import encode_sound, make_tone
from transformers import pipeline

from audio_cls.publishing.eval_results import MAIN_METRICS

ROOT = Path(__file__).parents[2]
GENRES = ["blues", "classical", "country"]
CARD = "---\nlicense: unknown\n---\nGTZAN\n"


def _make_gtzan() -> tuple[bytes, dict[str, bytes]]:
    """Return a parquet file with GTZAN's columns, and its clips by name."""
    clips = {}
    rows: dict[str, list[object]] = {"file": [], "audio": [], "genre": []}
    for genre, name in enumerate(GENRES):
        for number in range(14):
            clip = f"{name}.{number:05d}.wav"
            sound = encode_sound(make_tone(300 * 3**genre + number, 0.3, 22_050), 22_050)
            clips[clip] = sound
            rows["file"].append(f"genres/{name}/{clip}")
            rows["audio"].append({"bytes": sound, "path": clip})
            rows["genre"].append(genre)
    features = Features(
        file=Value("string"),
        audio=Audio(22_050, decode=False),
        genre=ClassLabel(names=GENRES),
    )
    plain = Features({**features, "audio": {"bytes": Value("binary"), "path": Value("string")}})
    table = Dataset.from_dict(rows, features=plain).cast(features)
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    return buffer.getvalue(), clips


class Published(NamedTuple):
    """What the reference line left, here and on the Hub."""

    hub: HubServer
    run: Path
    said: str
    sha: str  # of the parquet copy
    clips: dict[str, bytes]
    environment: dict[str, str]

    @property
    def results(self) -> dict[str, Any]:
        """Read results.json."""
        return dict(json.loads((self.run / "results.json").read_text()))


def _seed(hub: HubServer, folder: Path) -> tuple[str, dict[str, bytes]]:
    """Seed GTZAN as it is today, and a small DistilHuBERT; return the copy's commit and clips."""
    parquet, clips = _make_gtzan()
    hub.seed("datasets", "marsyas/gtzan", {"README.md": CARD, "gtzan.py": "raise SystemExit"})
    copy = {"all/train/0000.parquet": parquet}
    sha = hub.seed("datasets", "marsyas/gtzan", copy, branch="refs/convert/parquet")
    checkpoint = write_quiet_checkpoint(folder / "distilhubert")
    card = "---\nlicense: apache-2.0\n---\nDistilHuBERT\n"
    files = {"README.md": card, **{path.name: path for path in checkpoint.iterdir()}}
    hub.seed("models", "ntu-spml/distilhubert", files)
    return sha, clips


def _run(environment: dict[str, str], *words: object) -> str:
    """Run Python with these words and return what it said."""
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:2000] + done.stderr[-1000:]
    return done.stderr


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """Train on the script repository and push, with nothing but the line of README."""
    folder = tmp_path_factory.mktemp("hub_way")
    with HubServer() as hub:
        sha, clips = _seed(hub, folder)
        environment = {
            **os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": hub.write_token,
            "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        said = _run(
            environment, "-m", "accelerate.commands.launch", "scripts/train.py", "--dataset",
            "marsyas/gtzan", "--epochs", 3, "--learning-rate", 0.003, "--max-seconds", 0.5,
            "--output-dir", folder / "my-gtzan", "--push-to-hub",
        )  # fmt: skip
        yield Published(hub, folder / "my-gtzan", said, sha, clips, environment)


@pytest.mark.slow
def test_the_reference_line_trains_from_a_script_repository(published: Published) -> None:
    assert "gtzan: chosen because the data set is marsyas/gtzan" in " ".join(published.said.split())
    assert "script repository" in published.said
    dataset = published.results["dataset"]
    assert (dataset["revision"], dataset["config"]) == (published.sha, "all")
    assert dataset["split"]["test"]["num_examples"] == 5  # a tenth of 42, rounded up


@pytest.mark.slow
def test_what_it_pushed_is_whole_and_private_things_stay(published: Published) -> None:
    files = published.hub.files("models", "tester/my-gtzan")
    assert {"config.json", "model.safetensors", "README.md", "results.json"} <= set(files)
    assert not any(name.startswith("checkpoints") for name in files)
    texts = b"".join(content for name, content in files.items() if name != "model.safetensors")
    for secret in (published.hub.write_token, str(published.run.parent)):
        assert secret.encode() not in texts


@pytest.mark.slow
def test_its_card_is_valid_and_has_the_main_metrics(
    published: Published, monkeypatch: pytest.MonkeyPatch, real_client: None
) -> None:
    text = published.hub.files("models", "tester/my-gtzan")["README.md"].decode()
    assert check_card(text, "models") == ([], [])
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", published.hub.url)
    card = ModelCard(text)
    card.validate()
    assert isinstance(card.data, ModelCardData) and card.data.eval_results
    assert card.data.base_model == "ntu-spml/distilhubert"
    values = [result.metric_value for result in card.data.eval_results]
    assert values == [published.results["test"][key] for key in MAIN_METRICS]
    for result in card.data.eval_results:
        assert (result.dataset_type, result.dataset_config) == ("marsyas/gtzan", "all")
        split = "held-out part of train"  # the course's split, which chose the epoch, too
        assert (result.dataset_split, result.dataset_revision) == (split, published.sha)
    assert not any(
        name.startswith(".eval_results")
        for name in published.hub.files("models", "tester/my-gtzan")
    )


@pytest.mark.slow
def test_stock_pipeline_loads_it_from_the_hub_with_equal_scores(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_client: None
) -> None:
    with (published.run / "predictions.csv").open(newline="") as file:
        row = next(iter(csv.DictReader(file)))
    clip = published.clips[Path(row["id"]).name]
    wave, rate = soundfile.read(io.BytesIO(clip), dtype="float32")
    own = soxr.resample(wave, rate, 16_000)
    use_hub(monkeypatch, published.hub.url, tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    classify = pipeline("audio-classification", "tester/my-gtzan", device="cpu")
    answers = classify({"raw": own, "sampling_rate": 16_000}, top_k=None)
    scores = {one["label"]: one["score"] for one in answers}
    for genre in GENRES:
        assert scores[genre] == pytest.approx(float(row[genre]), abs=2e-5)


@pytest.mark.slow
def test_evaluate_loads_it_from_the_hub_and_finds_the_same_numbers(
    published: Published, tmp_path: Path
) -> None:
    environment = published.environment | {"HF_HOME": str(tmp_path / "another-machine")}
    _run(
        environment, "scripts/evaluate_model.py", "--model", "tester/my-gtzan", "--dataset",
        "marsyas/gtzan", "--output-dir", tmp_path / "again",
    )  # fmt: skip
    for name in ("predictions.csv", "clips.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (published.run / name).read_bytes()
    again = json.loads((tmp_path / "again" / "results.json").read_text())
    assert again["test"] == published.results["test"]
