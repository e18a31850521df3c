"""The keyword-spotting preset on repositories laid out like the standard ones, on loopback."""

from __future__ import annotations

import csv
import io
import json
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from datasets import Audio, ClassLabel, Dataset, Features, Value
from hub_server import HubServer
from tiny_runs import write_quiet_checkpoint
from tones import encode_sound, make_tone
from word_sounds import make_noise_wav

from audio_cls.runs.results import RunResults

ROOT = Path(__file__).parents[2]
TEN = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]
OTHERS = ["zero", "one", "two", "bed", "bird", "cat", "backward", "visual"]
SILENCE = "_silence_"
CLIPS = {"train": 4, "validation": 2, "test": 2}
CONVERT, PART = "refs/convert/parquet", "00000-of-00001.parquet"
CARD = "---\nlicense: cc-by-4.0\n---\nSpeech Commands\n"
SUPERB_CARD = """---
configs:
- config_name: ks
  data_files:
  - {split: train, path: ks/train-*}
  - {split: validation, path: ks/validation-*}
  - {split: test, path: ks/test-*}
- config_name: ic
  data_files:
  - {split: train, path: ic/train-*}
---
# SUPERB
"""


def _make_row(split: str, word: str, number: int, seconds: float) -> dict[str, Any]:
    """Return a clip: a tone for each word, noise for silence."""
    name = f"{1000 * len(split) + number:08x}_nohash_{number}.wav"
    if word == SILENCE:
        sound, name = make_noise_wav(seconds, number + 100 * len(split)), f"hum{split}{number}.wav"
    else:
        place = [*TEN, *OTHERS].index(word)
        wave = make_tone(200 + 150 * place + number, seconds, seed=number + len(split))
        sound = encode_sound(wave, 16_000)
    return {
        "file": f"{word}/{name}",
        "audio": {"bytes": sound, "path": name},
        "label": word,
        "is_unknown": word in OTHERS,
        "speaker_id": None if word == SILENCE else f"{split}-{number}",
        "utterance_id": 0,
    }


def _to_parquet(rows: list[dict[str, Any]], names: list[str], columns: list[str]) -> bytes:
    """Encode rows as the Hub's copies are: undecoded sound, a ClassLabel."""
    kinds: dict[str, Any] = {
        "file": Value("string"),
        "audio": {"bytes": Value("binary"), "path": Value("string")},
        "label": ClassLabel(names=names),
        "is_unknown": Value("bool"),
        "speaker_id": Value("string"),
        "utterance_id": Value("int8"),
    }
    plain = Features({name: kinds[name] for name in columns})
    table = Dataset.from_list([{n: row[n] for n in columns} for row in rows], features=plain)
    buffer = io.BytesIO()
    table.cast_column("audio", Audio(16_000, decode=False)).to_parquet(buffer)
    return buffer.getvalue()


def _list_words(split: str, extra: list[str]) -> list[dict[str, Any]]:
    """Return the clips of keywords and of other words."""
    counted = [(w, CLIPS[split]) for w in TEN] + [(w, 1 if split == "test" else 3) for w in extra]
    return [_make_row(split, word, n, 0.2) for word, count in counted for n in range(count)]


def seed_speech_commands(hub: HubServer) -> dict[str, str]:
    """Seed a script repository with v0.02 on its convert branch: five long recordings train."""
    files = {}
    for split in CLIPS:
        rows = _list_words(split, OTHERS[:2] if split == "test" else OTHERS)
        long = {"train": 5, "validation": 1, "test": 0}[split]
        rows += [_make_row(split, SILENCE, n, 4.0) for n in range(long)]
        rows += [_make_row(split, SILENCE, n, 1.0) for n in range(2 if split == "test" else 0)]
        names = [*TEN, *OTHERS, "_unknown_", SILENCE]  # no clip is of _unknown_
        content = _to_parquet(rows, names, [*rows[0]])
        files |= {f"{config}/{split}/0000.parquet": content for config in ("v0.01", "v0.02")}
    hub.seed("datasets", "google/speech_commands", {"README.md": CARD, "speech_commands.py": "x"})
    hub.seed("datasets", "google/speech_commands", files, branch=CONVERT)
    return {"dataset": "google/speech_commands"}


def seed_superb(hub: HubServer) -> dict[str, str]:
    """Seed SUPERB: twelve classes ready-made, six recordings in train, none in validation."""
    files: dict[str, Any] = {
        "README.md": SUPERB_CARD,
        f"ic/train-{PART}": _to_parquet([_make_row("train", "yes", 0, 0.2)], ["yes"], ["audio"]),
    }
    for split in CLIPS:
        rows = _list_words(split, OTHERS[:2] if split == "test" else OTHERS)
        for row in rows:
            row |= {"label": "_unknown_" if row["is_unknown"] else row["label"]}
            row["file"] = f"/root/{row['file']}"
        long = 6 if split == "train" else 0
        rows += [_make_row(split, SILENCE, n, 4.0) for n in range(long)]
        rows += [_make_row(split, SILENCE, n, 1.0) for n in range(2 if split == "test" else 0)]
        names = [*TEN, SILENCE, "_unknown_"]
        files[f"ks/{split}-{PART}"] = _to_parquet(rows, names, ["file", "audio", "label"])
    hub.seed("datasets", "s3prl/superb", files)
    return {"dataset": "s3prl/superb", "dataset-config": "ks"}


@pytest.mark.parametrize(
    ("seed_dataset", "recordings"),
    [
        (seed_speech_commands, {"train": 5, "validation": 1}),  # as the data set has it
        (seed_superb, {"train": 4, "validation": 2}),  # by the clips of 40 and 20 keywords
    ],
)
def test_the_data_set_alone_trains_judges_and_describes_a_keyword_spotter(
    seed_dataset: Any,  # noqa: ANN401
    recordings: dict[str, int],
    data_hub: HubServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    flags = seed_dataset(data_hub)
    checkpoint = write_quiet_checkpoint(tmp_path / "distilhubert")
    card = "---\nlicense: apache-2.0\n---\nDistilHuBERT\n"
    content = {"README.md": card, **{path.name: path for path in checkpoint.iterdir()}}
    data_hub.seed("models", "ntu-spml/distilhubert", content)
    monkeypatch.chdir(tmp_path)
    command = [word for flag, value in flags.items() for word in (f"--{flag}", value)]
    main = runpy.run_path(str(ROOT / "scripts" / "train.py"))["main"]
    done = CliRunner().invoke(main, [*command, "--epochs", "1", "--output-dir", "run"])
    assert done.exit_code == 0, (done.output[-2000:], done.exception)

    assert "no training clip" not in caplog.text

    results = json.loads(Path("run/results.json").read_text())
    assert RunResults.from_json(results).to_json() == results
    assert results["labels"] == [*TEN, SILENCE, "_unknown_"]
    per_class = {name: one["support"] for name, one in results["test"]["per_class"].items()}
    assert per_class == {**dict.fromkeys(TEN, 2), SILENCE: 2, "_unknown_": 2}
    found = results["test"]["detection"]
    assert (found["keyword_clips"], found["other_clips"]) == (20, 4)
    assert found["other_seconds"] == pytest.approx(2 * 1.0 + 2 * 0.2, abs=0.01)

    sides: dict[str, set[str]] = {}
    for role in ("train", "validation"):
        ids = Path(f"run/splits/{role}.txt").read_text().splitlines()
        for clip in ids:
            if "#" in clip:
                sides.setdefault(clip.split("#")[0], set()).add(role)
    assert Counter(role for roles in sides.values() for role in roles) == recordings
    assert all(len(roles) == 1 for roles in sides.values())
    with Path("run/predictions.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 24
    readme = Path("run/README.md").read_text()
    assert "### Keyword detection" in readme and "4 clips (2 s) without keywords" in readme

    evaluate = runpy.run_path(str(ROOT / "scripts" / "evaluate_model.py"))["main"]
    again = CliRunner().invoke(evaluate, ["--model", "run", "--output-dir", "again"])
    assert again.exit_code == 0, (again.output[-2000:], again.exception)
    assert json.loads(Path("again/results.json").read_text())["test"]["detection"] == found
    ids = {Path(name, "predictions.csv").read_text() for name in ("run", "again")}
    assert len(ids) == 1, "the same clips, silence and all, with the same scores"


def test_every_word_is_a_class_by_the_preset_of_35(data_hub: HubServer, tmp_path: Path) -> None:
    seed_speech_commands(data_hub)
    results = _train_35(tmp_path)
    assert results["labels"] == [*TEN, *OTHERS]
    per_class = {name: one["support"] for name, one in results["test"]["per_class"].items()}
    # The copy's test set is that of the twelve classes: few clips of few other words.
    assert per_class == {**dict.fromkeys(TEN, 2), **dict.fromkeys(OTHERS, 0), "zero": 1, "one": 1}
    assert results["dataset"]["split"]["test"]["num_examples"] == 22
    assert "detection" not in results["test"]


def test_the_unpacked_archive_is_split_by_the_hash_of_its_names(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    for word in ("yes", "backward", "_background_noise_"):
        (archive / word).mkdir(parents=True)
        for number in range(40 if word[0] != "_" else 2):
            clip = encode_sound(make_tone(300 + number, 0.2, seed=number), 16_000)
            (archive / word / f"{7919 * number:08x}_nohash_0.wav").write_bytes(clip)
    results = _train_35(tmp_path, "--dataset", archive, "--drop-labels", "_background_noise_")
    assert sorted(results["labels"]) == ["backward", "yes"]
    assert "hash" in results["dataset"]["split"]["test"]["origin"]
    lists = [(tmp_path / "run" / "splits" / f"{r}.txt").read_text().split() for r in CLIPS]
    speakers = [{Path(clip).name for clip in one} for one in lists]
    assert not speakers[0] & speakers[2] and not speakers[1] & speakers[2], (
        "both words of a speaker"
    )


def _train_35(folder: Path, *more: object) -> dict[str, Any]:
    """Take a few steps by the preset of all words, and return results.json."""
    checkpoint = write_quiet_checkpoint(folder / "distilhubert")
    words = ("--preset", "keyword-spotting-35", "--model", checkpoint, "--max-steps", 2)
    main = runpy.run_path(str(ROOT / "scripts" / "train.py"))["main"]
    shape = ("--batch-size", 4, "--output-dir", folder / "run")
    done = CliRunner().invoke(main, [str(word) for word in (*words, *shape, *more)])
    assert done.exit_code == 0, (done.output[-2000:], done.exception)
    return dict(json.loads((folder / "run" / "results.json").read_text()))
