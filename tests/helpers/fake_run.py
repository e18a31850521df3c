"""A small run folder as training leaves it, for the tests of publishing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hub_server import HubServer

DATASET_SHA = "0123456789abcdef0123456789abcdef01234567"
MODEL_SHA = "89abcdef0123456789abcdef0123456789abcdef"
REPO = "tester/run"
PUBLISHED = {
    *("README.md", ".eval_results/marsyas_gtzan.yaml", "config.json", "model.safetensors"),
    *("preprocessor_config.json", "results.json", "run_config.yaml", "summary.csv"),
    *("predictions.csv", "bad_audio.csv", "splits/test.txt", "figures/confusion_matrix.png"),
}
LABELS = ["blues", "jazz", "rock"]
SUMMARY = """epoch,step,train_loss,validation_loss,accuracy,f1_macro,learning_rate,seconds
1,15,1.02,0.95,0.6,0.58,5e-05,12.5
2,30,0.71,0.66,0.8,0.79,2.5e-05,12.1
3,45,0.5,0.68,0.75,0.74,0.0,12.2
"""
PREDICTIONS = """id,label,prediction,blues,jazz,rock
blues/00001.wav,blues,blues,0.9,0.05,0.05
jazz/00002.wav,jazz,rock,0.1,0.3,0.6
"""


def make_results() -> dict[str, Any]:
    """Return results.json of a run on a Hub data set; 60 test clips, 50 of them right."""
    per_class = {
        "blues": {"precision": 0.95, "recall": 0.95, "f1": 0.95, "support": 20},
        "jazz": {"precision": 0.75, "recall": 0.6, "f1": 2 / 3, "support": 20},
        "rock": {"precision": 0.8, "recall": 0.95, "f1": 0.8686, "support": 20},
    }
    return {
        "schema_version": 1,
        "dataset": {
            "id": "marsyas/gtzan",
            "is_local": False,
            "name": "GTZAN",
            "config": "all",
            "revision": DATASET_SHA,
            "label_column": "genre",
            "audio_column": "audio",
            "is_test_validation": False,
            "license": None,
            "split": {
                "train": {"name": "train", "num_examples": 120, "seconds": 3600.0},
                "validation": {"name": "validation", "num_examples": 20, "seconds": 600.0},
                "test": {"name": "test", "num_examples": 60, "seconds": 1800.0},
            },
        },
        "model": {
            "id": "ntu-spml/distilhubert",
            "revision": MODEL_SHA,
            "is_local": False,
            "license": None,
            "num_parameters": 23_700_000,
        },
        "labels": list(LABELS),
        "metric": "accuracy",
        "validation": {
            "accuracy": 0.8,
            "f1_macro": 0.79,
            "num_examples": 20,
            "epoch": 2,
            "step": 30,
        },
        "test": {
            "accuracy": 50 / 60,
            "accuracy_ci95": [0.72, 0.91],
            "f1_macro": 0.8284,
            "ece": 0.071,
            "num_examples": 60,
            "per_class": per_class,
            "top_confusions": [{"label": "jazz", "prediction": "rock", "count": 1}],
        },
        "timing": {
            "prepare_seconds": 3.0,
            "train_seconds": 36.8,
            "evaluate_seconds": 4.0,
            "train_clips_per_second": 9.8,
            "peak_memory_mb": 1500,
        },
        "bad_audio": {"skipped": 2},
        "hardware": {"device": "cpu", "num_processes": 1, "mixed_precision": "no"},
        "command": "accelerate launch scripts/train.py --dataset marsyas/gtzan --epochs 3",
        "versions": {"audio_cls": "0.1.0", "transformers": "5.23.0"},
    }


def make_settings() -> dict[str, Any]:
    """Return run_config.yaml: some settings by section, and the record."""
    return {
        "data": {"dataset": "marsyas/gtzan", "dataset_config": "all", "split_seed": 42},
        "audio": {"max_seconds": 10.0, "aggregate": "mean-logit"},
        "model": {"model": "ntu-spml/distilhubert", "from_scratch": False},
        "optim": {"learning_rate": 5e-5},
        "train": {"epochs": 3, "seed": 7, "output_dir": "/home/ann/runs/gtzan"},
        "eval": {"metric": "accuracy"},
        "hub": {"license": "apache-2.0"},
        "record": {"versions": {"audio_cls": "0.1.0", "transformers": "5.23.0", "torch": "2.13.0"}},
    }


def make_run(
    folder: Path, results: dict[str, Any] | None = None, settings: dict[str, Any] | None = None
) -> Path:
    """Write a run folder with everything that is published, and with what must stay at home.

    RUN/
      config.json model.safetensors preprocessor_config.json results.json run_config.yaml
      summary.csv predictions.csv bad_audio.csv splits/ figures/   what belongs on the Hub
      checkpoints/step-30/optimizer.bin events.out.tfevents.1.ann-laptop .env   what does not
    """
    results = make_results() if results is None else results
    labels = results["labels"]
    contents = {
        "config.json": json.dumps({"model_type": "hubert", "id2label": dict(enumerate(labels))}),
        "model.safetensors": "weights " * 100,
        "preprocessor_config.json": json.dumps({"sampling_rate": 16_000}),
        "results.json": json.dumps(results),
        "run_config.yaml": yaml.safe_dump(make_settings() if settings is None else settings),
        "summary.csv": SUMMARY,
        "predictions.csv": PREDICTIONS,
        "bad_audio.csv": "id,reason\nrock/00003.wav,empty file\n",
        "splits/test.txt": "blues/00001.wav\njazz/00002.wav\n",
        "figures/confusion_matrix.png": "not really a picture",
        "checkpoints/step-30/optimizer.bin": "optimizer state",
        "events.out.tfevents.1.ann-laptop": "log",
        ".env": "HF_TOKEN=hf_" + "x" * 34,
    }
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    return folder


def read_all(folder: Path) -> dict[str, bytes]:
    """Read every file of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def count_commits(hub: HubServer) -> int:
    """Count the commits that the Hub took."""
    return hub.count("POST", "/commit/", 200)
