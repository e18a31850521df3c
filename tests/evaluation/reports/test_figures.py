"""Figures: there, legible on any page, true to the files, and drawn only when asked for."""

from __future__ import annotations

import ast
import csv
from pathlib import Path

import numpy as np
import pytest
from made_scores import make_metadata, make_scores
from PIL import Image

from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports import figures
from audio_cls.evaluation.reports.predictions_file import write_metadata, write_predictions

SUMMARY = """epoch,step,train_loss,validation_loss,accuracy,f1_macro,roc_auc,learning_rate,seconds
1,10,1.1,1.0,0.5,0.4,,1e-4,3
2,20,0.9,0.8,0.6,0.5,0.7,0,3
"""


def write_run(folder: Path, num_labels: int, num_clips: int = 60) -> list[str]:
    """Write the files of a run with difficult label names, and return those."""
    folder.mkdir(exist_ok=True)
    hard = ["$x$_1^2", "a very long label that nobody can read", "üñí"]
    names = [hard[n] if n < 3 else f"label {n}" for n in range(num_labels)]
    scores = make_scores(num_clips, num_labels)
    write_predictions(folder / "predictions.csv", scores, names)
    write_metadata(folder / "clips.csv", scores, make_metadata(num_clips))
    (folder / "summary.csv").write_text(SUMMARY, "utf-8")
    return names


@pytest.mark.parametrize("num_labels", [3, 10, 100])
def test_figures_grow_with_the_classes_and_are_transparent(num_labels: int, tmp_path: Path) -> None:
    write_run(tmp_path, num_labels)
    drawn = figures.draw_figures(tmp_path)
    names = ["confusion_matrix", "reliability", "durations", "curves"]
    assert sorted(path.stem for path in drawn) == sorted(names)
    for path in drawn:
        assert Image.open(path).convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]
    width, height = Image.open(tmp_path / "figures" / "confusion_matrix.png").size
    assert 400 < width < 2600
    assert height > (1500 if num_labels == 100 else 400)  # 15 points of the page a class


def test_languages_get_a_matrix_of_families_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[list[int], list[str]]] = []
    real = figures.draw_matrix
    monkeypatch.setattr(
        figures,
        "draw_matrix",
        lambda matrix, names: (drawn.append((matrix.tolist(), list(names))), real(matrix, names))[
            1
        ],
    )
    labels, predicted = np.array([0, 1, 2, 3, 4, 0]), np.array([1, 1, 3, 0, 4, 0])
    scores = Scores(np.array(list("abcdef")), labels, np.eye(5)[predicted])
    write_predictions(tmp_path / "predictions.csv", scores, ["fr", "it", "de", "sv", "fi"])
    assert "families" in {path.stem for path in figures.draw_figures(tmp_path)}
    families = [[3, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert drawn[1] == (families, ["Romance", "Germanic", "Uralic"])


def test_matrix_table_holds_every_clip_in_its_cell(tmp_path: Path) -> None:
    names = write_run(tmp_path, 4)
    figures.draw_figures(tmp_path)
    with (tmp_path / "figures" / "confusion_matrix.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header[1:] == [row[0] for row in rows] == names
    scores = make_scores(60, 4)
    for true, row in enumerate(rows):
        for predicted, cell in enumerate(row[1:]):
            both = (scores.targets == true) & (scores.predictions == predicted)
            assert int(cell) == both.sum()


def test_lines_and_text_stand_out_on_light_and_dark_pages() -> None:
    def light(colour: str) -> float:  # relative luminance, WCAG 2.1
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for page in ("#ffffff", "#0d1117"):
        for colour, least in (
            (figures.GREY, 4.3), (figures.BLUE, 3), (figures.RED, 3), (figures.GREEN, 3),
        ):  # fmt: skip
            dark, bright = sorted([light(page), light(colour)])
            assert (bright + 0.05) / (dark + 0.05) >= least


def test_one_clip_without_a_training_is_drawn_to_the_same_bytes_each_time(tmp_path: Path) -> None:
    write_run(tmp_path, 3, num_clips=1)
    (tmp_path / "summary.csv").unlink()
    first = [path.read_bytes() for path in figures.draw_figures(tmp_path)]
    assert len(first) == 3
    assert [path.read_bytes() for path in figures.draw_figures(tmp_path)] == first


def test_no_module_imports_matplotlib_before_a_figure_is_drawn() -> None:
    package = Path(figures.__file__).parents[2]
    modules = sorted(package.rglob("*.py"))
    assert len(modules) > 40
    for module in modules:
        for node in ast.parse(module.read_text("utf-8")).body:  # the top level alone
            names = [alias.name for alias in getattr(node, "names", [])]
            if isinstance(node, ast.Import | ast.ImportFrom):
                names.append(getattr(node, "module", None) or "")
            assert not any(name.startswith("matplotlib") for name in names), module
