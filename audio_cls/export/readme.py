"""README.md of an export: what it is, how exact, how large, and how to load it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audio_cls import __version__
from audio_cls.errors import count_of
from audio_cls.export.compare import Comparison
from audio_cls.export.quantize import Agreement
from audio_cls.inference.onnx.classifier import INT8_FILE, MODEL_FILE

# model_type of config.json: families that transformers.js 4 has an audio classifier for.
BROWSER_FAMILIES = (
    "audio-spectrogram-transformer", "hubert", "unispeech", "unispeech-sat", "wav2vec2",
    "wav2vec2-bert", "wavlm",
)  # fmt: skip
TEMPLATE = """\
---
library_name: transformers.js
pipeline_tag: audio-classification
tags: [audio-classification, audio_cls, onnx]
---

# {model} in ONNX

The audio classifier `{model}` for ONNX Runtime, by `audio-cls export` of audio_cls {version}
(exporter: {exporter}).

{facts}

Input: {inputs}. Output: `logits` (batch, {num_labels}).
Labels, windows and the temperature of the scores are in config.json, the sampling rate and the
features in preprocessor_config.json.

## Python without torch

```bash
pip install "audio-cls[onnx]"
```

```python
from audio_cls.inference.onnx import OnnxClassifier

classifier = OnnxClassifier.from_pretrained("{place}")
print(classifier("clip.wav").label)
```

## Browser

{browser}
"""
BROWSER = """\
With this folder as a repository on the Hub:

```js
import {{ pipeline }} from "@huggingface/transformers";

const classify = await pipeline("audio-classification", "{place}", {{ dtype: "{dtype}" }});
console.log(await classify("https://.../clip.wav"));
```

`dtype: "fp32"` loads {float32}, `dtype: "q8"` loads {int8}.
"""
NO_BROWSER = "transformers.js has no audio classifier for models of the family `{family}`."


@dataclass(frozen=True)
class ExportReport:
    """What an export found."""

    model: str  # its name
    place: str  # the Hub id that the files are for, or the name of their folder
    family: str  # model_type
    is_pooled: bool  # it has the pooled head of audio_cls
    num_labels: int
    inputs: str  # names and axes, see `OnnxSession.describe_inputs`
    exporter: str
    origin: str  # of the clips
    comparison: Comparison
    agreement: Agreement | None  # None without int8
    sizes: Mapping[str, int]  # file -> bytes

    @property
    def runs_in_browser(self) -> bool:
        """Return whether transformers.js has an audio classifier for this family."""
        return self.family in BROWSER_FAMILIES and not self.is_pooled


def render_readme(report: ExportReport) -> str:
    """Return the text of README.md."""
    browser = NO_BROWSER.format(family=report.family)
    if report.runs_in_browser:
        dtype = "q8" if INT8_FILE in report.sizes else "fp32"
        place = report.place if "/" in report.place else f"USER/{report.place}"
        browser = BROWSER.format(
            place=place, dtype=dtype, float32=f"`{MODEL_FILE}`", int8=f"`{INT8_FILE}`"
        )
    return TEMPLATE.format(
        model=report.model,
        place=report.place,
        version=__version__,
        exporter=report.exporter,
        facts="\n".join(f"- {fact}" for fact in list_facts(report)),
        inputs=report.inputs,
        num_labels=report.num_labels,
        browser=browser.strip(),
    )


def list_facts(report: ExportReport) -> list[str]:
    """Return the facts of an export, one a line, for the README and the terminal."""
    compared = report.comparison
    lengths = compared.seconds.values()
    facts = [
        f"largest difference from PyTorch: {compared.largest:.1e} (logits)",
        f"compared at {count_of(len(lengths), 'length')}, {min(lengths):g} to {max(lengths):g} s,"
        f" on {report.origin}",
    ]
    facts += [f"{file}: {size / 1e6:.1f} MB" for file, size in report.sizes.items()]
    if report.agreement is not None:
        one = report.agreement
        facts += [
            f"int8: label of float32 for {one.num_equal} of {count_of(one.num_clips, 'clip')}",
            f"int8: largest difference of a probability {one.largest:.4f}",
        ]
    return facts
