"""Embeddings of files in a parquet file, and the files that are most similar to a query."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from click.testing import CliRunner, Result
from scipy.spatial.distance import cdist
from tiny_models import write_tiny_checkpoint
from tones import make_tone
from transformers import AutoModelForAudioClassification

from audio_cls.cli.main import main
from audio_cls.inference.classifier import Classifier
from audio_cls.inference.nearest import find_nearest


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a random model with a classification head."""
    return write_classifier(tmp_path_factory.mktemp("model"), seed=0)


def write_classifier(folder: Path, seed: int) -> Path:
    """Write a random classifier of three labels."""
    write_tiny_checkpoint("hubert", folder, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForAudioClassification.from_pretrained(folder, num_labels=3)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of four tones and one broken file."""
    folder = tmp_path_factory.mktemp("clips")
    for hz in (200, 400, 800, 1600):
        soundfile.write(folder / f"{hz}.wav", make_tone(hz, 0.5), 16_000)
    (folder / "broken.wav").write_bytes(b"no sound")
    return folder


@pytest.fixture(scope="module")
def table(model: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the embeddings of the folder."""
    path = tmp_path_factory.mktemp("table") / "clips.parquet"
    result = call("embed", model, clips, "--output", path)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "1 failed (1 unreadable)" in " ".join(result.stderr.split())
    return path


def call(*words: object) -> Result:
    """Call `audio-cls`."""
    return CliRunner().invoke(main, [str(word) for word in words])


def test_the_embeddings_are_those_of_the_classifier(model: Path, clips: Path, table: Path) -> None:
    rows = pq.read_table(table).to_pylist()
    files = [str(clips / f"{hz}.wav") for hz in (1600, 200, 400, 800)]  # sorted by name
    assert [row["file"] for row in rows] == files
    expected = Classifier.from_pretrained(model).embed(files)
    assert np.array([row["embedding"] for row in rows]) == pytest.approx(expected, abs=1e-6)


def test_search_ranks_by_the_cosine_of_scipy(clips: Path, table: Path) -> None:
    rows = pq.read_table(table).to_pylist()
    vectors = np.array([row["embedding"] for row in rows])
    similarities = 1 - cdist(vectors[:1], vectors[1:], "cosine")[0]
    order = np.argsort(-similarities)
    result = call("search", table, clips / "1600.wav")  # not listed itself
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["file"] for row in found] == [rows[n + 1]["file"] for n in order]
    measured = [row["similarity"] for row in found]
    assert measured == pytest.approx(similarities[order], abs=1e-6)


def test_a_new_file_is_embedded_by_the_model_of_the_table(
    clips: Path, table: Path, tmp_path: Path
) -> None:
    shutil.copy(clips / "400.wav", tmp_path / "copy.wav")
    result = call("search", table, tmp_path / "copy.wav", "--top-k", 1, "--format", "table")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].split() == ["1.0000", str(clips / "400.wav")]


def test_another_model_is_refused(model: Path, clips: Path, table: Path, tmp_path: Path) -> None:
    shutil.copy(clips / "400.wav", tmp_path / "copy.wav")
    other = write_classifier(tmp_path / "other", seed=1)
    result = call("search", table, tmp_path / "copy.wav", "--model", other)
    assert result.exit_code == 2
    assert "of another model" in " ".join(result.stderr.split())
    shutil.copytree(model, tmp_path / "moved")
    assert (
        call("search", table, tmp_path / "copy.wav", "--model", tmp_path / "moved").exit_code == 0
    )


def test_a_table_is_searched_from_another_folder(
    model: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model, tmp_path / "model")
    (tmp_path / "other").mkdir()
    shutil.copy(clips / "400.wav", tmp_path / "other" / "copy.wav")
    monkeypatch.chdir(tmp_path)
    assert call("embed", "model", clips, "--output", "t.parquet").exit_code == 0
    monkeypatch.chdir(tmp_path / "other")
    result = call("search", "../t.parquet", "copy.wav", "--top-k", 1)
    assert json.loads(result.stdout)["file"] == str(clips / "400.wav"), result.stderr
    (tmp_path / "model").rename(tmp_path / "moved")
    result = call("search", "../t.parquet", "copy.wav")
    assert result.exit_code == 2
    text = " ".join(result.stderr.split())
    assert f"are of the model '{tmp_path / 'model'}', which is not found: give the place" in text
    assert call("search", "../t.parquet", "copy.wav", "--model", "../moved").exit_code == 0


@pytest.mark.parametrize(
    ("query", "text"), [("nothing.wav", "neither an audio file nor the name"), ("", "neither")]
)
def test_a_query_that_is_no_file_is_one_line(table: Path, query: str, text: str) -> None:
    result = call("search", table, query)
    assert result.exit_code == 2
    assert text in " ".join(result.stderr.split())


def test_files_without_embeddings_are_named(tmp_path: Path, clips: Path) -> None:
    text = " ".join(call("search", tmp_path / "none.parquet", "a.wav").stderr.split())
    assert "There is no file" in text
    text = " ".join(call("search", clips / "200.wav", "a.wav").stderr.split())
    assert "is not a parquet file" in text


def test_parts_of_a_table_give_the_order_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 8)).astype(np.float32)
    vectors[7] = 0  # silence of an odd model: similarity 0, no division by zero
    names = [str(n) for n in range(200)]
    parts = [(names[n : n + 30], vectors[n : n + 30]) for n in range(0, 200, 30)]
    found = find_nearest(parts, vectors[3], 10, exclude="3")
    distances = cdist(vectors[3:4], np.delete(vectors, 7, axis=0), "cosine")[0]
    kept = np.delete(np.arange(200), 7)
    expected = [n for n in kept[np.argsort(distances)] if n != 3][:10]
    assert [one.file for one in found] == [str(n) for n in expected]
