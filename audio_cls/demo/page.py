"""The demo page, built with gradio: tabs for a clip, the live microphone and a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from audio_cls.demo.clip_result import NOTHING, TIMELINE, Limits, classify_clip
from audio_cls.demo.dataset_clips import DatasetClips
from audio_cls.demo.dataset_tab import add_dataset_tab
from audio_cls.demo.live_tab import add_live_tab
from audio_cls.errors import count_of, list_names
from audio_cls.inference.base_classifier import BaseClassifier
from audio_cls.publishing.card.markdown import escape

CACHE_SECONDS = 3600  # after which an uploaded file is deleted; also the time between two checks
MODEL: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "model"}  # of its events
NUM_SCORES = 5  # labels shown with their scores
MICROPHONE = (
    "Recordings: the page asks the browser to turn off gain control and noise suppression, but not"
    " every browser does. For exact scores, upload a file."
)


@dataclass(frozen=True)
class PageSettings:
    """Texts, limits and examples of the page."""

    title: str
    limits: Limits
    examples: Sequence[Path] = field(default_factory=tuple)


def build_page(
    classifier: BaseClassifier, settings: PageSettings, clips: DatasetClips | None = None
) -> gr.Blocks:
    """Build the page.

    Args:
        classifier: The model.
        settings: Texts, limits and examples.
        clips: The data set to listen to; None: no such tab.

    Returns:
        The page; `serve_page` starts it.
    """
    with gr.Blocks(
        title=settings.title,
        analytics_enabled=False,
        delete_cache=(CACHE_SECONDS, CACHE_SECONDS),
    ) as page:
        gr.Markdown(f"# {escape(settings.title)}\n\n{describe_model(classifier)}")
        with gr.Tab("Clip"):
            _add_clip_tab(classifier, settings)
        with gr.Tab("Live microphone"):
            add_live_tab(classifier, MODEL, NUM_SCORES, MICROPHONE)
        if clips is not None:
            with gr.Tab("Data set"):
                add_dataset_tab(page, clips, NUM_SCORES)
    return page


def describe_model(classifier: BaseClassifier) -> str:
    """Return the line below the title, as Markdown."""
    names = list_names(classifier.labels)
    how = "each with a score of its own" if classifier.is_multilabel else "one per clip"
    is_scaled = classifier.temperature != 1.0
    scaled = "; the scores are calibrated by temperature scaling" if is_scaled else ""
    return f"{count_of(len(classifier.labels), 'label')}, {how}: {escape(names, 600)}{scaled}."


def _add_clip_tab(classifier: BaseClassifier, settings: PageSettings) -> None:
    """Add the tab that classifies an uploaded or recorded clip, or an example."""
    with gr.Row():
        with gr.Column():
            audio = gr.Audio(
                sources=["upload", "microphone"],
                type="filepath",
                label=f"Audio: {settings.limits.describe()}",
                buttons=[],
                elem_id="clip",
            )
            if settings.examples:
                gr.Examples(
                    [[str(path)] for path in settings.examples],
                    audio,
                    example_labels=[path.stem for path in settings.examples],
                )
        with gr.Column():
            message = gr.Markdown(NOTHING, elem_id="message")
            scores = gr.Label(label="Scores", num_top_classes=NUM_SCORES, elem_id="scores")
            figure = gr.Plot(label="Waveform and spectrogram", show_label=False, elem_id="figure")
            timeline = gr.Dataframe(
                headers=list(TIMELINE),
                label="Timeline",
                interactive=False,
                visible=False,
                max_height=300,
                elem_id="timeline",
            )
    gr.Markdown(MICROPHONE)

    def classify(path: str | None, progress: gr.Progress = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        """Return message, scores, figure and timeline for a file."""
        result = classify_clip(classifier, path, settings.limits, progress)
        table = gr.Dataframe(value=result.rows, visible=bool(result.rows))
        return result.message, result.scores, result.figure, table

    outputs = [message, scores, figure, timeline]
    audio.change(classify, audio, outputs, api_name="classify", **MODEL)
