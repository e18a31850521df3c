"""FLOP count of a case on the stock model, in its own process; SPEC.json describes the case."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from audio_cls.benchmark.cases import Case


def count_case(case: Case, checkpoint: str) -> dict[str, float]:
    """Return the FLOP of a clip of mean length: frozen part, rest and backward pass.

    For models of fixed length: of the clip without padding to 30 s.
    """
    from audio_cls.benchmark.machine import count_flops
    from audio_cls.config import AudioConfig, ModelConfig
    from audio_cls.models.checkpoint import open_checkpoint
    from audio_cls.models.finetuning.freeze import find_frozen
    from audio_cls.models.load import load_for_training
    from audio_cls.models.probe import make_probe_noise

    audio = AudioConfig(max_seconds=case.max_seconds)
    cfg = ModelConfig(model=checkpoint, freeze=case.freeze)  # type: ignore[arg-type]
    audio_model = load_for_training(open_checkpoint(cfg), audio, ("a", "b", "c", "d"))
    for module in audio_model.model.modules():
        vars(module).pop("forward", None)  # the stock convolutions, whose arithmetic is counted
    names = find_frozen(audio_model.model, audio_model.processor, case.freeze)
    mean = sum(case.seconds) / 2
    inputs = audio_model.processor([make_probe_noise(round(mean * 16_000))])
    frozen, rest, backward = count_flops(audio_model.model, inputs, names)
    return {"frozen": frozen, "rest": rest, "backward": backward}


def main() -> None:
    """Count for a spec and write the result."""
    spec: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    case = Case(**{**spec["case"], "seconds": tuple(spec["case"]["seconds"])})
    Path(spec["result"]).write_text(json.dumps(count_case(case, spec["checkpoint"])), "utf-8")


if __name__ == "__main__":
    main()
