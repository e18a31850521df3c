"""Front matter of the card: the metadata that the Hub reads."""

from __future__ import annotations

import re
from typing import Any

from huggingface_hub import ModelCardData

from audio_cls.demo_data import BUILTIN
from audio_cls.publishing.audio_samples import make_widget
from audio_cls.publishing.card.usage import make_usage
from audio_cls.publishing.eval_results import TASK, make_eval_results
from audio_cls.publishing.run_record import (
    MAX_FRONT_MATTER,
    RunRecord,
    path_basename,
    single_line,
)

LICENSE_ID = re.compile(r"[a-z0-9][a-z0-9.+-]{0,39}")
LANGUAGE_ID = re.compile(r"[a-z]{2,3}|multilingual")


def make_metadata(record: RunRecord, repo_id: str | None = None) -> ModelCardData:
    """Return the front matter, with only the keys that are known for this run.

    Args:
        record: The run, redacted.
        repo_id: Where it is published, if known.
    """
    base_model = None if record.is_from_scratch else record.model_hub_id
    licence, hub_id = read_license(record), record.dataset_hub_id
    results = make_eval_results(record, repo_id)
    metrics = list(dict.fromkeys(result.metric_type for result in results))
    extras: dict[str, Any] = {"base_model_relation": "finetune"} if base_model else {}
    extras |= make_license_keys(licence) if licence else {}
    extras |= make_energy_keys(record)
    return ModelCardData(
        library_name=make_usage(record.model, "").library,
        pipeline_tag=TASK,
        language=read_languages(record) or None,
        base_model=base_model,
        datasets=[hub_id] if hub_id else None,
        metrics=metrics or None,
        tags=[TASK, "audio_cls"],
        widget=make_widget(record, repo_id),
        model_name=repo_id.rpartition("/")[2] if repo_id else make_title(record),
        eval_results=results or None,
        **extras,
    )


def make_title(record: RunRecord) -> str:
    """Return the title of the card: "MODEL fine-tuned on DATA SET", without owners."""
    dataset = record.results.dataset
    names = (record.results.model.id, dataset.name or dataset.id)
    model, data = (path_basename(name.removeprefix(BUILTIN)) if name else "" for name in names)
    how = "trained from scratch" if record.is_from_scratch else "fine-tuned"
    if record.results.is_linear_probe:
        how = "with a linear probe"
    return f"{model or 'Audio classifier'} {how} on {data or 'unnamed data set'}"


def read_license(record: RunRecord) -> str | None:
    """Return the card's licence: `--license`, else the base model's."""
    given = record.settings.get("hub", {}).get("license")
    inherited = None if record.is_from_scratch else record.results.model.license
    return str(given or inherited) if given or inherited else None


def read_languages(record: RunRecord) -> list[str]:
    """Return the card's language codes: `--language`, else those of the data set's card."""
    given = record.settings.get("hub", {}).get("language") or record.results.dataset.language
    codes = map(str, given if isinstance(given, list | tuple) else [])
    return [code for code in codes if LANGUAGE_ID.fullmatch(code)]


def make_license_keys(licence: str) -> dict[str, str]:
    """Return the front matter's keys for a licence; another than the Hub's ids is `other`.

    >>> make_license_keys("mit"), make_license_keys("Terms of Ann: v1")
    ({'license': 'mit'}, {'license': 'other', 'license_name': 'terms-of-ann-v1'})
    """
    if LICENSE_ID.fullmatch(licence):
        return {"license": licence}
    slug = re.sub(r"[^a-z0-9]+", "-", licence.lower()).strip("-")[:MAX_FRONT_MATTER]
    return {"license": "other", "license_name": slug or "unnamed"}


def make_energy_keys(record: RunRecord) -> dict[str, Any]:
    """Return the front matter's `co2_eq_emissions`, in grams; nothing if it was not measured."""
    energy = record.results.timing.energy
    if energy is None or energy.kg_co2eq is None:
        return {}
    emissions: dict[str, Any] = {
        "emissions": round(1000 * energy.kg_co2eq, 6),
        "source": single_line(energy.meter or "CodeCarbon", MAX_FRONT_MATTER),
        "training_type": "pre-training" if record.is_from_scratch else "fine-tuning",
    }
    device = record.results.hardware.device
    if device:
        emissions["hardware_used"] = single_line(device, MAX_FRONT_MATTER)
    return {"co2_eq_emissions": emissions}
