"""Folder of the static page: HTML, transformers.js, WebAssembly and the exported model.

::

    FOLDER/
      index.html page.js page.css scoring.js   the page
      settings.json        labels, windows, aggregation and temperature, as `predict` uses them
      lib/                 transformers.js and ONNX Runtime, so that no other server is needed
      model/               config.json, preprocessor_config.json and onnx/ of `audio-cls export`
      examples/            example clips, where the licence allows it
      README.md            front matter for a static Space of the Hub
"""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

from audio_cls.audio.windows import measure_window
from audio_cls.demo.examples import uses_builtin_data, write_examples
from audio_cls.demo.options import DemoOptions
from audio_cls.demo.space.front_matter import SpaceTexts, read_license, render_readme
from audio_cls.demo.space.write_space import ATTRIBUTION, empty_folder
from audio_cls.demo.static.npm_packages import write_npm_files
from audio_cls.errors import ModelError, list_names
from audio_cls.export.export_model import ExportRequest, export_model
from audio_cls.export.readme import BROWSER_FAMILIES
from audio_cls.export.target import check_libraries
from audio_cls.inference.classifier import Classifier
from audio_cls.inference.onnx.classifier import INT8_FILE, MODEL_FILE
from audio_cls.inference.onnx.session import OnnxSession
from audio_cls.models.checkpoint import has_pooled_head
from audio_cls.models.inference_settings import find_file
from audio_cls.storage.short_names import read_base_name

PAGE = Path(__file__).parent / "page"


def write_static(
    folder: Path,
    model: str,
    revision: str | None,
    options: DemoOptions,
    *,
    int8: bool = False,
    npm_packages: Path | None = None,
) -> None:
    """Write the folder. Downloads transformers.js, unless `npm_packages` has it.

    Args:
        folder: Must not exist, be empty, or be an earlier Space folder with `options.overwrite`.
        model: A run folder or a Hub id.
        revision: Of the model on the Hub.
        options: Of the page.
        int8: Use the weights as int8: a quarter of the size, slightly different scores.
        npm_packages: See `write_npm_files`.

    Raises:
        ModelError: transformers.js cannot run the model, the extra `onnx` is not installed, or the
            export fails.
        RunFolderError: The folder is taken.
    """
    check_libraries()
    classifier = Classifier.from_pretrained(
        model,
        revision,
        calibrate=options.calibrate,
        device="cpu",
        trust_remote_code=options.trust_remote_code,
    )
    check_family(classifier, model)
    empty_folder(folder, overwrite=options.overwrite)
    write_npm_files(folder / "lib", npm_packages)
    shutil.copytree(PAGE, folder, dirs_exist_ok=True)
    export_model(
        ExportRequest(model, folder / "model", revision, int8=int8), classifier.audio_model
    )
    min_samples = OnnxSession(folder / "model" / MODEL_FILE).input_spec.min_samples
    if int8:
        (folder / "model" / MODEL_FILE).unlink()
        assert (folder / "model" / INT8_FILE).is_file()
    find = functools.partial(find_file, model, revision)
    examples = write_examples(model, revision, folder / "examples", classifier.sampling_rate)
    title, is_local = options.title or read_base_name(model), Path(model).is_dir()
    settings = make_settings(classifier, options) | {
        "title": title,
        "dtype": "q8" if int8 else "fp32",
        "min_samples": min_samples,
        "examples": [path.relative_to(folder).as_posix() for path in examples],
    }
    text = json.dumps(settings, indent=1, ensure_ascii=False)
    (folder / "settings.json").write_text(text + "\n", "utf-8")
    texts = SpaceTexts(
        title,
        read_base_name(model) if is_local else model,
        classifier.labels,
        read_license(find("README.md")),
    )
    is_builtin = bool(examples) and uses_builtin_data(model, revision)
    readme = render_readme(texts, is_static=True, notes=[ATTRIBUTION] if is_builtin else [])
    (folder / "README.md").write_text(readme, "utf-8")


def check_family(classifier: Classifier, model: str) -> None:
    """Check that transformers.js can run a model.

    Raises:
        ModelError: It cannot.
    """
    config = classifier.audio_model.model.config
    family, is_pooled = str(config.model_type), has_pooled_head(config)
    if family not in BROWSER_FAMILIES or is_pooled:
        kind = f"{family} with a pooled head" if is_pooled else family
        raise ModelError(
            f"transformers.js cannot classify audio with '{model}' ({kind}), only with"
            f" {list_names(BROWSER_FAMILIES)}. Use --space instead of --static."
        )


def make_settings(classifier: Classifier, options: DemoOptions) -> dict[str, Any]:
    """Return what the page has to know of windows, labels and scores."""
    audio, rate = classifier.model_input.audio, classifier.sampling_rate
    window, hop = measure_window(audio, rate)
    thresholds = None
    if classifier.is_multilabel:
        thresholds = classifier.rule.scaled_thresholds.tolist()
    return {
        "labels": list(classifier.labels),
        "sampling_rate": rate,
        "window": window,
        "hop": hop,
        "aggregate": audio.aggregate,
        "repeat_short": audio.repeat_short,
        "is_multilabel": classifier.is_multilabel,
        "temperature": classifier.temperature,
        "thresholds": thresholds,
        "max_seconds": options.max_seconds,
        "max_megabytes": options.max_megabytes,
    }
