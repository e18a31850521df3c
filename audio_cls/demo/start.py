"""Steps of `audio-cls demo`: load the model, collect examples, build the page, serve it."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

from audio_cls.demo.clip_result import Limits
from audio_cls.demo.dataset_clips import load_clips
from audio_cls.demo.examples import write_examples
from audio_cls.demo.server import prepare_gradio, serve_page
from audio_cls.inference.classifier import Classifier
from audio_cls.storage.short_names import read_base_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DemoOptions:
    """Options of the page, see the command's help."""

    dataset: str | None = None
    label_column: str | None = None
    port: int | None = None
    max_seconds: float = 600.0
    max_megabytes: float = 50.0
    calibrate: bool = True
    trust_remote_code: bool = False


def start_demo(model: str, revision: str | None, options: DemoOptions) -> None:
    """Serve the page until it is interrupted.

    Args:
        model: A run folder or a Hub id.
        revision: Of the model on the Hub.
        options: See `DemoOptions`.

    Raises:
        AudioClsError: gradio is not installed, or model or data set cannot be loaded.
    """
    prepare_gradio()
    classifier = Classifier.from_pretrained(
        model,
        revision,
        calibrate=options.calibrate,
        trust_remote_code=options.trust_remote_code,
    )
    rate = classifier.sampling_rate
    clips = None
    if options.dataset is not None:
        typed = {"dataset": options.dataset, "label_column": options.label_column}
        typed = {name: value for name, value in typed.items() if value is not None}
        clips = load_clips(model, revision, typed, rate)
    from audio_cls.demo.page import PageSettings, build_page  # gradio takes seconds to import

    limits = Limits(options.max_seconds, options.max_megabytes)
    with tempfile.TemporaryDirectory(prefix="audio_cls_demo_") as temporary:
        examples = write_examples(model, revision, Path(temporary), rate)
        name = read_base_name(model)
        page = build_page(classifier, PageSettings(name, limits, examples), clips)
        logger.info("Ctrl-C ends the page.")
        serve_page(page, limits, port=options.port)
