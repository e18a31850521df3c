"""Electricity of the training and commit of the code in the card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_run import make_results, make_run, make_settings
from hub_cards import check_card, read_front_matter

from audio_cls.publishing.card.card import write_card
from audio_cls.publishing.redaction.results import load_public_run

ENERGY = {
    "kwh": 0.0123,
    "kg_co2eq": 0.00469,
    "grid_kg_co2eq_per_kwh": 0.38095,
    "country": "DEU",
    "meter": "CodeCarbon 3.3.2",
}


def _read(run: Path) -> tuple[dict[str, Any], str]:
    """Return front matter and body of a run's card, which the Hub would take."""
    text = write_card(run).read_text("utf-8")
    assert check_card(text, "models") == ([], [])
    return read_front_matter(text) or {}, text.split("---", 2)[2]


def _add_energy(energy: object) -> dict[str, Any]:
    results = make_results()
    results["timing"]["energy"] = energy
    return results


def test_electricity_is_in_the_body_and_in_grams_in_the_metadata(tmp_path: Path) -> None:
    front, body = _read(make_run(tmp_path / "run", _add_energy(ENERGY)))
    assert "0.0123 kWh, about 0.00469 kg CO2eq at 0.381 kg per kWh (grid of DEU)" in body
    assert "## Environmental impact\n\n- Electricity of training: " in body
    assert front["co2_eq_emissions"] == {
        "emissions": 4.69,
        "source": "CodeCarbon 3.3.2",
        "training_type": "fine-tuning",
        "hardware_used": "cpu",
    }
    settings = make_settings()
    settings["model"]["from_scratch"] = True
    world = ENERGY | {"country": None}
    front, body = _read(make_run(tmp_path / "new", _add_energy(world), settings))
    assert "(world average)" in body
    assert front["co2_eq_emissions"]["training_type"] == "pre-training"


@pytest.mark.parametrize("energy", [None, {}, {"kwh": None, "kg_co2eq": None}])
def test_without_a_measurement_there_is_no_section(energy: object, tmp_path: Path) -> None:
    front, body = _read(make_run(tmp_path / "run", _add_energy(energy)))
    assert "Environmental" not in body and "Electricity" not in body
    assert "co2_eq_emissions" not in front


def test_the_commit_of_the_code_is_in_the_card_and_in_the_published_settings(
    tmp_path: Path,
) -> None:
    settings, commit = make_settings(), f"{'5' * 40}-dirty"
    settings["record"]["commit"] = commit
    run = make_run(tmp_path / "run", settings=settings)
    _, body = _read(run)
    assert f", commit `{commit}`\n" in body
    assert load_public_run(run).record["commit"] == commit
