"""Contenders based on transformers' Trainer: recipes of the audio course and the example script."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audio_cls.benchmark.cases import SEED, Case
from audio_cls.benchmark.synthetic_clips import LABELS, RATE


def run_trainer(spec: dict[str, Any], case: Case, *, is_mapped: bool) -> dict[str, float]:
    """Train by the recipe of the Hugging Face audio course or of transformers' example script.

    Args:
        spec: Description of the case, see `start_child`.
        case: Sizes and settings.
        is_mapped: Features are computed by `map` before training, else on the fly.
    """
    from transformers import AutoModelForAudioClassification, Trainer, set_seed

    started = time.perf_counter()
    set_seed(SEED)
    table, extractor = load_table(spec, case, is_mapped=is_mapped)
    model = AutoModelForAudioClassification.from_pretrained(  # nosec B615 # a folder
        spec["checkpoint"],
        label2id={name: number for number, name in enumerate(LABELS)},
        id2label=dict(enumerate(LABELS)),
    )
    freeze(model, case.freeze)
    trainer = Trainer(
        model,
        make_arguments(spec, case, is_mapped=is_mapped),
        train_dataset=table["train"],
        eval_dataset=table["validation"],
        processing_class=extractor,
        compute_metrics=measure_accuracy,
    )
    stopwatch = Stopwatch(trainer)
    prepared = time.perf_counter()
    trainer.train()
    total = time.perf_counter() - prepared
    return {
        "prepare_seconds": prepared - started,
        "train_seconds": total - stopwatch.seconds,
        "evaluate_seconds": stopwatch.seconds,
        "accuracy": float(trainer.state.best_metric or 0.0),
    }


class Stopwatch:
    """Measures the time that a Trainer spends in evaluation."""

    def __init__(self, trainer: Any) -> None:  # noqa: ANN401
        self.seconds = 0.0
        self.evaluate = trainer.evaluate
        trainer.evaluate = self

    def __call__(self, **options: Any) -> Any:  # noqa: ANN401
        """Evaluate, and add the elapsed time."""
        begun = time.perf_counter()
        found = self.evaluate(**options)
        self.seconds += time.perf_counter() - begun
        return found


def load_table(spec: dict[str, Any], case: Case, *, is_mapped: bool) -> tuple[Any, Any]:
    """Load the clips with their features mapped, or with a transform; and the extractor."""
    from datasets import Audio, load_dataset
    from transformers import AutoFeatureExtractor

    files = {name: str(Path(spec["data"]) / f"{name}.parquet") for name in ("train", "validation")}
    table = load_dataset("parquet", data_files=files)  # nosec B615 # files of this machine
    table = table.cast_column("audio", Audio(decode=False))
    factory: Any = AutoFeatureExtractor
    extractor = factory.from_pretrained(spec["checkpoint"])
    options: dict[str, Any] = {}  # the extractors of Whisper and AST pad and truncate by default
    if case.shape not in ("whisper", "ast"):
        options = {"max_length": round(case.max_seconds * RATE), "truncation": True}
        options |= {} if is_mapped else {"padding": True}

    def encode(rows: dict[str, Any]) -> dict[str, Any]:
        waves = [decode(cell["bytes"]) for cell in rows["audio"]]
        return {**extractor(waves, sampling_rate=RATE, **options), "label": rows["label"]}

    if is_mapped:
        return table.map(encode, remove_columns=["audio"], batched=True, batch_size=100), extractor
    table.set_transform(encode)
    return table, extractor


def make_arguments(spec: dict[str, Any], case: Case, *, is_mapped: bool) -> Any:  # noqa: ANN401
    """Return the course's TrainingArguments with the case's sizes."""
    from transformers import TrainingArguments

    return TrainingArguments(
        spec["output"],
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="accuracy",
        learning_rate=case.learning_rate,
        per_device_train_batch_size=case.batch_size,
        per_device_eval_batch_size=case.batch_size,
        num_train_epochs=case.epochs,
        warmup_steps=0.1,
        seed=SEED,
        remove_unused_columns=is_mapped,
        report_to=[],
        disable_tqdm=True,
        bf16=spec["bf16"],
        use_cpu=not spec["gpu"],
        dataloader_num_workers=4 if spec["gpu"] else 0,
    )


def measure_accuracy(prediction: Any) -> dict[str, float]:  # noqa: ANN401
    """Return the share of clips whose most probable label is the true one."""
    return {
        "accuracy": float((prediction.predictions.argmax(axis=1) == prediction.label_ids).mean())
    }


def freeze(model: Any, what: str) -> None:  # noqa: ANN401
    """Freeze the modules of the case with the methods of transformers."""
    if what == "features":
        model.freeze_feature_encoder()
    elif what == "backbone":
        for name, weight in model.named_parameters():
            weight.requires_grad_(name.startswith(("classifier.", "projector.")))


def decode(data: bytes) -> np.ndarray:
    """Decode a clip with soundfile: torchcodec is not on all systems and is not faster."""
    wave, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    return np.asarray(wave)
