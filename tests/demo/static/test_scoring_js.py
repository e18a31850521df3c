"""Windows, aggregation and temperature of the static page equal those of the package."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_cls.audio.windows import cut_wave, list_windows
from audio_cls.config import AudioConfig
from audio_cls.demo.static.write_static import PAGE
from audio_cls.inference.aggregation import aggregate_windows, apply_temperature

RATE = 1000
AGGREGATES = ("mean-logit", "mean-probability", "max", "vote", "first")
PROGRAM = """
import {{ aggregate, cutWave, listWindows, scale }} from "{path}";
const cases = JSON.parse(process.argv[1]);
console.log(JSON.stringify(cases.map((one) => {{
  if (one.length) return listWindows(one.length, one);
  if (one.wave) return Array.from(cutWave(one.wave, one.place, one.minimum));
  return scale(aggregate(one.logits, one), one);
}})));
"""


def run_node(cases: list[dict[str, Any]], tmp_path: Path) -> list[Any]:
    """Return what the functions of scoring.js return for the cases."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    shutil.copyfile(PAGE / "scoring.js", tmp_path / "scoring.mjs")
    program = PROGRAM.format(path=(tmp_path / "scoring.mjs").as_posix())
    words = [node, "--input-type=module", "--eval", program, "--", json.dumps(cases)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: list[Any] = json.loads(done.stdout)
    return found


def test_windows_are_the_same(tmp_path: Path) -> None:
    cases, expected = [], []
    for length in (1, 399, 400, 401, 419, 420, 800, 1234, 5000):
        for hop in (None, 0.4, 0.15, 0.05):
            for how in ("mean-logit", "first"):
                for repeat_short in (False, True):
                    cfg = AudioConfig(
                        max_seconds=0.4,
                        hop_seconds=hop,
                        aggregate=how,  # type: ignore[arg-type]
                        repeat_short=repeat_short,
                    )
                    expected.append([list(one) for one in list_windows(length, cfg, RATE)])
                    settings = {"window": 400, "hop": round((hop or 0.4) * RATE)}
                    given = {"aggregate": how, "repeat_short": repeat_short}
                    cases.append({"length": length, **settings, **given})
    assert run_node(cases, tmp_path) == expected


def test_waves_are_cut_repeated_and_padded(tmp_path: Path) -> None:
    wave = np.arange(1, 6, dtype=np.float32)
    cases = [
        {"wave": wave.tolist(), "place": place, "minimum": minimum}
        for place in ((1, 4), (0, 12), (0, 2))
        for minimum in (0, 7)
    ]
    for found, case in zip(run_node(cases, tmp_path), cases, strict=True):
        cut = cut_wave(wave, *case["place"])
        assert found == np.pad(cut, (0, max(0, case["minimum"] - len(cut)))).tolist()


def test_probabilities_are_the_same(tmp_path: Path) -> None:
    logits = np.random.default_rng(0).normal(0, 4, (5, 3))
    logits[1] = [2.0, 2.0, -9.0]  # a tie
    cases, expected = [], []
    for how in AGGREGATES:
        for is_multilabel in (False, True):
            for temperature in (1.0, 0.6, 2.5):
                given = {"aggregate": how, "is_multilabel": is_multilabel}
                cases.append({"logits": logits.tolist(), "temperature": temperature, **given})
                found = aggregate_windows(logits, how, is_multilabel=is_multilabel)
                if temperature != 1.0:
                    found = apply_temperature(found, temperature, is_multilabel=is_multilabel)
                expected.append(found)
    assert np.array(run_node(cases, tmp_path)) == pytest.approx(np.array(expected), abs=1e-9)
