"""Small things to send to the loopback Hub: a valid card, bytes, one file."""

from __future__ import annotations

import random
from typing import TypedDict, Unpack

from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi

PARQUET = "refs/convert/parquet"
CARD = """---
license: apache-2.0
base_model: ntu-spml/distilhubert
datasets: [marsyas/gtzan]
tags: [audio-classification]
pipeline_tag: audio-classification
model-index:
- name: run
  results:
  - task: {type: audio-classification}
    dataset: {name: GTZAN, type: marsyas/gtzan}
    metrics: [{type: accuracy, value: 0.83}]
---
# A run
"""


def make_bytes(size: int) -> bytes:
    """Make bytes without a pattern, the same for the same size, so that a mixed-up part is seen."""
    return random.Random(size).randbytes(size)


class More(TypedDict, total=False):
    """What some uploads add."""

    token: str | bool
    revision: str
    create_pr: bool
    parent_commit: str | None


def upload(api: HfApi, path: str, data: bytes, **more: Unpack[More]) -> CommitInfo:
    """Commit one file to the model tester/run."""
    adding = [CommitOperationAdd(path, data)]
    return api.create_commit("tester/run", adding, commit_message="Add", **more)
