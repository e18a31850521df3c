"""load_dataset: which source loads a data set, and sources that a user adds."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from datasets import Audio, Dataset
from hub_datasets import write_clips

from audio_cls.audio.decode import decode_file
from audio_cls.config import DataConfig
from audio_cls.data.labels.labels import parse_labels
from audio_cls.data.load import SOURCES, load_dataset
from audio_cls.data.sources.dataset_tables import content_key
from audio_cls.data.sources.local_folder import read_folder
from audio_cls.data.sources.source import LoadedTables
from audio_cls.storage.keys import make_key


@dataclass(frozen=True)
class ZipSource:
    """A .zip file of class folders."""

    cache: Path

    def matches(self, dataset: str, cfg: DataConfig) -> bool:
        """Return whether the id is the name of a .zip file."""
        return dataset.endswith(".zip")

    def load(self, dataset: str, cfg: DataConfig) -> LoadedTables:
        """Extract the file, and read the folder."""
        path = Path(dataset)
        folder = self.cache / content_key([path])
        with zipfile.ZipFile(path) as file:
            file.extractall(folder)
        return replace(read_folder(folder, cfg), name=path.stem)


@dataclass(frozen=True)
class ArraySource:
    """Waveforms in memory, by label."""

    waves: dict[str, list[np.ndarray]]
    sampling_rate: int

    def matches(self, dataset: str, cfg: DataConfig) -> bool:
        """Return whether the id is `arrays`."""
        return dataset == "arrays"

    def load(self, dataset: str, cfg: DataConfig) -> LoadedTables:
        """Make one table of all waveforms."""
        clips = [(wave, label) for label, waves in self.waves.items() for wave in waves]
        cells = [{"array": wave, "sampling_rate": self.sampling_rate} for wave, _ in clips]
        table = Dataset.from_dict({"audio": cells, "label": [label for _, label in clips]})
        key = make_key(waves=np.concatenate([wave for wave, _ in clips]))
        return LoadedTables({"train": table}, revision=key)


def test_a_zip_file_is_a_source_of_25_lines(tmp_path: Path) -> None:
    names = ["train/cat/1.wav", "train/dog/2.wav", "test/cat/3.wav", "test/dog/4.wav"]
    write_clips(tmp_path / "clips", names)
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as file:
        for name in names:
            file.write(tmp_path / "clips" / name, name)
    cfg = DataConfig(dataset=str(tmp_path / "pets.zip"))
    dataset = load_dataset(cfg, (ZipSource(tmp_path / "cache"), *SOURCES))
    assert (dataset.name, dataset.id, dataset.is_local) == ("pets", cfg.dataset, True)
    assert {split: len(table) for split, table in dataset.splits.items()} == {"train": 2, "test": 2}
    assert dataset.splits["test"].features["audio"] == Audio(decode=False)
    assert parse_labels(dataset, cfg).names == ("cat", "dog")
    folder = load_dataset(DataConfig(dataset=str(tmp_path / "clips")))
    assert [t["file"][:] for t in dataset.splits.values()] == [
        t["file"][:] for t in folder.splits.values()
    ]


def test_arrays_in_memory_are_a_source() -> None:
    waves = {"low": [np.full(80, -0.5)], "high": [np.full(80, 0.5), np.full(40, 0.25)]}
    cfg = DataConfig(dataset="arrays")
    dataset = load_dataset(cfg, (ArraySource(waves, 8000), *SOURCES))
    labels = parse_labels(dataset, cfg)
    assert labels.names == ("high", "low") and labels.ids["train"].tolist() == [1, 0, 0]
    audio = decode_file(**_read_cell(dataset.splits["train"], 2))
    assert audio.sampling_rate == 8000
    np.testing.assert_array_equal(audio.samples, np.full((40, 1), 0.25, np.float32))


def _read_cell(table: Dataset, row: int) -> dict[str, bytes | str | None]:
    """Return the audio cell of a row as arguments of `decode_file`."""
    cell = table[row]["audio"]
    return {"bytes_": cell["bytes"], "path": cell["path"]}


@pytest.mark.parametrize(
    ("dataset", "kind"),
    [
        ("builtin:tiny_speech", "BuiltinSource"),
        ("https://huggingface.co/datasets/owner/name", "UrlSource"),
        ("hf://datasets/owner/name", "UrlSource"),
        ("clips.csv", "LocalFileSource"),
        ("clips", "LocalFolderSource"),
        ("owner/name", "HubSource"),
    ],
)
def test_each_id_has_its_source(
    dataset: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips.csv").write_text("path,label\n")
    for cfg, name in ((DataConfig(), kind), (DataConfig(streaming=True), "StreamingSource")):
        first = next(source for source in SOURCES if source.matches(dataset, cfg))
        assert type(first).__name__ == name
