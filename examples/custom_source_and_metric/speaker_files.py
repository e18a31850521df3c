#!/usr/bin/env python
"""A source of data sets: archives with files such as ann_yes_1.wav, by speaker and label.

python examples/custom_source_and_metric/speaker_files.py ARCHIVE.zip FOLDER
"""

from __future__ import annotations

import csv
import sys
import zipfile
from pathlib import Path, PurePosixPath

from datasets import Audio, Dataset

from audio_cls.config import DataConfig
from audio_cls.data.load import SOURCES, load_dataset
from audio_cls.data.sources.dataset_tables import content_key
from audio_cls.data.sources.source import LoadedTables
from audio_cls.errors import DatasetError


class SpeakerArchive:
    """A .zip file with clips SPEAKER_LABEL_NUMBER.wav, in any folder."""

    def matches(self, dataset: str, cfg: DataConfig) -> bool:
        """Return whether the id is the name of a .zip file."""
        return dataset.endswith(".zip")

    def load(self, dataset: str, cfg: DataConfig) -> LoadedTables:
        """Read the archive into one table; no clip is decoded.

        Raises:
            DatasetError: A name has no label, or there is no clip.
        """
        columns: dict[str, list[object]] = {"audio": [], "label": [], "speaker": []}
        with zipfile.ZipFile(dataset) as archive:
            for name in sorted(n for n in archive.namelist() if n.endswith(".wav")):
                words = PurePosixPath(name).stem.split("_")
                if len(words) != 3:
                    raise DatasetError(
                        f"'{name}' is not named SPEAKER_LABEL_NUMBER.wav: rename it."
                    )
                columns["audio"].append({"bytes": archive.read(name), "path": name})
                columns["speaker"].append(words[0])
                columns["label"].append(words[1])
        if not columns["audio"]:
            raise DatasetError(f"'{dataset}' has no .wav file.")
        table = Dataset.from_dict(columns).cast_column("audio", Audio(decode=False))
        return LoadedTables({"train": table}, revision=content_key([Path(dataset)]))


def main(archive: str, folder: Path) -> str:
    """Write the clips of an archive and a table of them into `folder`; return a summary."""
    dataset = load_dataset(DataConfig(dataset=archive), (SpeakerArchive(), *SOURCES))
    table = dataset.splits["train"]
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "speaker"])
        for row in table:
            name = PurePosixPath(row["audio"]["path"]).name
            (folder / name).write_bytes(row["audio"]["bytes"])
            writer.writerow([name, row["label"], row["speaker"]])
    labels, speakers = sorted(set(table["label"])), set(table["speaker"])
    return f"{len(table)} clips of {len(speakers)} speakers: {', '.join(labels)}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.stdout.write(main(sys.argv[1], Path(sys.argv[2])) + "\n")
