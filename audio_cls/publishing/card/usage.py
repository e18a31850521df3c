"""Usage example of the card: transformers' pipeline, or `Classifier` of audio_cls.

A model with the head of `models/pooled_head.py` has an entry `pooled_head` in its config.json; the
pipeline of transformers cannot load it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audio_cls.publishing.card.markdown import Markdown, to_block

STOCK = """\
import soundfile
import soxr
from transformers import pipeline

classifier = pipeline("audio-classification", model={model})
sampling_rate = classifier.feature_extractor.sampling_rate
wave, file_rate = soundfile.read("clip.wav", dtype="float32", always_2d=True)
wave = soxr.resample(wave.mean(axis=1), file_rate, sampling_rate)  # one channel
print(classifier({{"raw": wave, "sampling_rate": sampling_rate}}))"""
# The pipeline applies the sigmoid, by config.json's problem_type.
MULTI_LABEL = (
    STOCK.replace("model={model}", "model={model}, top_k=None")  # all labels, not the top five
    .replace("print(classifier({{", "scores = classifier({{")
    .removesuffix(")")
    + """

thresholds = classifier.model.config.audio_cls["thresholds"]  # tuned on validation
print([one for one in scores if one["score"] >= thresholds[one["label"]]])"""
)
POOLED = """\
from audio_cls import Classifier

classifier = Classifier.from_pretrained({model}{trust})
print([prediction.to_row() for prediction in classifier(["clip.wav"])])"""
COMMANDS = """\
model={model}
audio-cls predict "$model" clip.wav recordings/     # labels of files and folders
audio-cls predict "$model" long.wav --timeline      # a row for each window
audio-cls demo "$model"                             # a local page: upload, record
audio-cls export "$model" exported                  # ONNX, to run without PyTorch"""
TRUST = ', revision="COMMIT", trust_remote_code=True'


@dataclass(frozen=True)
class Usage:
    """The section "How to get started with the model" of the card."""

    library: str  # the front matter's library_name
    install: Markdown
    code: Markdown
    note: Markdown
    commands: Markdown  # of audio_cls


def make_usage(config: Mapping[str, Any], name: str) -> Usage:
    """Return the example for this model.

    Args:
        config: The run's config.json.
        name: Id on the Hub, or the run folder's name.
    """
    model = json.dumps(name)
    commands = to_block(COMMANDS.format(model=model), "bash")
    is_multilabel = config.get("problem_type") == "multi_label_classification"
    if not config.get("pooled_head"):
        return Usage(
            "transformers",
            to_block("pip install transformers torch soundfile soxr", "bash"),
            to_block((MULTI_LABEL if is_multilabel else STOCK).format(model=model), "python"),
            Markdown('With FFmpeg installed, `classifier("clip.wav")` also decodes the file.'),
            commands,
        )
    note = (
        "The classification head (mean pooling of the hidden states) is part of `audio_cls`. "
        "`transformers` has no classifier for this encoder, so `pipeline` cannot load the model."
    )
    if config.get("auto_map"):
        note += (
            " The example runs the encoder's code from this repository: read it first and give the "
            "commit that you read as `revision`; for a local folder, omit `revision`."
        )
    trust = TRUST if config.get("auto_map") else ""
    return Usage(
        "audio_cls",
        to_block("pip install audio-cls", "bash"),
        to_block(POOLED.format(model=model, trust=trust), "python"),
        Markdown(note),
        commands,
    )
