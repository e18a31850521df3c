"""Figures of the card: order, titles and captions of the files in RUN/figures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from audio_cls.publishing.card.markdown import Markdown
from audio_cls.publishing.card.weakest_tables import has_families
from audio_cls.publishing.run_record import RunRecord

# File name without suffix -> title and caption. They are shown in this order.
CAPTIONS = {
    "training_examples": (
        "Training examples",
        "Six training examples as the model receives them, with their labels.",
    ),
    "curves": ("Training curves", "Loss and validation metrics by epoch."),
    "probe_layers": (
        "Score by layer",
        "The clips that the layer was chosen on, classified from each layer of the encoder.",
    ),
    "confusion_matrix": (
        "Confusion matrix",
        "Test clips by true and predicted class; the colour is the share of the true class.",
    ),
    "most_confused": (
        "Most confused pairs",
        "The pairs of true and predicted class with the most errors on the test clips.",
    ),
    "families": (
        "Confusion of language families",
        "Test clips by true and predicted language family.",
    ),
    "labels": ("Scores by label", "Average precision and F1 of each label on the test clips."),
    "reliability": (
        "Calibration",
        "Accuracy by predicted probability on the test clips, and the number of predictions below.",
    ),
    "durations": ("Duration", "Correct and wrong test clips by duration."),
}
MULTI_LABEL_CAPTIONS = {
    "reliability": "Share of test clips with a label by its predicted probability, and the number"
    " of clip-label pairs below.",
}
TRAINING = ("curves", "probe_layers")
DATA = ("training_examples",)


@dataclass(frozen=True)
class CardFigure:
    """A figure: its title, and the image with its caption."""

    title: str
    image: Markdown


def list_figures(record: RunRecord, names: Collection[str] | None = None) -> list[CardFigure]:
    """Return the figures that exist.

    Args:
        record: The run.
        names: Files without suffix; None for those of the evaluation.
    """
    there = {name.removesuffix(".png") for name in record.figures}
    if not has_families(record):
        there.discard("families")
    if names is None:
        names = there - {*TRAINING, *DATA}
    ranks = {name: place for place, name in enumerate(CAPTIONS)}
    shown = sorted(there & {*names}, key=lambda name: (ranks.get(name, len(ranks)), name))
    captions = MULTI_LABEL_CAPTIONS if record.is_multilabel else {}
    return [_make_figure(name, captions.get(name)) for name in shown]


def _make_figure(name: str, given: str | None) -> CardFigure:
    """Return one figure, with another caption than the usual one if it is given."""
    title, caption = CAPTIONS.get(name, (name.replace("_", " ").capitalize(), ""))
    caption = given or caption
    image = f"![{title}](figures/{name}.png)"
    return CardFigure(title, Markdown(f"{image}\n\n*{caption}*" if caption else image))
