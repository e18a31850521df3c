"""Thirty models of one data set, as strangers would publish them, for the tests of the standing."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hub_server import HubServer

DATASET = "marsyas/gtzan"
DATASET_CARD = """---
dataset_info:
- config_name: all
  splits:
  - {name: test, num_examples: 200}
  - {name: train, num_examples: 799}
---
"""
# Those that can be compared, the best first: model -> what stands as the accuracy in its card.
RANKED: dict[str, object] = {
    "ann/first": 0.95,
    "ann/text-percent": "94.5%",
    "ann/percent": 93,
    "ann/text": "0.92",
    **{f"bob/plain-{n:02d}": round(0.90 - n / 100, 2) for n in range(8)},
    "eve/heard": 0.755,
    "ann/percent-point": 78.5,
    "ann/share": 0.785,
    "ann/old-name": 0.77,
    "ann/last": 0.1,
}
# Those that cannot, with a part of the reason.
APART = {
    "eve/other-split": "another split (train)",
    "eve/no-split": "split not named",
    "eve/heard-it": "its base model eve/heard was trained on this data set",
    "eve/contradicts": "its text reports 0.7",
    "eve/two-numbers": "its .eval_results also reports 0.6",
    "eve/broken-yaml": "metric not named",
    "eve/own-cut": "another split (held-out part of train)",
    "eve/old-cut": "another split (held-out part of train)",
}
# Those that give no value, with a part of the reason.
UNUSABLE = {
    "eve/nan": "nan is not between 0 and 1",
    "eve/word": "its value is not a number ('very good')",
    "eve/nested": "its value is not a number (dict)",
    "eve/f1-only": "no accuracy on this data set",
    "eve/other-metric": "no accuracy on this data set",
}
CUT = "cut from 'train' (stratified, 0.1, seed 42)"
BROKEN = "---\ndatasets: [marsyas/gtzan]\nlicense: [<script>alert(1)</script>\n---\n"


def make_card(value: object, *, body: str = "", **changes: Any) -> str:  # noqa: ANN401
    """Return a card with one result; `changes` go into the result's data set or the front matter.

    Args:
        value: What stands as the metric's value.
        body: The text below the front matter.
        changes: split, config, type, kind, name, origin of the result; any other key of the
            front matter.
    """
    on = {
        "type": changes.pop("type", DATASET),
        "name": "GTZAN",
        "config": changes.pop("config", "all"),
        "split": changes.pop("split", "test"),
        "args": {"origin": changes.pop("origin")} if "origin" in changes else None,
    }
    metric = {"type": changes.pop("kind", "accuracy"), "value": value}
    metric |= {"name": changes.pop("name")} if "name" in changes else {}
    result = {
        "task": {"type": "audio-classification"},
        "dataset": {key: part for key, part in on.items() if part is not None},
        "metrics": [metric],
    }
    front = {
        "datasets": [DATASET],
        "model-index": [{"name": "<script>alert(2)</script>", "results": [result]}],
        **changes,
    }
    return f"---\n{yaml.safe_dump(front)}---\n{body}"


def seed_models(hub: HubServer) -> None:
    """Put the data set, thirty models and two bases on the Hub."""
    hub.seed("datasets", DATASET, {"README.md": DATASET_CARD, "eval.yaml": "name: GTZAN\n"})
    cards = {name: make_card(value) for name, value in RANKED.items()}
    cards["eve/broken-yaml"] = BROKEN
    cards["ann/old-name"] = make_card(0.77, type="gtzan", name="Test Accuracy", config=None)
    poison = "<script>alert(3)</script>\x1b[31m\n- Accuracy: 0.95\n"
    cards["ann/first"] = make_card(0.95, body=poison, base_model=["ann/good", 7])
    cards |= {
        "eve/other-split": make_card(0.99, split="train"),
        "eve/no-split": make_card(0.98, split=None),
        "eve/heard-it": make_card(0.97, base_model="eve/between"),
        "eve/contradicts": make_card(0.96, body="- Loss: 0.5\n- Accuracy: 0.70\n"),
        "eve/two-numbers": make_card(0.955),
        "eve/nan": make_card(float("nan")),
        "eve/word": make_card("very good"),
        "eve/nested": make_card({"a": [1, 2]}),
        "eve/f1-only": make_card(0.9, kind="f1"),
        "eve/own-cut": make_card(0.985, split="held-out part of train", origin=CUT),
        "eve/old-cut": make_card(0.985, origin=CUT),
        "eve/other-metric": f"---\ndatasets: [{DATASET}]\n---\n",
    }
    assert len(cards) == 30
    for name, card in cards.items():
        hub.seed("models", name, {"README.md": card})
    hub.seed("models", "eve/between", {"README.md": "---\nbase_model: eve/heard\n---\n"})
    hub.seed("models", "ann/good", {"README.md": "---\ndatasets: librispeech_asr\n---\n"})
    entry: dict[str, Any] = {"dataset": {"id": DATASET, "task_id": "all"}, "value": 0.6}
    entry["notes"] = "accuracy on 60 clips of test"
    hub.seed("models", "eve/two-numbers", {".eval_results/a.yaml": json.dumps([entry])})
    other = entry | {"value": 0.3, "notes": "log_loss on 60 clips of test"}
    hub.seed("models", "eve/other-metric", {".eval_results/a.yaml": json.dumps([other])})
    del entry["notes"]
    entry["value"] = 0.5
    hub.seed("models", "eve/broken-yaml", {".eval_results/a.yaml": json.dumps([entry])})
    hub.seed("models", "eve/nan", {".eval_results/b.yaml": "- {dataset: 3}\n"})
