"""What all tests share: no network, a cache of their own, and sounds made on the spot."""

from __future__ import annotations

import base64
import contextlib
import gc
import io
import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_PREFIX = "audio_cls_tests_"
for _left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):  # by a run that was killed
    with contextlib.suppress(FileNotFoundError):  # another process may remove it, too
        if time.time() - _left.stat().st_mtime > 24 * 3600:
            shutil.rmtree(_left, ignore_errors=True)
_CACHE = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)  # goes at exit
# Set before any Hugging Face library is imported: they read these once.
os.environ.update(
    HF_HOME=_CACHE.name,
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_XET="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    HF_DATASETS_DISABLE_PROGRESS_BARS="1",
    OMP_NUM_THREADS="1",  # tests run side by side, and results do not depend on the machine
    ONEDNN_MAX_CPU_ISA="AVX2",  # float32 by default: results do not depend on the processor
)
for _name in ("HF_TOKEN", "HF_ENDPOINT", "HUGGING_FACE_HUB_TOKEN"):
    os.environ.pop(_name, None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: tests send it
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from tones import Wave, make_tone  # noqa: E402

from audio_cls import run_warnings  # noqa: E402
from audio_cls.evaluation.metrics import intervals  # noqa: E402
from audio_cls.evaluation.reports import figure_style  # noqa: E402

pytest_plugins = ("hub_fixtures",)
WHITE_PIXEL = base64.b64decode(  # PNG
    b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
)
torch.set_num_threads(1)  # tiny networks are faster so, and results do not depend on the machine


def pytest_collection_finish() -> None:
    """Keep what is imported out of all later collections of garbage, which take a second each."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def silent_logger() -> Iterator[None]:
    """Take off what a command set up to show messages, so that no other test sees them."""
    yield
    logging.getLogger("audio_cls").handlers.clear()


@pytest.fixture(autouse=True)
def no_run() -> Iterator[None]:
    """End the list of warnings of a run, which would keep later tests from logging the same."""
    yield
    run_warnings._collected.set(None)


@pytest.fixture(scope="module", autouse=True)
def plain_figures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Write one white pixel instead of each figure: drawing is half of the time of a small run.

    Tests of the figures, and runs in processes of their own, draw them.
    """
    if "evaluation/reports" in request.path.as_posix():
        yield
        return

    def save(_: Figure, file: Path | io.BytesIO, **__: Any) -> None:  # noqa: ANN401
        write = file.write_bytes if isinstance(file, Path) else file.write
        write(WHITE_PIXEL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        patch.setattr(figure_style, "set_fonts", lambda _: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def quick_runs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take out of runs what costs time and no test can see.

    An interval takes 100 resamples instead of 1000, a tenth of the time of a small run, and files
    are written without waiting for the disk, which counts only when a machine loses its power.
    Tests of the metrics, of what documents show, of files, and runs in processes of their own do
    both.
    """
    root, *folders = request.path.relative_to(Path(__file__).parents[1]).parts[:-1]
    if root != "tests" or not folders or folders[0] in ("evaluation", "storage"):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "NUM_DRAWS", 100)
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def tone() -> Callable[..., Wave]:
    """Give tests the sine maker."""
    return make_tone


@pytest.fixture(scope="session")
def tone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of clips, a sub-folder a class, whose classes are frequencies.

    Three classes of 20 clips, 0.3 to 0.6 s at 16 kHz: so easy that a tiny network must learn it.
    """
    root = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    for label, hz in {"low": 200, "middle": 800, "high": 3000}.items():
        (root / label).mkdir()
        for number in range(20):
            wave = make_tone(hz * rng.uniform(0.95, 1.05), rng.uniform(0.3, 0.6), seed=number)
            soundfile.write(root / label / f"{label}-{number:02d}.wav", wave, 16_000)
    return root
