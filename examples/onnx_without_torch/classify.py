#!/usr/bin/env python
"""Classify audio files with an exported model, without PyTorch.

python examples/onnx_without_torch/classify.py EXPORTED FILE ...

EXPORTED is the folder of `audio-cls export`. Prints the label and score of each file; for a file
that is longer than a window also those of its windows, with their times in seconds.
"""

from __future__ import annotations

import sys

from audio_cls.inference.onnx import OnnxClassifier


def main(exported: str, files: list[str]) -> None:
    """Print a line per file, and one per window of long files."""
    classifier = OnnxClassifier.from_pretrained(exported)
    for prediction in classifier(files):
        if prediction.error is not None:
            sys.stdout.write(f"{prediction.file}\t{prediction.error}\n")
            continue
        sys.stdout.write(f"{prediction.file}\t{prediction.label}\t{prediction.score:.3f}\n")
        windows = list(classifier.windows(prediction.file))
        for window in windows if len(windows) > 1 else ():
            times = f"{window.start:.2f}\t{window.end:.2f}"
            sys.stdout.write(f"  {times}\t{window.label}\t{window.score:.3f}\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
