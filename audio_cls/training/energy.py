"""Energy meter of a training run, by CodeCarbon (the extra `energy`).

One process per machine measures, from the first step to the last evaluation. Nothing is sent or
looked up online: the country of the grid is a setting, and nothing else about the machine or its
location is recorded.
"""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Mapping
from importlib import metadata
from types import TracebackType
from typing import Any

from audio_cls.config import TrainConfig
from audio_cls.distributed import Accelerator
from audio_cls.distributed.processes import gather_rows
from audio_cls.errors import SettingError, list_names, suggest_name

MEASURE_SECONDS = 15.0  # between two measurements
PARTS = ("cpu_energy", "gpu_energy", "ram_energy")  # fields of CodeCarbon, kWh
NUMBERS = ("energy_consumed", *PARTS, "emissions")  # kWh, kWh, kg CO2eq

logger = logging.getLogger(__name__)


class EnergyMeter:
    """Context manager that measures its body; does nothing without `--measure-energy`.

    Enter it on every process.
    """

    def __init__(self, cfg: TrainConfig, accelerator: Accelerator) -> None:
        """Make the tracker on one process per machine; it is started on entry.

        Raises:
            SettingError: See `check_meter`.
        """
        check_meter(cfg)
        self.is_on = cfg.measure_energy
        self.country = read_country(cfg)
        self.num_machines = 0
        self.start_seconds = 0.0
        self.latest = _Latest()
        is_reader = self.is_on and accelerator.is_local_main_process
        self.tracker = _make_tracker(self.country, self.latest) if is_reader else None

    def __enter__(self) -> EnergyMeter:
        """Start, which takes some seconds: `start_seconds` has them."""
        started = time.perf_counter()
        if self.tracker is not None:
            self.tracker.start()
        self.start_seconds = time.perf_counter() - started
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, after an error, too."""
        if self.tracker is not None:
            self.tracker.stop()

    def read(self) -> dict[str, float]:
        """Return the energy of this start so far: total and parts in kWh, and kg CO2eq.

        It is summed over machines; empty if not measured. Call on every process.
        """
        if not self.is_on:
            return {}
        if self.tracker is not None:
            self.tracker.flush()  # does nothing after the end
        local = [vars(self.latest.data)] if self.latest.data is not None else []
        rows = gather_rows([{name: float(row[name]) for name in NUMBERS} for row in local])
        self.num_machines = len(rows)
        return {name: sum(row[name] for row in rows) for name in NUMBERS}

    def describe(self, total: Mapping[str, float]) -> dict[str, Any] | None:
        """Return the `energy` part of results.json; None if it was not measured.

        Args:
            total: Sum of the values of `read` at the end of each start.
        """
        if not self.is_on:
            return None
        kwh, kg = total.get("energy_consumed", 0.0), total.get("emissions", 0.0)
        if kwh <= 0:
            logger.warning(
                "--measure-energy: the electricity could not be measured on this machine."
            )
            return None
        return {
            "kwh": round(kwh, 9),
            **{name.replace("energy", "kwh"): round(total[name], 9) for name in PARTS},
            "kg_co2eq": round(kg, 9),
            "grid_kg_co2eq_per_kwh": round(kg / kwh, 5),
            "country": self.country,
            "num_machines": self.num_machines,
            "meter": f"CodeCarbon {metadata.version('codecarbon')}",
        }


class _Latest:
    """Output of CodeCarbon that keeps the latest measurement, summed since the start."""

    def __init__(self) -> None:
        self.data: Any = None

    def out(self, total: Any, delta: Any) -> None:  # noqa: ANN401 (untyped upstream)
        """Keep the total."""
        self.data = total

    def live_out(self, total: Any, delta: Any) -> None:  # noqa: ANN401
        """Do nothing."""

    def task_out(self, data: Any, experiment_name: str) -> None:  # noqa: ANN401
        """Do nothing."""

    def exit(self) -> None:
        """Do nothing."""


def read_country(cfg: TrainConfig) -> str | None:
    """Return the country's ISO code of three letters; None for the world average."""
    return cfg.energy_country.upper() if cfg.energy_country else None


def check_meter(cfg: TrainConfig) -> None:
    """Check, before any long work, that the energy can be measured with these settings.

    Raises:
        SettingError: CodeCarbon is not installed, or has no data of the country.
    """
    country = read_country(cfg)
    if not cfg.measure_energy:
        return
    if importlib.util.find_spec("codecarbon") is None:
        raise SettingError(
            "--measure-energy needs CodeCarbon, which is not installed: pip install"
            " 'audio-cls[energy]', or pip install codecarbon."
        )
    if country is None:
        return
    from codecarbon.input import DataSource

    known = DataSource().get_global_energy_mix_data()
    if country not in known:
        raise SettingError(
            f"--energy-country {country} is not known to CodeCarbon. Give a three-letter code:"
            f" {list_names(sorted(known))}.{suggest_name(country, known)}"
        )


def _make_tracker(country: str | None, latest: _Latest) -> Any:  # noqa: ANN401 (untyped upstream)
    """Make CodeCarbon's offline tracker, without anything that goes online or writes a file.

    Several trackers are allowed, because its lock against that handles SIGTERM, which saves the
    state of the run here.
    """
    from codecarbon import OfflineEmissionsTracker

    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    return OfflineEmissionsTracker(
        country_iso_code=country,
        country_2letter_iso_code=None,
        region=None,
        cloud_provider=None,
        cloud_region=None,
        # Not None, which would look for one in a configuration file.
        electricitymaps_api_token="",  # nosec B106
        emissions_endpoint=None,
        output_methods=[],
        output_handlers=[latest],
        force_carbon_intensity_g_co2e_kwh=None,
        tracking_mode="machine",
        allow_multiple_runs=True,
        measure_power_secs=MEASURE_SECONDS,
        log_level="critical",
    )
