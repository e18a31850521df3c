"""The line that the project is for, from a script repository to a push, on a loopback Hub."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from datasets import Audio, ClassLabel, Dataset, Features, Value
from hub_server import HubServer
from huggingface_hub import ModelCard
from tiny_runs import write_quiet_checkpoint
from tones import encode_sound, make_tone

ROOT = Path(__file__).parents[2]
GENRES = ["blues", "classical", "country"]
CARD = "---\nlicense: unknown\n---\nGTZAN\n"
LOAD = """
import json, sys
from transformers import pipeline
import soundfile
classify = pipeline("audio-classification", model=sys.argv[1])
wave, rate = soundfile.read(sys.argv[2], dtype="float32")
print(json.dumps(classify({"raw": wave, "sampling_rate": rate}, top_k=None)))
"""


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


@pytest.mark.slow
def test_the_reference_line_trains_and_publishes_from_a_script_repository(
    hub: HubServer, tmp_path: Path
) -> None:
    parquet, clips = _make_gtzan()
    hub.seed("datasets", "marsyas/gtzan", {"README.md": CARD, "gtzan.py": "raise SystemExit"})
    sha = hub.seed(
        "datasets",
        "marsyas/gtzan",
        {"all/train/0000.parquet": parquet},
        branch="refs/convert/parquet",
    )
    checkpoint = write_quiet_checkpoint(tmp_path / "distilhubert")
    card = "---\nlicense: apache-2.0\n---\nDistilHuBERT\n"
    hub.seed(
        "models",
        "ntu-spml/distilhubert",
        {"README.md": card, **{path.name: path for path in checkpoint.iterdir()}},
    )
    environment = {
        **os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": hub.write_token, "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "scripts/train.py", "--dataset",
        "marsyas/gtzan", "--epochs", "3", "--learning-rate", "0.003", "--max-seconds", "0.5",
        "--output-dir", str(tmp_path / "my-gtzan"), "--push-to-hub",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "preset gtzan" in done.stderr
    assert "script repository" in done.stderr
    results = json.loads((tmp_path / "my-gtzan" / "results.json").read_text())
    assert results["dataset"]["revision"] == sha
    assert results["dataset"]["config"] == "all"
    assert results["dataset"]["split"]["test"]["num_examples"] == 5  # a tenth of 42, rounded up

    files = hub.files("models", "tester/my-gtzan")
    assert {"config.json", "model.safetensors", "README.md", "results.json"} <= set(files)
    assert not any(name.startswith("checkpoints") for name in files)
    published = b"".join(content for name, content in files.items() if name != "model.safetensors")
    for secret in (hub.write_token, str(tmp_path)):
        assert secret.encode() not in published
    data = ModelCard(files["README.md"].decode()).data
    values = {result.metric_type: result.metric_value for result in data.eval_results}
    assert values["accuracy"] == results["test"]["accuracy"]
    assert {result.dataset_type for result in data.eval_results} == {"marsyas/gtzan"}
    assert {result.dataset_revision for result in data.eval_results} == {sha}
    assert data.base_model == "ntu-spml/distilhubert"

    with (tmp_path / "my-gtzan" / "predictions.csv").open(newline="") as file:
        row = next(iter(csv.DictReader(file)))
    wave, rate = soundfile.read(io.BytesIO(clips[Path(row["id"]).name]), dtype="float32")
    import soxr

    soundfile.write(
        tmp_path / "clip.wav", soxr.resample(wave, rate, 16_000), 16_000, subtype="FLOAT"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, "tester/my-gtzan", str(tmp_path / "clip.wav")],
        env={**environment, "HF_HUB_DISABLE_XET": "1"}, capture_output=True, text=True, check=True,
        cwd=tmp_path,
    )  # fmt: skip
    scores = {one["label"]: one["score"] for one in json.loads(loaded.stdout)}
    for genre in GENRES:
        assert scores[genre] == pytest.approx(float(row[genre]), abs=2e-5)
