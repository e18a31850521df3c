#!/usr/bin/env python
"""Train the demo in Python, read its results, and classify a clip.

python examples/python_api/train_and_use.py OUTPUT_DIR
"""

from __future__ import annotations

import sys
from pathlib import Path

import audio_cls
from audio_cls.config import DataConfig
from audio_cls.data.load import load_dataset


def main(output_dir: Path, **settings: object) -> list[str]:
    """Train with the settings of the demo, changed by `settings`; return the lines to print."""
    values = {"output_dir": str(output_dir), **settings}
    run = audio_cls.train(audio_cls.config_from_preset("demo", values))

    low, high = run.results.test["accuracy_ci95"]
    num_clips = run.results.dataset.split["test"].num_examples
    interval = f"95 % interval {low:.2f} to {high:.2f}"
    lines = [f"accuracy {run.metrics['accuracy']:.2f} ({interval}) on {num_clips} test clips"]

    clips = load_dataset(DataConfig(dataset="builtin:tiny_speech")).splits["test"]
    classifier = run.load_classifier()
    prediction = classifier(clips[0]["audio"]["bytes"])  # or a path, or (samples, sampling_rate)
    return [*lines, f"{prediction.label} {prediction.score:.2f} clip of the test split"]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.stdout.write("\n".join(main(Path(sys.argv[1]))) + "\n")
