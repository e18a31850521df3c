"""The table of candidates: in the terminal, and in a card that is safe to publish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fake_run import make_results, make_run

from audio_cls.publishing.card.card import write_card
from audio_cls.runs.records.candidates import CandidateRow, Candidates
from audio_cls.runs.results import ProbeResults, RunResults
from audio_cls.workflows.methods.auto.halving import describe_stage
from audio_cls.workflows.methods.auto.table import format_candidates, format_settings
from audio_cls.workflows.summary import describe_best, describe_epoch

CANDIDATES = Candidates(
    reason="It has the lowest validation log loss.",
    rows=[
        CandidateRow(
            name="probe",
            is_kept=True,
            log_loss=0.25,
            difference=0.0,
            standard_error=0.0,
            metrics={"accuracy": 0.9, "loss": 0.25},
            seconds=90.0,
            note="layer 3 of 6, C 0.01",
        ),
        CandidateRow(
            name="fine-tune-1",
            is_kept=False,
            log_loss=0.5,
            metrics={"accuracy": 0.8},
            seconds=300.0,
            note="left behind",
            settings={"learning_rate": 1e-4, "mixup_alpha": 0.3},
        ),
    ],
)


def test_table_of_the_terminal() -> None:
    assert format_candidates(CANDIDATES, "accuracy") == [
        "Candidates on validation",
        "     candidate    log loss  accuracy  minutes",
        "  *  probe          0.2500    0.9000     1.50",
        "     fine-tune-1    0.5000    0.8000     5.00",
        "* kept: probe. It has the lowest validation log loss.",
        "probe: layer 3 of 6, C 0.01",
        "fine-tune-1: --learning-rate 0.0001 --mixup-alpha 0.3; left behind",
    ]


def test_the_lines_of_a_stage_fit_the_terminal() -> None:
    settings = {"learning_rate": 5e-5 / 3, "layer_decay": 0.75, "weight_decay": 0, "mixup_alpha": 0}
    first, *others = describe_stage("fine-tune-1", settings, "epochs 2 to 6 of 6").split("\n")
    assert first == "--- fine-tune-1: epochs 2 to 6 of 6 ---"
    assert " ".join("".join(others).split()) == format_settings(settings)
    assert all(len(line) <= 80 for line in others)


def test_the_lines_of_the_terminal_name_the_kept_candidate() -> None:
    best = {"accuracy": 0.9, "num_examples": 20}
    results = RunResults(candidates=CANDIDATES, probe=ProbeResults(), validation=best)
    assert describe_best(results) == "Kept probe: validation accuracy 0.9000 on 20 clips"
    assert describe_epoch(results) == "probe"
    alone = RunResults(probe=ProbeResults(), validation={"num_examples": 0})  # compared no layer
    assert describe_best(alone).startswith("Last layer")
    rows = [replace(one, is_kept=one.name != "probe") for one in CANDIDATES.rows]
    other = replace(results, candidates=replace(CANDIDATES, rows=rows))
    assert describe_epoch(other) == "fine-tune-1"  # not the layer of the probe


def test_the_card_has_all_candidates_and_results_json_is_read_again(tmp_path: Path) -> None:
    tree = {**make_results(), "candidates": CANDIDATES.to_json()}
    results = RunResults.from_json(tree)
    assert results.candidates == CANDIDATES
    assert results.to_json()["candidates"] == tree["candidates"]
    body = write_card(make_run(tmp_path / "run", tree)).read_text("utf-8")
    assert "`--method auto` kept **probe**. It has the lowest validation log loss." in body
    assert "| **probe** | 0.250 | 0.900 | 1.50 | layer 3 of 6, C 0.01 |" in body
    settings = "`--learning-rate 0.0001`, `--mixup-alpha 0.3`; left behind"
    assert f"| fine-tune-1 | 0.500 | 0.800 | 5.00 | {settings} |" in body
    assert "Saved checkpoint: epoch" not in body
    assert "Fine-tuned from" in body
    assert "The test clips were scored by this model alone." in body


def test_the_card_does_not_call_test_clips_unseen_that_are_the_validation_clips(
    tmp_path: Path,
) -> None:
    tree = {**make_results(), "candidates": CANDIDATES.to_json()}
    tree["dataset"] = {**tree["dataset"], "is_test_validation": True}
    body = write_card(make_run(tmp_path / "run", tree)).read_text("utf-8")
    assert "All candidates were scored on the test clips." in body
    assert "by this model alone" not in body
    assert "epoch, so the results" not in body
