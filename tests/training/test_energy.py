"""Energy meter: measured only if set, offline, without data about the location."""

from __future__ import annotations

import importlib.util
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator

from audio_cls.config import RunConfig, TrainConfig
from audio_cls.errors import SettingError
from audio_cls.runs.trainer_state import Times
from audio_cls.training.energy import EnergyMeter


@pytest.fixture
def accelerator() -> Accelerator:
    """One process on the CPU."""
    return Accelerator(cpu=True)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every connection a failure of the test."""

    def refuse(self: socket.socket, address: object) -> None:
        raise AssertionError(f"a connection to {address} was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def _measure(accelerator: Accelerator, **settings: Any) -> dict[str, Any] | None:  # noqa: ANN401
    with EnergyMeter(TrainConfig(**settings), accelerator) as meter:
        time.sleep(0.1)
    return meter.describe(meter.read())


def test_without_the_setting_nothing_is_measured(accelerator: Accelerator) -> None:
    assert _measure(accelerator) is None


def test_the_grid_of_the_named_country_turns_kwh_into_co2(
    accelerator: Accelerator, no_network: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("codecarbon")
    monkeypatch.chdir(tmp_path)
    # What a machine's own configuration may say, and what would go online if it were used.
    for name in ("EMISSIONS_ENDPOINT", "CO2_SIGNAL_API_TOKEN", "ELECTRICITYMAPS_API_TOKEN"):
        monkeypatch.setenv(f"CODECARBON_{name}", "http://127.0.0.1:9/")
    monkeypatch.setenv("CODECARBON_SAVE_TO_API", "true")
    france = _measure(accelerator, measure_energy=True, energy_country="fra")
    world = _measure(accelerator, measure_energy=True)
    assert france is not None and world is not None
    assert (france["country"], world["country"]) == ("FRA", None)
    assert france["grid_kg_co2eq_per_kwh"] < 0.1 < world["grid_kg_co2eq_per_kwh"] < 1
    for energy in (france, world):
        parts = energy["cpu_kwh"] + energy["gpu_kwh"] + energy["ram_kwh"]
        assert energy["kwh"] == pytest.approx(parts, abs=3e-9) and 0 < energy["kwh"] < 1e-3
        kilograms = energy["kwh"] * energy["grid_kg_co2eq_per_kwh"]
        assert energy["kg_co2eq"] == pytest.approx(kilograms, abs=2e-9)
        assert energy["num_machines"] == 1 and energy["meter"].startswith("CodeCarbon ")
        assert socket.gethostname() not in str(energy)
    assert not list(tmp_path.iterdir())


def test_energy_is_read_during_a_run_and_summed_over_starts(accelerator: Accelerator) -> None:
    pytest.importorskip("codecarbon")
    ends = []
    for _ in range(2):
        with EnergyMeter(TrainConfig(measure_energy=True), accelerator) as meter:
            time.sleep(0.1)
            middle = meter.read()
            time.sleep(0.1)
        end = meter.read()
        assert 0 < middle["energy_consumed"] < end["energy_consumed"]
        ends.append(end)
    total = Times(energy=ends[0]).add(Times(energy=ends[1])).energy
    found = meter.describe(total)
    assert found is not None
    expected = sum(end["energy_consumed"] for end in ends)
    assert found["kwh"] == pytest.approx(expected, abs=2e-9)


def test_the_meter_does_not_hide_an_error_of_the_training(accelerator: Accelerator) -> None:
    pytest.importorskip("codecarbon")
    with (
        pytest.raises(KeyError, match="mine"),
        EnergyMeter(TrainConfig(measure_energy=True), accelerator),
    ):
        raise KeyError("mine")


def test_an_unknown_country_is_refused_before_training(accelerator: Accelerator) -> None:
    pytest.importorskip("codecarbon")
    cfg = TrainConfig(measure_energy=True, energy_country="Frankreich")
    with pytest.raises(SettingError, match=r"--energy-country FRANKREICH.*three-letter code"):
        EnergyMeter(cfg, accelerator)


def test_the_error_without_codecarbon_names_the_extra(
    accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"pip install 'audio-cls\[energy\]'"):
        EnergyMeter(TrainConfig(measure_energy=True), accelerator)


def test_a_country_without_a_measurement_is_refused() -> None:
    with pytest.raises(
        SettingError, match="--energy-country FRA has no effect: add --measure-energy"
    ):
        RunConfig.from_flat({"energy_country": "FRA"})
