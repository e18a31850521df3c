"""Tab that classifies the last seconds of a microphone while it records."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from audio_cls.audio.waveform import resample
from audio_cls.demo.live_buffer import LiveBuffer
from audio_cls.errors import AudioError, ModelError
from audio_cls.inference.base_classifier import BaseClassifier

PERIOD = 0.5  # seconds between two classifications, or more where the model is slower
MAX_WINDOW = 10.0  # seconds that are classified at most
SESSION_SECONDS = 3600  # after which the buffer of a closed page is deleted
WAITING = "Press Record: the last {seconds:g} s are classified every {period:g} s."
HIDDEN: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def add_live_tab(
    classifier: BaseClassifier, model_event: dict[str, Any], num_scores: int, note: str
) -> None:
    """Add the tab.

    The handler of the stream only appends to the visitor's buffer, because the browser drops audio
    while it runs; a timer classifies.

    Args:
        classifier: The model.
        model_event: Arguments of an event that uses the model.
        num_scores: Labels shown with their scores.
        note: Text about recordings.
    """
    audio_settings = classifier.model_input.audio
    window = audio_settings.window_seconds or audio_settings.piece_seconds
    seconds = min(window, MAX_WINDOW)
    buffer = gr.State(LiveBuffer(seconds), time_to_live=SESSION_SECONDS)
    timer = gr.Timer(PERIOD, active=False)
    with gr.Row():
        with gr.Column():
            audio = gr.Audio(
                sources=["microphone"], streaming=True, label="Microphone", elem_id="live"
            )
        with gr.Column():
            start = WAITING.format(seconds=seconds, period=PERIOD)
            message = gr.Markdown(start, elem_id="live-message")
            scores = gr.Label(label="Scores", num_top_classes=num_scores, elem_id="live-scores")
    gr.Markdown(note)

    def start_recording(buffer: LiveBuffer) -> gr.Timer:
        """Empty the buffer and start the timer."""
        buffer.clear()
        return gr.Timer(active=True)

    async def append(block: tuple[int, NDArray[Any]] | None, buffer: LiveBuffer) -> None:
        """Keep a block of the microphone; async, as no thread is needed to copy it."""
        if block is not None:
            buffer.append(*block)

    def classify(buffer: LiveBuffer) -> tuple[str, dict[str, float] | None]:
        """Return message and scores for the last seconds."""
        return classify_buffer(classifier, buffer, seconds)

    audio.start_recording(start_recording, buffer, timer, **HIDDEN)
    audio.stream(append, [audio, buffer], None, concurrency_limit=None, **HIDDEN)
    timer.tick(classify, buffer, [message, scores], **HIDDEN, **model_event)
    audio.stop_recording(lambda: gr.Timer(active=False), None, timer, **HIDDEN)


def classify_buffer(
    classifier: BaseClassifier, buffer: LiveBuffer, seconds: float
) -> tuple[str, dict[str, float] | None]:
    """Classify the last seconds of a buffer.

    Returns:
        Message, and the score of each label; None while there is no audio.
    """
    wave = buffer.read(seconds)
    received, used = buffer.describe(), len(wave)
    if not used:
        return f"{received}.", None
    try:
        wave = resample(wave, buffer.sampling_rate, classifier.sampling_rate)
        prediction = classifier((np.asarray(wave), classifier.sampling_rate))
    except (AudioError, ModelError) as error:
        return f"{received}; it cannot be classified: {error}.", None
    remark = f" The scores are not reliable: {prediction.remark}." if prediction.remark else ""
    last = f"{used / buffer.sampling_rate:.1f} s"
    return f"{received}; classified: the last {last}.{remark}", prediction.scores
