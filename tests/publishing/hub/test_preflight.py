"""What would fail at the end fails before training, in one line; what is right costs nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hub_cards import check_card
from hub_server import HubServer
from huggingface_hub import ModelCard, ModelCardData

from audio_cls.config import RunConfig
from audio_cls.errors import HubError
from audio_cls.publishing.card.card import render_card
from audio_cls.publishing.eval_results import make_entry
from audio_cls.publishing.hub import preflight
from audio_cls.publishing.hub.preflight import find_card_errors, make_dummy_record, run_preflight


def _make(**settings: Any) -> RunConfig:  # noqa: ANN401
    return RunConfig.from_flat({"dataset": "marsyas/gtzan", **settings})


def test_the_plan_names_what_the_settings_name() -> None:
    cfg = _make(
        dataset_config="all", dataset_revision="1" * 40, license="cc-by-4.0", task_id="genre",
        metric="f1_macro", test_split="validation", eval_notes="seed 7",
    )  # fmt: skip
    record = make_dummy_record(cfg, "my-run")
    card = ModelCard(render_card(record, "tester/my-run")).data
    assert isinstance(card, ModelCardData)
    assert (card.license, card.datasets, card.model_name) == (
        "cc-by-4.0", ["marsyas/gtzan"], "my-run",
    )  # fmt: skip
    assert card.base_model == "ntu-spml/distilhubert"
    assert card.eval_results
    assert {r.metric_type for r in card.eval_results} == {"accuracy", "f1"}
    for result in card.eval_results:
        assert (result.dataset_config, result.dataset_split) == ("all", "validation")
        assert result.dataset_revision == "1" * 40
    entry = make_entry(record)
    assert entry is not None
    assert (entry.dataset_id, entry.task_id, entry.notes) == ("marsyas/gtzan", "genre", "seed 7")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dataset_config": "2024"},
        {"dataset_config": "a: b # yaml\n- {{ x }}"},
        {"metric": "some/metric"},
        {"metric": "./metrics/my_score.py"},
        {"license": "My own: terms"},
        {"dataset": "builtin:tiny_speech", "model": "builtin:tiny_model", "from_scratch": True},
        {"dataset": "https://host.example/clips.csv"},
        {"dataset": "."},
        {"limitations": "x" * 2_000, "eval_notes": "n" * 200},
    ],
)
def test_a_run_that_is_not_pushed_is_tried_out_offline(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "HfApi", None)
    cfg = _make(**settings)
    assert run_preflight(cfg, "my run: 2") is None
    assert check_card(render_card(make_dummy_record(cfg, "run")), "models") == ([], [])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"hub_repo_id": "a--b", "push_to_hub": True}, "--hub-repo-id a--b is not valid"),
        ({"hub_repo_id": "you/a/b", "push_to_hub": True}, "OWNER/NAME"),
        ({"task_id": "two words"}, "--task-id two words is not valid"),
        ({"task_id": "\u200b"}, "--task-id has 0 printable characters"),
        ({"eval_notes": "n" * 201}, "--eval-notes has 201 printable characters"),
        ({"citation": " \n"}, "--citation has 0 printable characters"),
        ({"intended_use": "x" * 20_001}, "allowed are 1 to 20000. Shorten it"),
        ({"language": ["English"]}, "--language English is not valid: give ISO 639 codes"),
        ({"limitations": "x" * 2_001}, "1 to 2000. Shorten it"),
    ],
)
def test_what_would_fail_or_be_cut_at_the_end_is_refused_before(
    settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(HubError) as caught:
        run_preflight(_make(**settings), "run")
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_card_against_the_hubs_rules_is_refused_with_the_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = """---
license: mit
tags: [audio, 3]
model-index:
- name: run
  results:
  - task: {type: audio-classification}
    dataset: {type: marsyas/gtzan, name: GTZAN, config: 2024}
    metrics: [{type: accuracy, value: .nan}, {type: f1, value: high}]
---
"""
    assert find_card_errors(text) == [
        "tags contains 3, not a text",
        "dataset_config is 2024, not a text",
        "accuracy is nan, not a finite number",
        "f1 is 'high', not a finite number",
    ]
    monkeypatch.setattr(preflight, "render_card", lambda record, repo_id: text)
    with pytest.raises(HubError, match=r"would not be valid: tags contains 3.*change the one"):
        run_preflight(_make(), "run")


def test_a_card_that_cannot_be_made_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(record: object, repo_id: object) -> str:
        raise AssertionError("the card's results changed on their way through YAML")

    monkeypatch.setattr(preflight, "render_card", fail)
    with pytest.raises(HubError, match="cannot be written"):
        run_preflight(_make(), "run")


@pytest.mark.usefixtures("logged_in")
def test_a_run_that_will_be_pushed_asks_the_hub_with_the_whole_card(hub: HubServer) -> None:
    cfg = _make(push_to_hub=True, license="mit")
    assert run_preflight(cfg, "my run") == "tester/my-run"
    assert hub.count("POST", "/api/validate-yaml", 200) == 1 and not hub.repos
    with pytest.raises(HubError, match="--license nonsense is not a licence id"):
        run_preflight(_make(push_to_hub=True, license="nonsense"), "run")
    hub.fail(path_part="/api/validate-yaml", status=400, times=None)
    with pytest.raises(HubError, match="would refuse the model card of this run"):
        run_preflight(_make(push_to_hub=True), "run")
