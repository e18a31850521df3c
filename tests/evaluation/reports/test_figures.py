"""Figures: there, legible on any page, true to the files, and drawn only when asked for."""

from __future__ import annotations

import ast
import csv
from pathlib import Path

import numpy as np
import pytest
from made_scores import make_metadata, make_scores
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports import figure_style, figures
from audio_cls.evaluation.reports.confusion_figures import draw_confused_pairs, draw_matrix
from audio_cls.evaluation.reports.predictions_file import write_metadata, write_predictions
from audio_cls.run_warnings import collect_warnings
from audio_cls.runs.results import ProbedLayer, ProbeResults, RunResults, write_results

SUMMARY = """epoch,step,train_loss,validation_loss,accuracy,f1_macro,roc_auc,learning_rate,seconds
1,10,1.1,1.0,0.5,0.4,,1e-4,3
2,20,0.9,0.8,0.6,0.5,0.7,0,3
"""


def write_run(folder: Path, num_labels: int, num_clips: int = 60) -> list[str]:
    """Write the files of a run with difficult label names, and return those."""
    folder.mkdir(exist_ok=True)
    hard = ["$x$_1^2", "a very long label that no axis can show", "üñí"]
    names = [hard[n] if n < 3 else f"label {n}" for n in range(num_labels)]
    scores = make_scores(num_clips, num_labels)
    write_predictions(folder / "predictions.csv", scores, names)
    write_metadata(folder / "clips.csv", scores, make_metadata(num_clips))
    (folder / "summary.csv").write_text(SUMMARY, "utf-8")
    return names


@pytest.mark.parametrize("num_labels", [3, 40, 50, 300])
def test_figures_fit_a_page_and_have_a_white_background(num_labels: int, tmp_path: Path) -> None:
    write_run(tmp_path, num_labels)
    drawn = figures.draw_figures(tmp_path)
    names = ["reliability", "durations", "curves"]
    names.append("confusion_matrix" if num_labels <= 40 else "most_confused")
    assert sorted(path.stem for path in drawn) == sorted(names)
    for path in drawn:
        image = Image.open(path).convert("RGBA")
        assert image.getpixel((0, 0)) == (255, 255, 255, 255)
        assert 500 < image.width < 1400 and 300 < image.height < 1400, path
    assert (tmp_path / "figures" / "confusion_matrix.csv").is_file()


def read_texts(figure: Figure) -> set[str]:
    """Return all texts of a figure: titles, axis labels, ticks and legends."""
    figure.canvas.draw()
    return {text.get_text() for text in figure.findobj(Text) if text.get_text()}  # type: ignore[attr-defined]


def test_every_axis_has_a_label_and_every_figure_a_title() -> None:
    scores, rows = make_scores(60, 3), list(csv.DictReader(SUMMARY.splitlines()))
    matrix = np.array([[5, 2, 0], [0, 7, 1], [3, 0, 9]])
    names = ["a", "b", "c"]
    multi = Scores(scores.ids, np.eye(3)[scores.targets], scores.probabilities)
    made = {
        "Reliability diagram": figures.draw_reliability(scores, {}),
        "Confusion matrix (27 clips)": draw_matrix(matrix, names),
        "Most confused pairs of 3 classes (3 most frequent)": draw_confused_pairs(matrix, names),
        "Average precision and F1 by label": figures.draw_labels(multi, names),
        "Predictions by duration of the clip": figures.draw_durations(
            make_metadata(60).seconds, scores.is_correct
        ),
        "Validation metrics": figures.draw_curves(rows, RunResults()),
    }
    for title, figure in made.items():
        assert figure is not None and title in read_texts(figure)
        for axes in figure.axes:
            assert axes.get_ylabel(), title
            shared = ("accuracy", "share of the clips with the true label")
            is_shared = axes.get_ylabel().startswith(shared)
            assert axes.get_xlabel() or is_shared, title


def test_reliability_names_the_curves_by_what_was_done_to_the_scores() -> None:
    scores = make_scores(60, 3)
    both = read_texts(figures.draw_reliability(scores, {"temperature": 1.5, "is_applied": False}))
    assert {"uncalibrated", "after temperature scaling (T = 1.50)", "perfect calibration"} <= both
    applied = read_texts(figures.draw_reliability(scores, {"temperature": 1.5, "is_applied": True}))
    assert "after temperature scaling (T = 1.50)" in applied and "uncalibrated" not in applied
    assert "uncalibrated" in read_texts(figures.draw_reliability(scores, {}))


def test_one_evaluation_has_one_tick_and_many_have_few() -> None:
    rows = list(csv.DictReader(SUMMARY.splitlines()))
    left = figures.draw_curves(rows[:1], RunResults()).axes[0]
    assert [text.get_text() for text in left.get_xticklabels()] == ["1"]
    two = [{**rows[0], "epoch": str(epoch)} for epoch in (1, 2)]
    ticks = figures.draw_curves(two, RunResults()).axes[0].get_xticks()
    assert all(tick == round(tick) for tick in ticks) and {1, 2} <= set(ticks.tolist())
    many = [{**rows[0], "epoch": str(epoch)} for epoch in range(1, 201)]
    results = RunResults(metric="f1_macro", validation={"epoch": 150})
    figure = figures.draw_curves(many, results)
    figure.canvas.draw()
    assert 3 <= len(figure.axes[0].get_xticks()) <= 10
    assert "best epoch (150)" in read_texts(figure)
    lines = [str(line.get_label()) for line in figure.axes[1].get_lines()]
    assert lines == ["f1_macro", "accuracy", "best epoch (150)"]  # roc_auc has no value


def test_pairs_show_how_many_clips_of_the_true_label_are_wrong() -> None:
    matrix = np.zeros((50, 50), np.int64)
    matrix[3, 7], matrix[3, 3], matrix[9, 1] = 4, 6, 2
    figure = draw_confused_pairs(matrix, [f"label {n}" for n in range(50)])
    assert figure is not None
    assert {"label 3 → label 7", " 4 of 10", "label 9 → label 1", " 2 of 2"} <= read_texts(figure)
    assert draw_confused_pairs(np.eye(50, dtype=np.int64), ["a"] * 50) is None  # no clip is wrong


def test_hundreds_of_labels_are_cut_to_the_weakest() -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((200, 300)) < 0.2).astype(np.float32)
    scores = Scores(np.arange(200).astype(str), targets, rng.random((200, 300)))
    figure = figures.draw_labels(scores, [f"label {n}" for n in range(300)])
    assert len(figure.axes[0].get_yticks()) == 40
    assert "Average precision and F1 by label, the 40 weakest of 300" in read_texts(figure)


def test_languages_get_a_matrix_of_families_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[list[int], list[str]]] = []
    real = figures.draw_matrix
    monkeypatch.setattr(
        figures,
        "draw_matrix",
        lambda matrix, names, *title: (
            drawn.append((matrix.tolist(), list(names))),
            real(matrix, names, *title),
        )[1],
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


def test_lines_and_text_are_legible_on_their_background() -> None:
    def light(colour: str) -> float:  # relative luminance, WCAG 2.1
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for colour, least in ((figure_style.TEXT, 7), *((one, 3) for one in figure_style.COLOURS)):
        dark, bright = sorted([light(figure_style.BACKGROUND), light(colour)])
        assert (bright + 0.05) / (dark + 0.05) >= least


def test_one_clip_without_a_training_is_drawn_to_the_same_bytes_each_time(tmp_path: Path) -> None:
    write_run(tmp_path, 3, num_clips=1)
    (tmp_path / "summary.csv").unlink()
    layers = [ProbedLayer(layer=1, score=0.5, is_chosen=True)]
    write_results(tmp_path, RunResults(probe=ProbeResults(layers=layers, scored_on="9 clips")))
    first = [path.read_bytes() for path in figures.draw_figures(tmp_path)]
    names = sorted(path.stem for path in tmp_path.glob("figures/*.png"))
    assert names == ["confusion_matrix", "reliability"]  # one duration, one layer
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


def draw_labels(labels: list[str], path: Path) -> None:
    """Save a confusion matrix of these labels."""
    matrix = np.eye(len(labels), dtype=np.int64)
    figure_style.save_figure(draw_matrix(matrix, labels, "Confusion matrix"), path)


def test_labels_without_a_font_give_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(figure_style, "FALLBACK_FONTS", ())
    texts = collect_warnings()
    draw_labels(["لا", "افتح", "rock"], tmp_path / "arabic.png")
    assert texts == []  # matplotlib's font has Arabic letters
    for name in "ab":
        draw_labels(["打开", "关闭", "rock"], tmp_path / f"{name}.png")
    assert len(texts) == 1 and "apt install fonts-noto-cjk" in texts[0]
    assert not any("Glyph" in str(one.message) for one in recwarn)


def test_an_installed_font_draws_what_the_main_font_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fallback is used only where a label needs it."""
    monkeypatch.setattr(figure_style, "MAIN_FONT", "STIXSizeOneSym")  # brackets only
    monkeypatch.setattr(figure_style, "FALLBACK_FONTS", ("No such font", "DejaVu Sans"))
    texts = collect_warnings()
    assert figure_style.choose_fonts({"("}) == ["STIXSizeOneSym"]
    assert figure_style.choose_fonts({"(", "ت"}) == ["STIXSizeOneSym", "DejaVu Sans"]
    draw_labels(["افتح", "لا"], tmp_path / "x.png")
    assert texts == []
