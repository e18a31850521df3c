"""Model card: RUN/README.md, rendered from a run folder by `card.md.jinja`.

It has YAML front matter for the Hub and a body for people, both from results.json and the settings.
It works offline, and huggingface_hub parses the card before it is written. A value that the run
does not record (a licence, a language) is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
from huggingface_hub import ModelCard

from audio_cls.errors import redact_tokens
from audio_cls.publishing.card import provenance, sentences, tables, weakest_tables
from audio_cls.publishing.card.front_matter import choose_model_name, make_metadata
from audio_cls.publishing.card.limitations import make_limitations
from audio_cls.publishing.card.markdown import (
    MAX_TEXT,
    Markdown,
    escape,
    to_block,
    to_sentence,
)
from audio_cls.publishing.card.usage import Usage, make_usage
from audio_cls.publishing.redaction.results import load_public_run
from audio_cls.publishing.run_record import RunRecord, path_basename, single_line
from audio_cls.storage.files import replace_file

MAX_LABELS = 30  # labels in the first sentence


@dataclass(frozen=True)
class CardData:
    """The values of the template; a plain str is escaped there, `Markdown` is not."""

    name: str
    num_labels: int
    labels: Markdown
    is_multilabel: bool
    is_from_scratch: bool
    is_test_validation: bool
    base_model: Markdown
    dataset: Markdown
    headline: Markdown
    usage: Usage
    test_clips: str
    test_split: Markdown
    interval_sentence: Markdown
    warnings: list[Markdown]
    metrics: list[tables.Row]
    class_header: list[str]
    detection: list[tables.Row]
    detection_note: Markdown
    per_class: list[tables.Row]
    per_class_note: Markdown
    confusions: list[Markdown]
    weakest_header: list[str]
    weakest: list[tables.Row]
    families: list[tables.Row]
    families_note: Markdown
    figures: list[Markdown]
    columns: Markdown
    splits: list[tables.Row]
    split_sentences: list[Markdown]
    changed: list[tables.Row]
    command: Markdown
    provenance: list[Markdown]
    log_header: list[object]
    log_rule: Markdown
    log: list[tables.Row]
    log_note: str
    cost: list[Markdown]
    limits: list[Markdown]
    licences: list[Markdown]


@dataclass(frozen=True)
class ModelCardExtra:
    """Texts of the user for the card; a run does not know them."""

    description: str = ""  # Markdown, after the first sentences
    intended_uses: str = ""  # Markdown, a section before the example
    citation: str = ""  # BibTeX, a section at the end
    language: tuple[str, ...] = ()  # ISO 639 codes, instead of those of the data set's card


NO_EXTRA = ModelCardExtra()


def write_card(run: Path, repo_id: str | None = None, extra: ModelCardExtra = NO_EXTRA) -> Path:
    """Write RUN/README.md from what the run's settings publish. Main process only.

    Args:
        run: The run folder.
        repo_id: Where it will be published, for the example; default: the run folder's name.
        extra: Texts of the user. A card with such texts is published as it is, like an edited one.

    Returns:
        The file.

    Raises:
        RunFolderError: The folder has no readable results.json.
    """
    path = run / "README.md"
    replace_file(path, render_card(load_public_run(run), repo_id, extra))
    return path


def render_card(
    record: RunRecord, repo_id: str | None = None, extra: ModelCardExtra = NO_EXTRA
) -> str:
    """Return the whole card, after a check that its front matter parses to the same results.

    Args:
        record: The run, redacted (`make_public`).
        repo_id: See `write_card`.
        extra: See `write_card`.
    """
    metadata = make_metadata(record, repo_id, extra.language)
    template = _make_environment().from_string(
        (resources.files(__package__) / "card.md.jinja").read_text("utf-8")
    )
    body = template.render(card=make_card_data(record, repo_id), extra=extra).strip()
    text = redact_tokens(f"---\n{metadata.to_yaml(line_break=chr(10))}\n---\n\n{body}\n")
    read_back = ModelCard(text).data
    if (read_back.get("eval_results") or None) != metadata.get("eval_results"):
        raise AssertionError("the card's results changed on their way through YAML")
    return text


def _make_environment() -> jinja2.Environment:
    """Return a jinja environment that escapes every value except `Markdown`."""
    environment = jinja2.Environment(
        finalize=escape,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # that would escape for HTML; `finalize` escapes for Markdown
    )
    environment.filters["markdown"] = Markdown
    environment.filters["bibtex"] = lambda text: to_block(text.strip(), "bibtex")
    environment.filters["join_cells"] = lambda cells: Markdown(" | ".join(map(escape, cells)))
    environment.filters["join_sentence"] = lambda parts: Markdown(", ".join(map(escape, parts)))
    return environment


def make_card_data(record: RunRecord, repo_id: str | None = None) -> CardData:
    """Return the values of the template."""
    header, log, log_note = tables.make_log(record)
    command = single_line(record.results.command or "", MAX_TEXT)
    classes = tables.make_class_rows(record)
    count = record.results.test.get("num_examples")
    return CardData(
        name=choose_model_name(record, repo_id),
        num_labels=len(record.labels),
        labels=_list_labels(record.labels),
        is_multilabel=record.is_multilabel,
        is_from_scratch=record.is_from_scratch,
        is_test_validation=bool(record.results.dataset.is_test_validation),
        base_model=_link(record.model_hub_id, record.results.model.id, ""),
        dataset=_link(record.dataset_hub_id, record.dataset_name, "datasets/"),
        headline=sentences.make_headline(record),
        usage=make_usage(record.model, repo_id or record.folder.absolute().name),
        test_clips=f"{count} clips" if count is not None else "the clips",
        test_split=sentences.describe_test(record),
        interval_sentence=sentences.make_interval_sentence(record),
        warnings=sentences.make_warnings(record),
        metrics=tables.make_metric_rows(record),
        class_header=tables.make_class_header(record),
        detection=tables.make_detection_rows(record),
        detection_note=sentences.make_detection_note(record),
        per_class=classes,
        per_class_note=sentences.make_class_note(record, len(classes)),
        confusions=sentences.make_confusions(record),
        weakest_header=weakest_tables.make_weakest_header(record),
        weakest=weakest_tables.make_weakest_rows(record),
        families=weakest_tables.make_family_rows(record),
        families_note=weakest_tables.make_family_note(record),
        figures=[Markdown(f"![{n[:-4].replace('_', ' ')}](figures/{n})") for n in record.figures],
        columns=provenance.describe_columns(record),
        splits=tables.make_split_rows(record),
        split_sentences=sentences.make_split_sentences(record),
        changed=tables.make_hyperparameter_rows(record),
        command=to_block(command, "bash") if command else Markdown(""),
        provenance=provenance.make_provenance(record),
        log_header=header,
        log_rule=Markdown("---:|" * len(header)),
        log=log,
        log_note=log_note,
        cost=provenance.make_cost(record),
        limits=make_limitations(record),
        licences=sentences.make_licence_sentences(record),
    )


def _list_labels(labels: list[str]) -> Markdown:
    """Return the first labels, and the number of others."""
    shown = ", ".join(map(escape, labels[:MAX_LABELS]))
    rest = len(labels) - MAX_LABELS
    return Markdown(f"{shown} and {rest} more" if rest > 0 else shown)


def _link(hub_id: str | None, name: object, kind: str) -> Markdown:
    """Return a link to the Hub, or the name of a folder."""
    if hub_id:
        return Markdown(f"[{escape(hub_id)}](https://huggingface.co/{kind}{hub_id})")
    return to_sentence("{} (a local folder)", path_basename(name))
