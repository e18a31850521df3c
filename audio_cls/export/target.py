"""Folder of an export: checks before slow work, and files that appear as a whole or not at all."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audio_cls.errors import ModelError, RunFolderError, list_names
from audio_cls.inference.onnx.classifier import MODEL_FILE
from audio_cls.inference.onnx.session import INSTALL
from audio_cls.storage.files import apply_umask, is_disk_full

LIBRARIES = ("onnx", "onnxruntime", "onnxscript")
FILES = ("config.json", "preprocessor_config.json", "README.md", "onnx")  # of an export


def check_libraries() -> None:
    """Check that the libraries of the extra `onnx` are installed; none is imported.

    Raises:
        ModelError: One is not.
    """
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(
            f"The export to ONNX needs {list_names(missing)}, not installed here. Run: {INSTALL}"
        )


def check_target(out: Path, model: str, *, overwrite: bool) -> None:
    """Check that an export may be written to a folder.

    Raises:
        RunFolderError: There is something already, it is the model's own folder, or it cannot be
            written.
    """
    parent = next(one for one in out.absolute().parents if one.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise RunFolderError(
            f"OUT '{out}' cannot be written: '{parent}' is not a folder in which you may write."
            " Give another folder."
        )
    if out.resolve() == Path(model).resolve():
        raise RunFolderError(
            f"OUT is the folder of the model, '{model}', whose README.md would be replaced. Give"
            f" another folder, such as '{out.name}-onnx'."
        )
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / MODEL_FILE).is_file():
        raise RunFolderError(
            f"OUT '{out}' exists and is not an export: it has no {MODEL_FILE}. Give a folder that"
            " does not exist."
        )
    if not overwrite:
        raise RunFolderError(
            f"OUT '{out}' has an export already. Add --overwrite to replace it, or give another"
            " folder."
        )


@contextmanager
def write_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder next to `out`, whose files are moved there if the block succeeds.

    Files of an earlier export are replaced or removed, other files in `out` stay. If the block
    fails, `out` is as before.

    Raises:
        RunFolderError: The disk is full.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    try:
        (partial / "onnx").mkdir()
        yield partial
        apply_umask(partial)
        out.mkdir(exist_ok=True)
        for name in FILES:
            _remove(out / name)
            (partial / name).replace(out / name)
    except (OSError, RuntimeError) as error:
        if not is_disk_full(error):
            raise
        raise RunFolderError(
            f"No space left for the export in '{out.parent}'; '{out}' is as before. Free some"
            " space, then repeat the command."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
