"""Model card: RUN/README.md, rendered from a run folder by `card.md.jinja`.

It has YAML front matter for the Hub and a body in the order of the Hub's template for model cards,
both from results.json and the settings. It works offline, and huggingface_hub parses the card
before it is written. A value that the run does not record (a licence, a language) is left out of
the front matter; the body names the setting that adds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import jinja2
from huggingface_hub import ModelCard

from audio_cls.errors import redact_tokens
from audio_cls.publishing.card import provenance, sentences, tables, weakest_tables
from audio_cls.publishing.card.figures import DATA, TRAINING, CardFigure, list_figures
from audio_cls.publishing.card.front_matter import make_metadata, make_title
from audio_cls.publishing.card.limitations import list_out_of_scope, make_limitations
from audio_cls.publishing.card.markdown import MAX_TEXT, Markdown, escape, to_block
from audio_cls.publishing.card.usage import Usage, make_usage
from audio_cls.publishing.redaction.results import load_public_run
from audio_cls.publishing.run_record import RunRecord, single_line
from audio_cls.storage.files import replace_file


@dataclass(frozen=True)
class CardData:
    """The values of the template; a plain str is escaped there, `Markdown` is not."""

    title: str
    summary: Markdown
    num_labels: int
    is_multilabel: bool
    is_from_scratch: bool
    is_test_validation: bool
    is_validated: bool
    is_refitted: bool
    base_model: Markdown
    dataset: Markdown
    headline: Markdown
    model: list[Markdown]
    out_of_scope: list[Markdown]
    limitations: list[Markdown]
    warnings: list[Markdown]
    usage: Usage
    columns: Markdown
    splits: list[tables.Row]
    split_sentences: list[Markdown]
    data_figures: list[CardFigure]
    provenance: list[Markdown]
    changed: list[tables.Row]
    command: Markdown
    origin: Markdown
    layers: list[tables.Row]
    layers_metric: str
    layers_note: Markdown
    choice: Markdown
    candidates: list[tables.Row]
    chosen_on: str  # the clips that candidates were compared on
    log_header: list[object]
    log_rule: Markdown
    log: list[tables.Row]
    log_note: str
    training_figures: list[CardFigure]
    cost: list[Markdown]
    metric_sentences: list[Markdown]
    metrics: list[tables.Row]
    detection: list[tables.Row]
    detection_note: Markdown
    class_header: list[str]
    per_class: list[tables.Row]
    per_class_note: Markdown
    confusions: list[Markdown]
    weakest_header: list[str]
    weakest: list[tables.Row]
    families: list[tables.Row]
    families_note: Markdown
    mistakes: list[tables.Row]
    figures: list[CardFigure]
    energy: list[Markdown]
    software_citation: Markdown
    licences: list[Markdown]


@dataclass(frozen=True)
class CardTexts:
    """Texts of the user for the card, from the settings of the Hub section."""

    description: str = ""  # Markdown, after the summary
    intended_use: str = ""  # Markdown, the section on direct use
    citation: str = ""  # BibTeX


def read_texts(record: RunRecord) -> CardTexts:
    """Return the texts of `--model-description`, `--intended-use` and `--citation`."""
    hub = record.settings.get("hub", {})
    names = ("model_description", "intended_use", "citation")
    return CardTexts(*(str(hub.get(name) or "").strip() for name in names))


def write_card(run: Path, repo_id: str | None = None) -> Path:
    """Write RUN/README.md from what the run's settings publish. Main process only.

    Args:
        run: The run folder.
        repo_id: Where it will be published, for the example; default: the run folder's name.

    Returns:
        The file.

    Raises:
        RunFolderError: The folder has no readable results.json.
    """
    path = run / "README.md"
    replace_file(path, render_card(load_public_run(run), repo_id))
    return path


def render_card(record: RunRecord, repo_id: str | None = None) -> str:
    """Return the whole card, after a check that its front matter parses to the same results.

    Args:
        record: The run, redacted (`make_public`).
        repo_id: See `write_card`.
    """
    metadata = make_metadata(record, repo_id)
    body = (
        _load_template()
        .render(card=make_card_data(record, repo_id), texts=read_texts(record))
        .strip()
    )
    text = redact_tokens(f"---\n{metadata.to_yaml(line_break=chr(10))}\n---\n\n{body}\n")
    read_back = ModelCard(text).data
    if (read_back.get("eval_results") or None) != metadata.get("eval_results"):
        raise AssertionError("the card's results changed on their way through YAML")
    return text


@cache
def _load_template() -> jinja2.Template:
    """Return the template of the card, which escapes every value except `Markdown`.

    Compiled once per process: that takes three times as long as filling it in.
    """
    environment = jinja2.Environment(  # nosec B701 # a Markdown file, see autoescape
        finalize=escape,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # that would escape for HTML; `finalize` escapes for Markdown
    )
    environment.filters["markdown"] = Markdown
    environment.filters["bibtex"] = lambda text: to_block(text, "bibtex")
    environment.filters["join_cells"] = lambda cells: Markdown(" | ".join(map(escape, cells)))
    file = resources.files(__package__) / "card.md.jinja"
    return environment.from_string(file.read_text("utf-8"))


def make_card_data(record: RunRecord, repo_id: str | None = None) -> CardData:
    """Return the values of the template."""
    header, log, log_note = tables.make_log(record)
    command = single_line(record.results.command or "", MAX_TEXT)
    weakest, classes = weakest_tables.make_weakest_rows(record), tables.make_class_rows(record)
    if weakest and len(tables.read_classes(record)) > tables.MAX_CLASSES:
        classes = []  # the table of the weakest classes is enough
    return CardData(
        title=make_title(record),
        summary=sentences.make_summary(record),
        num_labels=len(record.labels),
        is_multilabel=record.is_multilabel,
        is_from_scratch=record.is_from_scratch,
        is_test_validation=bool(record.results.is_chosen_on_test),
        is_validated=tables.is_validated(record),
        is_refitted=bool(record.results.refit),
        base_model=provenance.link(record.model_hub_id, record.results.model.id),
        dataset=provenance.link(record.dataset_hub_id, record.dataset_name, "datasets/"),
        headline=sentences.make_headline(record),
        model=provenance.describe_model(record),
        out_of_scope=list_out_of_scope(record),
        limitations=make_limitations(record),
        warnings=sentences.make_warnings(record),
        usage=make_usage(record.model, repo_id or record.folder.absolute().name),
        columns=provenance.describe_columns(record),
        splits=tables.make_split_rows(record),
        split_sentences=sentences.make_split_sentences(record),
        data_figures=list_figures(record, DATA),
        provenance=provenance.make_provenance(record),
        changed=tables.make_hyperparameter_rows(record),
        command=to_block(command, "bash") if command else Markdown(""),
        origin=sentences.describe_origin(record),
        layers=tables.make_layer_rows(record),
        layers_metric=tables.name_layer_metric(record),
        layers_note=sentences.make_layers_note(record),
        choice=sentences.make_choice(record),
        candidates=tables.make_candidate_rows(record),
        chosen_on=tables.name_chosen_on(record),
        log_header=header,
        log_rule=Markdown("---:|" * len(header)),
        log=log,
        log_note=log_note,
        training_figures=list_figures(record, TRAINING),
        cost=provenance.make_cost(record),
        metric_sentences=sentences.make_metric_sentences(record),
        metrics=tables.make_metric_rows(record),
        detection=tables.make_detection_rows(record),
        detection_note=sentences.make_detection_note(record),
        class_header=tables.make_class_header(record),
        per_class=classes,
        per_class_note=sentences.make_class_note(record, len(classes)),
        confusions=sentences.make_confusions(record),
        weakest_header=weakest_tables.make_weakest_header(record),
        weakest=weakest,
        families=weakest_tables.make_family_rows(record),
        families_note=weakest_tables.make_family_note(record),
        mistakes=tables.make_mistake_rows(record),
        figures=list_figures(record),
        energy=provenance.describe_energy(record),
        software_citation=provenance.make_software_citation(record),
        licences=sentences.make_licence_sentences(record),
    )
