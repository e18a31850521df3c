"""Notebooks of examples/: without outputs, and they run from top to bottom, offline.

The long tests replace the values of the cell with the tag `parameters`; the rest is as it is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer
from tiny_models import write_tiny_checkpoint

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_no_outputs_and_one_cell_of_parameters(path: Path) -> None:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    assert sum(cell["metadata"].get("tags") == ["parameters"] for cell in code) == 1
    assert {*cells[0]["metadata"], *cells[1]["metadata"]} == set()
    assert path.stat().st_size < 16_000


def open_notebook(name: str, **parameters: object) -> Any:  # noqa: ANN401
    """Return a notebook whose cell of parameters has other values."""
    import nbformat

    notebook = nbformat.read(ROOT / "examples" / name, as_version=4)
    (cell,) = [one for one in notebook.cells if one.metadata.get("tags") == ["parameters"]]
    for key, value in parameters.items():
        line = f"{key} = {value!r}".replace("\\", r"\\")
        cell.source, count = re.subn(rf"^{key} = .*$", line, cell.source, flags=re.M)
        assert count == 1, key
    return notebook


def run_notebook(notebook: Any, folder: Path, **variables: str) -> str:  # noqa: ANN401
    """Run all cells in a new kernel; return what they print.

    Args:
        notebook: The notebook; its outputs are filled.
        folder: The folder of the kernel. It gets the example that a notebook runs.
        variables: Environment variables of the kernel.
    """
    from nbclient import NotebookClient

    example = "your_own_folder"
    shutil.copytree(ROOT / "examples" / example, folder / example, dirs_exist_ok=True)
    client = NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT), **variables})
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", [])]
    return "".join(one.get("text", "") for one in outputs)


def count_shown(notebook: Any, kind: str) -> int:  # noqa: ANN401
    """Return the number of outputs of a media type."""
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", [])]
    return sum(kind in one.get("data", {}) for one in outputs)


@pytest.mark.long
def test_train_and_share_publishes_the_run(tmp_path: Path, hub: HubServer) -> None:
    run = tmp_path / "my_run"
    settings = {"max_steps": 2}
    notebook = open_notebook("train_and_share.ipynb", RUN=str(run), SETTINGS=settings)
    endpoint = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.write_token, "HF_HUB_OFFLINE": "0"}
    text = run_notebook(notebook, tmp_path, **endpoint, NO_PROXY="127.0.0.1,localhost")
    assert "3 classes: fr it ru\ndigits_40.flac ru\n" in text
    assert "train: 120 clips" in text and "Best step 2 of 2" in text
    assert "Error" not in text
    assert count_shown(notebook, "image/png") == 3
    assert sum("<audio" in str(one) for cell in notebook.cells for one in cell.get("outputs", []))
    files = hub.files("models", "tester/my_run")
    assert files["model.safetensors"] == (run / "model.safetensors").read_bytes()
    assert {"README.md", "config.json", "predictions.csv", "results.json"} <= files.keys()


@pytest.mark.long
def test_without_a_token_the_notebook_states_how_to_log_in(tmp_path: Path) -> None:
    notebook = open_notebook("train_and_share.ipynb")
    notebook.cells = notebook.cells[-1:]
    text = run_notebook(notebook, tmp_path, HF_HOME=str(tmp_path))
    assert text.startswith("Not published") and "notebook_login()" in text


@pytest.mark.long
def test_your_own_sounds_trains_and_serves_the_page(tmp_path: Path) -> None:
    import nbformat

    model = write_tiny_checkpoint("hubert", tmp_path / "model")
    notebook = open_notebook(
        "your_own_sounds.ipynb", MODEL=str(model), SETTINGS={"epochs": 2, "batch_size": 20}
    )
    check = "import urllib.request\nprint('page', urllib.request.urlopen(address).status)"
    notebook.cells.append(nbformat.v4.new_code_cell(check))
    text = run_notebook(notebook, tmp_path, NO_PROXY="127.0.0.1,localhost")
    assert "3: fr, it, ru" in text and "kept: " in text
    assert "Error" not in text
    assert re.search(r"^[1-9]\d* mistakes in \d+ test clips$", text, flags=re.M)
    assert re.search(r"^(fr|it|ru)/\S+: (fr|it|ru), predicted as (fr|it|ru) \(0", text, flags=re.M)
    assert text.endswith("page 200\n")
