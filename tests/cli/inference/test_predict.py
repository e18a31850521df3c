"""`audio-cls predict`: options, inputs and outputs with a trained model, in one process."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from click.testing import CliRunner, Result
from tones import make_tone

from audio_cls.cli.inference.predict import main
from audio_cls.inference.classifier import Classifier

ROOT = Path(__file__).parents[3]
PITCHES = {"low": 300, "middle": 800, "high": 3000}  # Hz


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three tones, a broken file and a hidden one."""
    folder = tmp_path_factory.mktemp("clips")
    for name, pitch in PITCHES.items():
        soundfile.write(folder / f"{name}.wav", make_tone(pitch, 0.4), 16_000)
    (folder / "broken.wav").write_bytes(b"no sound")
    (folder / "._low.wav").write_bytes(b"attributes")
    return folder


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of one second of each tone, low to high."""
    wave = np.concatenate([make_tone(pitch, 1.0) for pitch in PITCHES.values()])
    path = tmp_path_factory.mktemp("recordings") / "day.wav"
    soundfile.write(path, wave, 16_000)
    return path


def predict(*words: object, code: int = 0, stdin: bytes | None = None) -> Result:
    """Call the command, and check its exit code."""
    result = CliRunner().invoke(main, [str(word) for word in words], input=stdin)
    assert result.exit_code == code, (result.output, result.exception)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Wrote ")]
    assert max(map(len, lines), default=0) <= 80 or code
    return result


def read_rows(result: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(result.stdout.splitlines()))


def test_counts_are_on_standard_error_and_strict_is_for_scripts(run: Path, clips: Path) -> None:
    result = predict(run, clips)
    assert len(result.stdout.splitlines()) == 4
    closing = " ".join(result.stderr.split())
    assert closing.startswith("4 files, 1 failed (1 unreadable), 1 hidden skipped, 1.2 s of audio")
    assert closing.endswith("softmax, temperature 1") and "head:" not in result.stderr
    predict(run, clips, "--strict", code=1)
    predict(run, clips / "low.wav", "--strict")
    predict(run, clips / "broken.wav", code=1)


def test_formats_have_the_same_scores_and_output_follows_its_suffix(
    run: Path, clips: Path, tmp_path: Path
) -> None:
    rows = [json.loads(line) for line in predict(run, clips).stdout.splitlines()]
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        predict(run, clips, "--output", tmp_path / name)
    cells = list(csv.DictReader((tmp_path / "a.csv").open(newline="")))
    table = pq.read_table(tmp_path / "a.parquet").to_pylist()
    for row, cell, own in zip(rows, cells, table, strict=True):
        assert row["file"] == cell["file"] == own["file"]
        if "error" in row:
            assert row["error"] == cell["error"] == own["error"]
        for label, score in row.get("scores", {}).items():
            assert float(cell[label]) == pytest.approx(score, abs=2e-6)
            assert own[label] == pytest.approx(score, abs=2e-6)
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.jsonl", "a.parquet"]
    predict(run, clips, "--output", tmp_path / "a.csv", code=2)
    predict(run, clips, "--output", tmp_path / "a.csv", "--overwrite", "--top-k", 1)
    assert (tmp_path / "a.csv").read_text().startswith("file,label,score,error,remark,label_1")


def test_embeddings_are_those_of_the_classifier(run: Path, clips: Path, tmp_path: Path) -> None:
    names = [tmp_path / "a.csv", tmp_path / "e.parquet"]
    result = predict(run, clips, "--output", names[0], "--embeddings", names[1])
    assert result.stderr.splitlines()[-2:] == [f"Wrote {name}" for name in names]
    table = pq.read_table(tmp_path / "e.parquet")
    files = table["file"].to_pylist()
    assert [Path(file).stem for file in files] == ["high", "low", "middle"]
    expected = Classifier.from_pretrained(run).embed(files)
    assert np.array(table["embedding"].to_pylist()) == pytest.approx(expected, abs=1e-5)


def test_a_threshold_gives_the_label_unknown_and_keeps_the_score(run: Path, clips: Path) -> None:
    (row,) = read_rows(predict(run, clips / "low.wav", "--threshold", 1, "--csv"))
    assert row["label"] == "unknown" and 0.3 < float(row["score"]) < 1
    (row,) = read_rows(predict(run, clips / "low.wav", "--threshold", 0, "--csv"))
    assert row["label"] == "low"


def test_files_come_from_lists_and_patterns(run: Path, clips: Path, tmp_path: Path) -> None:
    names = b"\0".join(str(clips / f"{name}.wav").encode() for name in PITCHES)
    rows = read_rows(predict(run, "--files-from", "-", "--csv", stdin=names))
    assert [row["label"] for row in rows] == list(PITCHES)
    (tmp_path / "list").write_bytes(names.replace(b"\0", b"\n"))
    assert read_rows(predict(run, "--files-from", tmp_path / "list", "--csv")) == rows
    assert len(read_rows(predict(run, f"{clips}/*w.wav", "--csv"))) == 1
    lost = predict(run, "--files-from", tmp_path / "none", code=2)
    assert "--files-from" in lost.stderr and "No such file" in lost.stderr


@pytest.mark.parametrize("kind", ["file", "raw"])
def test_sound_on_standard_input_has_the_rows_of_its_file(
    run: Path, recording: Path, kind: str
) -> None:
    data = recording.read_bytes()
    words = []
    if kind == "raw":
        wave, rate = soundfile.read(recording, dtype="int16")
        data, words = wave.astype("<i2").tobytes(), ["--raw-rate", rate]
    for own in ([], ["--timeline"], ["--merge"]):
        expected = read_rows(predict(run, recording, "--csv", *own))
        rows = read_rows(predict(run, "-", "--csv", *own, *words, stdin=data))
        assert {row.pop("file") for row in rows} == {"-"}
        for row, other in zip(rows, expected, strict=True):
            assert float(row["score"]) == pytest.approx(float(other["score"]), abs=2e-5)
            assert row["label"] == other["label"] and row.get("end") == other.get("end")


def test_no_sound_on_standard_input_is_an_error_in_the_row(run: Path) -> None:
    for words in ([], ["--raw-rate", 8000]):
        (row,) = read_rows(predict(run, "-", "--csv", *words, stdin=b"", code=1))
        assert row["error"] == "empty"


def test_a_timeline_has_the_windows_of_the_classifier(run: Path, recording: Path) -> None:
    rows = read_rows(predict(run, recording, "--timeline", "--overlap", 0.5, "--csv"))
    windows = list(Classifier.from_pretrained(run).windows(str(recording), overlap=0.5))
    assert len(rows) == 23
    for row, window in zip(rows, windows, strict=True):
        assert (float(row["start"]), float(row["end"])) == (window.start, window.end)
        assert (row["label"], float(row["score"])) == (window.label, window.score)


def test_events_label_files_and_segments_are_the_tones(
    run: Path, recording: Path, tmp_path: Path
) -> None:
    words = (recording, "--merge", "--csv", "--min-duration", 0.5)
    result = predict(run, *words, "--cut-segments", tmp_path / "cut")
    assert result.stderr.endswith(f"\nWrote 3 segments in {tmp_path / 'cut'}\n")
    rows = read_rows(result)
    spans = [(float(row["start"]), float(row["end"]), row["label"]) for row in rows]
    assert spans == [(0.0, 1.0, "low"), (1.0, 2.0, "middle"), (2.0, 3.0, "high")]
    assert [path.parent.name for path in sorted((tmp_path / "cut").rglob("*.wav"))] == [
        "high", "low", "middle",
    ]  # fmt: skip
    for name in ("audacity", "raven"):
        folder = tmp_path / name
        result = predict(run, *words, "--labels-format", name, "--output-dir", folder)
        assert result.stderr.endswith(f"\nWrote 1 label file in {folder}\n")
        (file,) = folder.iterdir()
        lines = file.read_text().splitlines()[name == "raven" :]
        assert len(lines) == 3 and "1.000000\t2.000000" in lines[1] and "middle" in lines[1]
        again = predict(run, *words, "--labels-format", name, "--output-dir", folder, code=2)
        assert "--overwrite" in again.stderr
    predict(run, *words, "--labels-format", "audacity")
    assert recording.with_suffix(".txt").exists()


def test_the_combined_table_of_raven_has_offsets_within_and_across_files(
    run: Path, recording: Path, clips: Path, tmp_path: Path
) -> None:
    day, night = tmp_path / "1.wav", tmp_path / "2.wav"
    wave, rate = soundfile.read(recording)
    soundfile.write(day, wave[: rate + 1], 16_000)  # 1.0000625 s
    soundfile.write(night, wave, 16_000)
    output = tmp_path / "all.txt"
    words = (run, day, clips / "broken.wav", night, "--format", "raven", "--min-duration", 0.5)
    predict(*words, "--output", output)
    rows = list(csv.DictReader(output.open(), delimiter="\t"))
    assert [row["Selection"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["Annotation"] for row in rows] == ["low", "low", "middle", "high"]
    assert [Path(row["Begin Path"]).name for row in rows] == ["1.wav", *["2.wav"] * 3]
    assert rows[2]["File Offset (s)"] == "1.000000"
    assert rows[2]["Begin Time (s)"] == "2.000063" and rows[2]["End Time (s)"] == "3.000063"
    assert {row["High Freq (Hz)"] for row in rows} == {"8000"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "There is nothing to classify"),
        ("a.wav --overlap 0.5", "--overlap is for a row per window: add --timeline"),
        ("a.wav --timeline --min-duration 1", "--min-duration is for events: add --merge"),
        ("a.wav --format parquet", "give --output FILE"),
        ("a.wav --format table --output x", "The table is for terminals"),
        ("a.wav --raw-rate 8000", "give - as the file"),
        ("- --raw-channels 2", "by --raw-rate"),
        ("- --files-from -", "cannot have both"),
        ("- --merge --labels-format raven", "need recordings in files"),
        ("a.wav --watch x", "give no other files"),
        ("--watch /nowhere", "There is no folder '/nowhere' to watch"),
        ("--watch x --labels-format raven", "add --output-dir"),
        ("--watch x --labels-format raven --output-dir y", "needs --output"),
        ("--watch x --output x.parquet", "which parquet cannot: write csv or jsonl"),
        ("--watch x --format raven", "which raven cannot: write csv or jsonl"),
        ("a.wav --output-dir x", "add --labels-format"),
        (". --merge --cut-segments ./x", "inside '.': the segments would be recordings"),
        ("--watch . --merge --cut-segments . --output x", "is inside '.'"),
        ("a.wav --embeddings x.parquet", "add --output FILE"),
        ("a.wav --embeddings x --output x", "are the same file"),
        ("a.wav --timeline --embeddings x --output y", "one embedding per file"),
        ("a.wav --csv --jsonl", "exclude each other"),
        ("a.wav --csv --format jsonl", "exclude each other"),
    ],
)
def test_options_that_do_not_fit_together_are_one_line(words: str, expected: str) -> None:
    result = predict("/no/model", *words.split(), code=2)
    (line,) = result.stderr.splitlines()
    assert expected in line and result.stdout == ""


def test_the_short_help_has_the_common_options_first() -> None:
    text = predict("--help").stdout
    assert len(text.splitlines()) < 60 and "--help-all" in text
    for name in ("--window-seconds", "--overlap", "--min-duration", "--output-dir"):
        assert f"\n  {name}" in text
    everything = predict("--help-all").stdout
    for heading in ("Output:", "Long recordings:", "Input:", "Model and speed:", "Help:"):
        assert f"\n{heading}\n" in everything
    assert max(map(len, everything.splitlines())) <= 80


@pytest.mark.slow
def test_a_closed_pipe_ends_the_command_without_a_message(run: Path, clips: Path) -> None:
    command = f"{sys.executable} -m audio_cls predict {run} {clips} {clips} | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=300, check=False
    )
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr and "Broken" not in done.stderr
