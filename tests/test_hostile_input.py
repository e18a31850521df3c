"""Hostile input: 1,206 damaged files, each read, set aside, or refused by one clear error.

The files are made with fixed seeds from valid ones: bytes changed, removed, repeated and inserted.
Each test also states that nothing was written next to the folder of its files.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audio_cls.audio.decode import decode_file
from audio_cls.data.sources.tables.table_files import read_rows
from audio_cls.data.splits.split_files import load_split_files
from audio_cls.errors import AudioClsError
from audio_cls.inference.events.annotations import read_annotations
from audio_cls.presets import load_preset
from audio_cls.runs.config_file import load_run_config
from audio_cls.runs.resolved import read_resolved
from audio_cls.runs.results import read_results
from audio_cls.workflows.multi_run import read_sweep

# An exception in a callback of libsndfile is printed with its traceback, and not raised.
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
FORMATS = ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64")
HEADER = 200  # bytes in which the headers of these formats are
TOKENS = (
    b"\x00", b"\xff\xfe", b"\x1b[2J", b"\n", b"\t", b",", b'"', b"'", b": ", b"{", b"[", b"- ",
    b"&a ", b"*a", b"!!python/object/apply:os.system ['touch OUT']", b"../../OUT", b"/etc/passwd",
    b"1e999", b"NaN", b"-1", b"9" * 400, b"\xed\xa0\x80", "ä€".encode(), b"<script>", b"null",
    b"true", b"=1+1",
)  # fmt: skip

SETTINGS = b"""data:
  dataset: clips
  label_column: label
optim:
  learning_rate: 0.001
train:
  epochs: 3
  seeds: [1, 2]
record:
  versions: {torch: 2.6.0}
"""
RESULTS = json.dumps(
    {
        "schema_version": 1, "metric": "accuracy", "labels": ["a", "b"],
        "test": {"accuracy": 0.5, "num_clips": 2, "confusion_matrix": [[1, 0], [1, 0]]},
        "dataset": {"name": "clips", "splits": {"test": {"clips": 2}}}, "versions": {"torch": "2"},
    },
    indent=1,
).encode()  # fmt: skip
TABLE = b"path,label,start,end\na.wav,dog,0.0,0.5\nb.wav,cat,0.5,1.0\n"
LINES = b'{"path": "a.wav", "label": "dog"}\n{"path": "b.wav", "label": "cat"}\n'
TRACK = b"0.000000\t0.500000\tdog\n0.500000\t0.900000\tcat\n"
RAVEN = (
    b"Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tSpecies\n"
    b"1\tSpectrogram 1\t1\t0.1\t0.4\tdog\n2\tSpectrogram 1\t1\t0.5\t0.9\tcat\n"
)


def damage(content: bytes, seed: int, end: int | None = None) -> bytes:
    """Return a content with one to four changes in its first `end` bytes."""
    rng, data = random.Random(seed), bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(min(len(data), end or len(data)) or 1)
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[place % len(data)] = rng.randrange(256)
        elif kind == 1:
            data[place : place + 4] = rng.randbytes(4)
        elif kind == 2:
            del data[place : place + rng.randint(1, 40)]
        elif kind == 3:
            data[place:place] = data[max(0, place - 30) : place]
        elif kind == 4:
            data[place:place] = rng.choice(TOKENS)
        elif rng.random() < 0.3:
            del data[place:]
    return bytes(data)


def try_all(cases: Iterator[bytes], read: Callable[[bytes], object]) -> int:
    """Read each content; return how many gave one clear error. Other exceptions pass through."""
    refused = 0
    for number, content in enumerate(cases):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(content)
        except AudioClsError as error:
            assert str(error).strip() and "Traceback" not in str(error)
            refused += 1
        except Exception as error:
            raise AssertionError(f"case {number}: {content[:400]!r}") from error
    return refused


@pytest.mark.parametrize("kind", FORMATS)
def test_audio_with_damaged_headers_is_decoded_or_refused(kind: str) -> None:
    buffer = BytesIO()
    wave = np.sin(np.arange(1_600) / 5).astype(np.float32) / 2
    sf.write(buffer, wave, 16_000, format=kind)

    def decode(content: bytes) -> None:
        audio = decode_file(content, None, max_seconds=60)
        assert np.isfinite(audio.samples).all()

    cases = (damage(buffer.getvalue(), seed, HEADER) for seed in range(60))
    assert try_all(cases, decode) > 5


FILES: dict[str, tuple[str, bytes, Callable[[Path], object]]] = {
    "preset": ("p.yaml", SETTINGS, lambda path: load_preset(str(path))),
    "run_config": (
        "run_config.yaml",
        SETTINGS,
        lambda path: read_resolved(load_run_config(path.parent)),
    ),
    "results": ("results.json", RESULTS, read_results),
    "sweep": (
        "sweep.yaml",
        b"learning_rate: [1e-4, 1e-3]\nepochs: [1, 2]\nsampler: [uniform, balanced]\n",
        lambda path: read_sweep(str(path)),
    ),
    "split list": (
        "train.txt",
        b"a.wav\nb.wav\nfolder/c.wav\n",
        lambda path: load_split_files(str(path.parent), None),
    ),
    "csv": ("t.csv", TABLE, lambda path: read_rows(path, path.suffix, lambda name: ".wav" in name)),
    "tsv": (
        "t.tsv",
        TABLE.replace(b",", b"\t"),
        lambda path: read_rows(path, path.suffix, lambda name: ".wav" in name),
    ),
    "jsonl": (
        "t.jsonl",
        LINES,
        lambda path: read_rows(path, path.suffix, lambda name: ".wav" in name),
    ),
    "annotations": ("t.csv", TABLE, read_annotations),
    "audacity": ("a.txt", TRACK, read_annotations),
    "raven": ("a.selections.txt", RAVEN, read_annotations),
}


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    file, content, read = FILES[name]
    folder = tmp_path / "folder"
    folder.mkdir()
    for clip in ("a.wav", "b.wav"):
        sf.write(folder / clip, np.zeros(16_000, np.float32), 16_000)

    def write_and_read(data: bytes) -> None:
        (folder / file).write_bytes(data)
        read(folder / file)

    cases = (damage(content, seed) for seed in range(66))
    assert try_all(cases, write_and_read) < 66
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert {path.name for path in folder.iterdir()} == {"a.wav", "b.wav", file}
