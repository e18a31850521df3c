"""Small data sets laid out like those on the Hub: encoded clips, tables and repositories."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import soundfile
from datasets import Audio, ClassLabel, Dataset, Features
from datasets.table import InMemoryTable, table_cast
from hub_server import HubServer

from audio_cls.config import DataConfig
from audio_cls.data.keyword_spotting.relabel import relabel_keywords
from audio_cls.data.load import load_dataset
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.sources.columns.clip_ids import read_clip_ids

CONVERT = "refs/convert/parquet"
CLIP_SECONDS = 0.05
PART = "00000-of-00001.parquet"
SHARD = f"train-{PART}"
TRAIN, TEST = f"data/train-{PART}", f"data/test-{PART}"


def make_wav(number: int, sampling_rate: int = 16_000) -> bytes:
    """Return a wav of `CLIP_SECONDS`, another sound for each number."""
    rng = np.random.default_rng(number)
    wave = rng.uniform(-0.5, 0.5, round(CLIP_SECONDS * sampling_rate)).astype(np.float32)
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, sampling_rate, format="WAV")
    return buffer.getvalue()


def make_sounds(count: int, start: int = 0, sampling_rate: int = 16_000) -> list[dict[str, Any]]:
    """Return `count` cells of an audio column."""
    numbers = range(start, start + count)
    return [{"bytes": make_wav(n, sampling_rate), "path": f"clip-{n:04d}.wav"} for n in numbers]


def make_table(columns: Mapping[str, Sequence[Any]], **kinds: Any) -> Dataset:  # noqa: ANN401
    """Make a table whose `audio` column is undecoded Audio; `kinds` names other features.

    A list of strings as a kind means a ClassLabel of those names.
    """
    plain = Dataset.from_dict(dict(columns))
    features = plain.features.copy()
    if "audio" in columns:
        features["audio"] = Audio(decode=False)
    for name, kind in kinds.items():
        features[name] = ClassLabel(names=kind) if isinstance(kind, list) else kind
    # Dataset.cast() gives the same by a map over the rows, in ten times as long.
    return Dataset(InMemoryTable(table_cast(plain.data.table, features.arrow_schema)))


def make_parquet(columns: Mapping[str, Sequence[Any]], **kinds: Any) -> bytes:  # noqa: ANN401
    """Return the bytes of a parquet file as `push_to_hub` writes it, its features inside."""
    table = make_table(columns, **kinds)
    features = table.features.copy()
    if "audio" in columns:
        features["audio"] = Audio()
    buffer = io.BytesIO()
    pq.write_table(table.data.table.replace_schema_metadata(_metadata(features)), buffer)
    return buffer.getvalue()


def _metadata(features: Features) -> dict[bytes, bytes]:
    schema = features.arrow_schema
    return dict(schema.metadata)


def make_card(configs: Mapping[str, Sequence[str]], **more: str) -> str:
    """Return a README whose header names the data files of every configuration and split."""
    lines = ["---", *(f"{key}: {value}" for key, value in more.items()), "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {config}/{split}-*"]
    return "\n".join([*lines, "---", "# A data set", ""])


def cycle(values: Sequence[Any], count: int) -> list[Any]:
    """Repeat values in turn."""
    return [values[number % len(values)] for number in range(count)]


def write_clips(root: Path, names: Sequence[str]) -> None:
    """Write one clip a name below a folder, each another sound."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(make_wav(number))


def load(dataset: str | Path, **settings: Any) -> LoadedDataset:  # noqa: ANN401
    """Load a data set by these settings alone, relabelled if they ask for keywords."""
    cfg = DataConfig(dataset=str(dataset), **settings)
    return relabel_keywords(load_dataset(cfg), cfg)


def make_dataset(splits: dict[str, Dataset], **fields: Any) -> LoadedDataset:  # noqa: ANN401
    """Make a local data set of these tables, as if `load_dataset` had opened them."""
    has_audio = all("audio" in table.column_names for table in splits.values())
    rows = [f"{split}/{row}" for split, table in splits.items() for row in range(len(table))]
    unknown = {"id": "x", "name": "x", "is_local": True, "config": None, "revision": ""}
    return LoadedDataset(
        **{**unknown, "content_key": "", "license": None, "audio_column": "audio", **fields},
        splits=splits,
        ids=read_clip_ids(splits, "audio") if has_audio else np.array(rows, dtype=np.str_),
    )


def in_data(split: str) -> str:
    """Name the file that `push_to_hub` writes for a split."""
    return f"data/{split}-{PART}"


def make_rows(count: int = 6, *, start: int = 0, **columns: list[Any]) -> dict[str, list[Any]]:
    """Make `count` clips whose other columns repeat the given values."""
    cycled = {name: cycle(values, count) for name, values in columns.items()}
    return {"audio": make_sounds(count, start), **cycled}


def seed_main(files: dict[str, Any]) -> Callable[[HubServer, str], object]:
    """Seed the main branch."""
    return lambda hub, name: hub.seed("datasets", name, files)


def seed_script(files: dict[str, Any]) -> Callable[[HubServer, str], object]:
    """Seed a script on the main branch and files on the convert branch."""

    def seed(hub: HubServer, name: str) -> None:
        script = f"{name.split('/')[-1]}.py"
        hub.seed(
            "datasets", name, {script: "import datasets", "README.md": "# It", "data.tar": b"1"}
        )
        if files:
            hub.seed("datasets", name, files, branch=CONVERT)

    return seed


def one_file(**kinds: Any) -> bytes:  # noqa: ANN401
    """Make parquet: a list of strings given as (values, names) is a ClassLabel, else plain."""
    columns = {name: kind[0] if isinstance(kind, tuple) else kind for name, kind in kinds.items()}
    labels = {name: kind[1] for name, kind in kinds.items() if isinstance(kind, tuple)}
    return make_parquet(make_rows(**columns), **labels)


def languages(*names: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Make CONFIG/SPLIT/0000.parquet for each language, as the convert branch has them."""
    return {
        f"{name}/{split}/0000.parquet": one_file(
            lang_id=([place], list(names)),
            gender=([0, 1], ["male", "female"]),
            transcription=["a", "b", "c", "d", "e", "f"],
            **more,
        )
        for place, name in enumerate(names)
        for split in ("train", "validation", "test")
    }
