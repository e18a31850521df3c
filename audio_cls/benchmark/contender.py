"""One contender in its own process: `python -m audio_cls.benchmark.contender SPEC.json`.

The spec is {"contender", "case", "data", "checkpoint", "output", "result"}, and for audio_cls
optionally {"settings"}, which replace the case's; seconds, memory and accuracy are written to the
result file.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from audio_cls.benchmark.cases import SEED, Case
from audio_cls.benchmark.hf_trainer import run_trainer
from audio_cls.benchmark.machine import measure_matrix_product, read_peak_memory


def run_own(spec: dict[str, Any], case: Case) -> dict[str, float]:
    """Train as scripts/train.py does, up to the card."""
    from audio_cls.config import RunConfig
    from audio_cls.data.keyword_spotting.relabel import relabel_keywords
    from audio_cls.data.labels.labels import parse_labels
    from audio_cls.data.load import load_dataset
    from audio_cls.data.prepare import prepare_clips
    from audio_cls.data.splits.clip_index import build_clip_index
    from audio_cls.data.splits.splits import make_splits
    from audio_cls.distributed.accelerator import start_accelerator
    from audio_cls.evaluation.scorer import make_scorer
    from audio_cls.evaluation.validate import make_validator
    from audio_cls.models.checkpoint import open_checkpoint
    from audio_cls.models.feature_cache.precompute import precompute_frozen_features
    from audio_cls.models.load import load_for_training
    from audio_cls.training.loop import train
    from audio_cls.training.open_run import open_run
    from audio_cls.training.setup import set_up_training

    started = time.perf_counter()
    cfg = RunConfig.from_flat(
        {
            "dataset": spec["data"],
            "model": spec["checkpoint"],
            "output_dir": spec["output"],
            "test_split": "validation",
            "max_seconds": case.max_seconds,
            "freeze": case.freeze,
            "epochs": case.epochs,
            "batch_size": case.batch_size,
            "eval_batch_size": case.batch_size,
            "learning_rate": case.learning_rate,
            "length_buckets": case.length_buckets,
            "mixed_precision": "bf16" if spec["bf16"] else "no",
            "seed": SEED,
            **spec.get("settings", {}),
        }
    )
    accelerator = start_accelerator(cfg.train)
    folder = open_run(cfg, accelerator)
    source = relabel_keywords(load_dataset(cfg.data), cfg.data)
    labels = parse_labels(source, cfg.data)
    pool = build_clip_index(source, labels, cfg.data)
    splits = make_splits(pool, cfg.data)
    checkpoint = open_checkpoint(cfg.model)
    clips = prepare_clips(source, labels, pool, splits, checkpoint.sampling_rate, cfg.data)
    audio_model = load_for_training(checkpoint, cfg.audio, labels.names)
    inputs = precompute_frozen_features(cfg, accelerator, audio_model, clips)
    scorer = make_scorer(inputs.audio_model, cfg, accelerator)
    validate = make_validator(scorer, inputs.validation, cfg.eval)
    run = set_up_training(cfg, accelerator, folder, inputs, validate)
    prepared = time.perf_counter()
    train(run)
    total = time.perf_counter() - prepared
    assert run.state.best is not None
    return {
        "prepare_seconds": prepared - started,
        "train_seconds": total - run.progress.evaluate_seconds,
        "evaluate_seconds": run.progress.evaluate_seconds,
        "accuracy": run.state.best.value,
    }


def main() -> None:
    """Run the contender of a spec and write its result."""
    spec = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    case = Case(**{**spec["case"], "seconds": tuple(spec["case"]["seconds"])})
    rate = measure_matrix_product()
    if spec["contender"] == "audio_cls":
        result = run_own(spec, case)
    else:
        result = run_trainer(spec, case, is_mapped=spec["contender"] == "mapped")
    parts = [result[f"{part}_seconds"] for part in ("prepare", "train", "evaluate")]
    result["total_seconds"] = sum(parts)
    result["cpu_seconds"] = time.process_time()
    result["peak_memory_mb"] = read_peak_memory()
    result["matrix_rate"] = max(rate, measure_matrix_product())
    Path(spec["result"]).write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    main()
