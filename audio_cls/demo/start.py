"""Steps of `audio-cls demo`: load the model, collect examples, build the page, serve it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from audio_cls.demo.clip_result import Limits
from audio_cls.demo.dataset_clips import load_clips
from audio_cls.demo.examples import write_examples
from audio_cls.demo.options import DemoOptions
from audio_cls.demo.server import prepare_gradio, serve_page
from audio_cls.inference.classifier import Classifier
from audio_cls.storage.short_names import read_base_name


def start_demo(model: str, revision: str | None, options: DemoOptions) -> None:
    """Serve the page of `audio-cls demo` until it is interrupted.

    Args:
        model: A run folder or a Hub id.
        revision: Of the model on the Hub.
        options: See `DemoOptions`.

    Raises:
        AudioClsError: gradio is not installed, or model or data set cannot be loaded.
    """
    prepare_gradio()
    classifier = _load(model, revision, options)
    with tempfile.TemporaryDirectory(prefix="audio_cls_demo_") as temporary:
        examples = write_examples(model, revision, Path(temporary), classifier.sampling_rate)
        _serve(classifier, model, revision, options, examples)


def start_space(folder: Path, model: str, revision: str | None, options: DemoOptions) -> None:
    """Serve the page of a Space folder, see `write_space`; its app.py calls this.

    Args:
        folder: The Space folder.
        model: A folder or a Hub id.
        revision: Commit of the model on the Hub.
        options: See `DemoOptions`.

    Raises:
        AudioClsError: gradio is not installed, or the model cannot be loaded.
    """
    prepare_gradio()
    classifier = _load(model, revision, options)
    _serve(classifier, model, revision, options, sorted((folder / "examples").glob("*.wav")))


def _load(model: str, revision: str | None, options: DemoOptions) -> Classifier:
    """Load the model."""
    return Classifier.from_pretrained(
        model,
        revision,
        calibrate=options.calibrate,
        trust_remote_code=options.trust_remote_code,
    )


def _serve(
    classifier: Classifier,
    model: str,
    revision: str | None,
    options: DemoOptions,
    examples: Sequence[Path],
) -> None:
    """Load the data set, build the page and serve it."""
    clips = None
    if options.dataset is not None:
        typed = {"dataset": options.dataset, "label_column": options.label_column}
        typed = {name: value for name, value in typed.items() if value is not None}
        clips = load_clips(model, revision, typed, classifier.sampling_rate)
    from audio_cls.demo.page import PageSettings, build_page  # gradio takes seconds to import

    limits = Limits(options.max_seconds, options.max_megabytes)
    settings = PageSettings(options.title or read_base_name(model), limits, examples)
    serve_page(build_page(classifier, settings, clips), limits, port=options.port)
