"""Tab with the clips of a data set and the model's mistakes, to listen to."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from audio_cls.demo.dataset_clips import DatasetClips, View
from audio_cls.errors import AudioError, count_of
from audio_cls.publishing.card.markdown import escape

VIEWS = {"mistakes": "Mistakes", "test": "Test clips", "all": "All clips"}
ANY = "(any label)"
MAX_ROWS = 500
HEADERS = ["clip", "label", "prediction", "score"]
PRIVATE: dict[str, Any] = {"api_visibility": "private"}


def add_dataset_tab(page: gr.Blocks, clips: DatasetClips, num_scores: int) -> None:
    """Add the tab: a list of clips, and a player for the one that is selected."""
    choices = [(text, view) for view, text in VIEWS.items()]
    first = "mistakes" if clips.num_mistakes else "test"
    if not clips.predictions:
        choices, first = choices[-1:], "all"
    labels = sorted({label for label in clips.labels if label})
    with gr.Row():
        with gr.Column():
            view = gr.Radio(choices, value=first, label="Show", elem_id="view")
            label = gr.Dropdown([ANY, *labels], value=ANY, label="Label")
            gr.Markdown(describe_clips(clips))
            count = gr.Markdown(elem_id="clip-count")
            table = gr.Dataframe(
                headers=HEADERS,
                interactive=False,
                max_height=400,
                label="Select a clip to listen to it",
                elem_id="clips",
            )
        with gr.Column():
            about = gr.Markdown("No clip is selected.", elem_id="selected")
            player = gr.Audio(interactive=False, label="Clip", buttons=[], elem_id="player")
            scores = gr.Label(label="Scores of the model's run", num_top_classes=num_scores)

    def list_clips(view: View, label: str) -> tuple[str, list[list[str]]]:
        """Return the number of clips and the table."""
        wanted = None if label == ANY else label
        rows = clips.list_rows(view, wanted, MAX_ROWS + 1)
        text = f"The first {MAX_ROWS} clips:" if len(rows) > MAX_ROWS else ""
        return text or f"{count_of(len(rows), 'clip')}:", rows[:MAX_ROWS]

    def select(event: gr.SelectData) -> tuple[str, Any, dict[str, float] | None]:
        """Return text, sound and scores of the selected clip."""
        return show_clip(clips, str(event.row_value[0]))

    gr.on(
        [view.change, label.change, page.load],
        list_clips,
        [view, label],
        [count, table],
        **PRIVATE,
    )
    table.select(select, None, [about, player, scores], **PRIVATE)


def describe_clips(clips: DatasetClips) -> str:
    """Return the numbers of clips and mistakes."""
    text = count_of(len(clips.ids), "clip")
    if not clips.predictions:
        return f"{text}; the model's run has no predictions for them."
    tests = count_of(len(clips.predictions), "test clip")
    return f"{text}, {tests}, {count_of(clips.num_mistakes, 'mistake')}."


def show_clip(
    clips: DatasetClips, clip: str
) -> tuple[str, tuple[int, np.ndarray] | None, dict[str, float] | None]:
    """Return text, sound (rate, samples (T,) as int16) and scores of a clip."""
    found = clips.predictions.get(clip)
    scores = found.scores if found else None
    try:
        wave = clips.read_wave(clip)
    except AudioError as error:
        return f"{escape(clip)} cannot be played: {error}.", None, scores
    samples = (np.clip(wave, -1, 1) * 32767).astype(np.int16)  # floats would be scaled to 1
    return escape(clip), (clips.sampling_rate, samples), scores
