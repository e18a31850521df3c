"""Provenance of a run for the card: columns, seeds, commits, versions, hardware, citation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata

from audio_cls.demo_data import BUILTIN
from audio_cls.publishing.card.front_matter import read_languages
from audio_cls.publishing.card.markdown import (
    Markdown,
    count,
    escape,
    to_block,
    to_code,
    to_duration,
    to_number,
    to_sentence,
)
from audio_cls.publishing.metric_names import name_metric
from audio_cls.publishing.run_record import COMMIT_SHA, RunRecord, path_basename

SOFTWARE = """\
@software{{audio_cls,
  title = {{audio\\_cls: training of audio classifiers with Hugging Face Accelerate}},
  version = {{{version}}},{url}
  license = {{Apache-2.0}}
}}"""


def link(hub_id: str | None, name: object, kind: str = "") -> Markdown:
    """Return a link to the Hub, or the name of a folder.

    Args:
        hub_id: Id on the Hub; None for a folder.
        name: The folder's path.
        kind: "datasets/" for a data set.
    """
    if hub_id:
        return Markdown(f"[{escape(hub_id)}](https://huggingface.co/{kind}{hub_id})")
    return Markdown(escape(path_basename(str(name).removeprefix(BUILTIN))))


def describe_model(record: RunRecord) -> list[Markdown]:
    """Return base model, input, size, language and code of the model."""
    base = link(record.model_hub_id, record.results.model.id)
    kind = "Architecture (random weights)" if record.is_from_scratch else "Base model"
    where = "" if record.model_hub_id else Markdown(" (not on the Hub)")
    sentences = [to_sentence("{}: {}{}", kind, base, where)]
    rate = record.extractor.get("sampling_rate")
    if isinstance(rate, int):
        sentences.append(to_sentence("Input: {} kHz, one channel (mono)", f"{rate / 1000:g}"))
    size = record.results.model.num_parameters
    if size is not None:
        sentences.append(to_sentence("Parameters: {}", f"{size:,}"))
    codes = ", ".join(read_languages(record))
    sentences.append(
        to_sentence("Language: {}", codes)
        if codes
        else Markdown("Language: not recorded (for speech: `--language`)")
    )
    if not record.settings.get("hub", {}).get("model_description"):
        sentences.append(Markdown("Description: not recorded (`--model-description`)"))
    return [*sentences, describe_code(record)]


def describe_code(record: RunRecord) -> Markdown:
    """Return version and commit of audio_cls, with a link where its address is known."""
    versions = record.record.get("versions") or record.results.versions
    version = versions.get("audio_cls", "") if isinstance(versions, dict) else ""
    commit, url = str(record.record.get("commit") or ""), find_code_url()
    is_commit = COMMIT_SHA.fullmatch(commit) is not None
    name = Markdown(
        f"[audio_cls]({url}{f'/tree/{commit}' if is_commit else ''})" if url else "audio_cls"
    )
    at = to_sentence(", commit {}", to_code(commit)) if commit else ""
    return to_sentence("Code: {} {}{}", name, version, at)


def find_code_url() -> str | None:
    """Return the address of the code from the package metadata; None where it has none."""
    try:
        urls = metadata.metadata("audio-cls").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return None
    known = dict(text.split(", ", 1) for text in urls if ", " in text)
    url = known.get("Repository") or known.get("Source")
    return url if url and re.fullmatch(r"https://[\w./-]+", url) else None


def make_software_citation(record: RunRecord) -> Markdown:
    """Return the BibTeX entry of audio_cls."""
    versions, url = record.results.versions, find_code_url()
    version = re.sub(r"[^\w.+-]", "", str(versions.get("audio_cls") or "")) or "unknown"
    shown = f"\n  url = {{{url}}}," if url else ""
    return to_block(SOFTWARE.format(version=version, url=shown), "bibtex")


def describe_columns(record: RunRecord) -> Markdown:
    """Return the configuration and the columns that were used."""
    dataset = record.results.dataset
    parts = [
        to_sentence(f"{what} {{}}", to_code(value))
        for what, value in (
            ("configuration", dataset.config),
            ("label column", dataset.label_column),
            ("audio column", dataset.audio_column),
        )
        if value
    ]
    text = ", ".join(parts)
    return Markdown(text[:1].upper() + text[1:] + "." if text else "")


def make_provenance(record: RunRecord) -> list[Markdown]:
    """Return what is needed to repeat the run: metric, seeds, commits, versions, settings."""
    train, data = record.settings.get("train", {}), record.settings.get("data", {})
    versions = record.record.get("versions") or record.results.versions
    sentences = [_describe_choice(record), *_describe_refit(record)]
    for text, value in (
        ("Seed: {}.", train.get("seed")),
        ("Seed of the split: {}.", data.get("split_seed")),
        (
            f"Data set: {'commit' if record.dataset_hub_id else 'fingerprint'} {{}}.",
            _to_sha(record.results.dataset.revision),
        ),
        ("Base model: commit {}.", _to_sha(record.results.model.revision)),
        (
            "Not published: the code of {}.",
            _to_sha(", ".join(record.results.user_transforms or ())),
        ),
    ):
        if value is not None:
            sentences.append(to_sentence(text, value))
    if isinstance(versions, dict) and versions:
        sentences.append(to_sentence("Versions: {}.", _list_versions(versions.items())))
    sentences.append(
        Markdown(
            "`run_config.yaml` has all settings except local paths and names of groups."
            " `audio-cls train --preset run_config.yaml --output-dir NEW` repeats the run."
        )
    )
    return sentences


def _describe_choice(record: RunRecord) -> Markdown:
    """Return which epoch, or which layer of a linear probe, is saved, and how it was chosen."""
    probe = record.results.probe
    if record.results.candidates is not None and not record.results.is_linear_probe:
        return to_sentence(
            "Saved model: {}, one of the candidates below.", record.results.candidates.kept.name
        )
    if probe is None:
        return _describe_checkpoint(record)
    chosen = probe.chosen
    return to_sentence(
        "Linear probe: the encoder was not trained. A logistic regression (C = {}) on the pooled"
        " output of layer {} of {} is the head; the encoder keeps {}. {}.",
        _to_count(chosen.c),
        chosen.name,
        probe.total_layers,
        count(chosen.num_layers, "layer"),
        to_sentence("Chosen by log loss on {}", probe.scored_on)
        if probe.scored_on is not None
        else Markdown("Both are defaults: no class has two training clips to compare others on"),
    )


def _describe_checkpoint(record: RunRecord) -> Markdown:
    """Return which epoch was saved, and what chose it."""
    validation = record.results.validation
    epoch, step = (_to_count(validation.get(name)) for name in ("epoch", "step"))
    if validation.get("num_examples") == 0:
        text = "Saved checkpoint: epoch {} (step {}), the last one: there was no validation."
        return to_sentence(text, epoch, step)
    metric = name_metric(record.results.metric or "accuracy").title.lower()
    what = "Selected" if record.results.refit else "Saved"
    text = f"{what} checkpoint: epoch {{}} (step {{}}), selected by {{}} on validation."
    return to_sentence(text, epoch, step, metric)


def _describe_refit(record: RunRecord) -> list[Markdown]:
    """Return what the second training, on all clips, did; nothing without it."""
    refit, best = record.results.refit, record.results.validation
    if not refit:
        return []
    metric = record.results.metric or "accuracy"
    how = (
        "with the same layer and C"
        if refit.get("step") is None
        else to_sentence(
            "for the same {} with the same learning rates", count(refit["step"], "step")
        )
    )
    return [
        to_sentence(
            "Refit: after this choice ({} {} on {}), the saved model was trained from the start on"
            " {} ({}), {}; temperature and thresholds are those of the selected model.",
            name_metric(metric, is_multilabel=record.is_multilabel).title.lower(),
            to_number(best.get(metric)),
            _describe_scored(record),
            _describe_trained(record),
            count(refit.get("num_examples"), "clip"),
            how,
        )
    ]


def _describe_scored(record: RunRecord) -> Markdown:
    """Return the clips that the choice before a second training was made on."""
    if record.results.held_out:
        return to_sentence("{}", record.results.held_out)
    return to_sentence("{} of validation", count(record.results.validation["num_examples"], "clip"))


def _describe_trained(record: RunRecord) -> str:
    """Return the clips of the second training."""
    if record.settings.get("train", {}).get("refit", True):
        return "training and validation clips together"
    return "all training clips"


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
    """Return hardware, training time and memory."""
    hardware, timing, sentences = record.results.hardware, record.results.timing, []
    if hardware.device is not None:
        precision = hardware.mixed_precision or "no"
        sentences.append(
            to_sentence(
                "Hardware: {}, {}, mixed precision {}.",
                hardware.device,
                count(hardware.num_processes or 1, "process"),
                "off" if precision == "no" else precision,
            )
        )
    if timing.train_seconds is not None:
        speed = timing.train_clips_per_second
        rate = Markdown(f" ({speed:.1f} clips per second)" if speed is not None else "")
        shown = to_duration(timing.train_seconds)
        sentences.append(to_sentence("Training time: {}{}.", shown, rate))
    if timing.peak_memory_mb is not None:
        sentences.append(to_sentence("Peak memory: {} MB.", to_number(timing.peak_memory_mb, 0)))
    return sentences


def describe_energy(record: RunRecord) -> list[Markdown]:
    """Return the measured electricity of the training; nothing if it was not measured."""
    energy = record.results.timing.energy
    if energy is None or energy.kwh is None:
        return []
    country = energy.country
    return [
        to_sentence(
            "Electricity of training: {} kWh, about {} kg CO2eq at {} kg per kWh ({}), measured by"
            " {} for the whole machine. Components without a meter are estimated from their load.",
            f"{energy.kwh:.3g}",
            f"{energy.kg_co2eq or 0:.3g}",
            to_number(energy.grid_kg_co2eq_per_kwh),
            f"grid of {country}" if country else "world average",
            energy.meter or "CodeCarbon",
        )
    ]
