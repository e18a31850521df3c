#!/usr/bin/env python
"""Write the demo data set as a folder of clips: FOLDER/LANGUAGE/PROMPT.flac.

python examples/your_own_folder/make_folder.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from audio_cls.config import DataConfig
from audio_cls.data.load import load_dataset


def main(folder: Path) -> None:
    """Write the clips of all splits into `folder`, in their stored format."""
    source = load_dataset(DataConfig(dataset="builtin:tiny_speech"))
    for table in source.splits.values():
        names = table.features["language"].names
        for row in table:
            path = folder / names[row["language"]] / row["audio"]["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(row["audio"]["bytes"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
