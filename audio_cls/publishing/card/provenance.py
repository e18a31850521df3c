"""Provenance of a run for the card: columns, seeds, commits, versions, hardware, time, energy."""

from __future__ import annotations

from collections.abc import Iterable

from audio_cls.publishing.card.markdown import (
    Markdown,
    escape,
    to_code,
    to_duration,
    to_number,
    to_sentence,
)
from audio_cls.publishing.metric_names import name_metric
from audio_cls.publishing.run_record import RunRecord


def describe_columns(record: RunRecord) -> Markdown:
    """Return the configuration and the columns that were used."""
    dataset = record.results.dataset
    parts = [
        to_sentence(f"{what} {{}}", to_code(value))
        for what, value in (
            ("configuration", dataset.config),
            ("label column", dataset.label_column),
            ("sound column", dataset.audio_column),
        )
        if value
    ]
    text = ", ".join(parts)
    return Markdown(text[:1].upper() + text[1:] + "." if text else "")


def make_provenance(record: RunRecord) -> list[Markdown]:
    """Return what is needed to repeat the run: metric, seeds, commits, versions, settings."""
    train, data = record.settings.get("train", {}), record.settings.get("data", {})
    versions = record.record.get("versions") or record.results.versions
    validation = record.results.validation
    sentences = [
        to_sentence(
            "Saved: epoch {} (step {}), chosen by {} on validation.",
            _to_count(validation.get("epoch")),
            _to_count(validation.get("step")),
            name_metric(record.results.metric or "accuracy").title.lower(),
        )
    ]
    for text, value in (
        ("Seed {}.", train.get("seed")),
        ("Seed of the split {}.", data.get("split_seed")),
        (
            f"Data set at {'commit' if record.dataset_hub_id else 'fingerprint'} {{}}.",
            _to_sha(record.results.dataset.revision),
        ),
        ("Base model at commit {}.", _to_sha(record.results.model.revision)),
        ("Code at commit {}.", _to_sha(record.record.get("commit"))),
        (
            "The code of {} is not published.",
            _to_sha(", ".join(record.results.user_transforms or ())),
        ),
    ):
        if value is not None:
            sentences.append(to_sentence(text, value))
    if isinstance(versions, dict) and versions:
        sentences.append(to_sentence("Versions: {}.", _list_versions(versions.items())))
    sentences.append(
        Markdown(
            "`run_config.yaml` has the settings, without folders and names of groups;"
            " `--preset run_config.yaml` starts from them."
        )
    )
    return sentences


def _to_count(value: object) -> str:
    """Return an epoch or a step without trailing zeros."""
    return f"{value:g}" if isinstance(value, int | float) else "?"


def _to_sha(value: object) -> Markdown | None:
    """Return a commit or a fingerprint as code."""
    return to_code(value) if value else None


def _list_versions(versions: Iterable[tuple[object, object]]) -> Markdown:
    """Return `name version` pairs as one list."""
    return Markdown(", ".join(escape(f"{name} {version}") for name, version in versions))


def make_cost(record: RunRecord) -> list[Markdown]:
    """Return hardware, training time and size of the model."""
    hardware, timing = record.results.hardware, record.results.timing
    size, memory = record.results.model.num_parameters, timing.peak_memory_mb
    speed, sentences = timing.train_clips_per_second, []
    if hardware.device is not None:
        text = "{}, {} process(es), mixed precision: {}."
        count, precision = hardware.num_processes or 1, hardware.mixed_precision or "no"
        sentences.append(to_sentence(text, hardware.device, count, precision))
    if timing.train_seconds is not None:
        shown = to_duration(timing.train_seconds)
        rate = f", {to_number(speed, 1)} clips a second" if speed is not None else ""
        sentences.append(to_sentence("Training took {}{}.", shown, rate))
    if memory is not None:
        sentences.append(to_sentence("Peak memory: {} MB.", to_number(memory, 0)))
    if size is not None:
        sentences.append(to_sentence("The model has {} parameters.", f"{size:,}"))
    return sentences + _describe_energy(record)


def _describe_energy(record: RunRecord) -> list[Markdown]:
    """Return the measured electricity of the training; nothing if it was not measured."""
    energy = record.results.timing.energy
    if energy is None or energy.kwh is None:
        return []
    country = energy.country
    return [
        to_sentence(
            "Electricity of the training: {} kWh, about {} kg CO2eq at {} kg a kWh ({}), by {} for"
            " the whole machine. Parts without a meter of their own are estimated from their load.",
            f"{energy.kwh:.3g}",
            f"{energy.kg_co2eq or 0:.3g}",
            to_number(energy.grid_kg_co2eq_per_kwh),
            f"the grid of {country}" if country else "the world's average",
            energy.meter or "CodeCarbon",
        )
    ]
