"""Sentences of the card on results, splits, warnings and licences."""

from __future__ import annotations

from collections.abc import Mapping

from audio_cls.publishing.card.limitations import Sentences, are_duplicates_left_out
from audio_cls.publishing.card.markdown import (
    Markdown,
    escape,
    to_code,
    to_duration,
    to_number,
    to_sentence,
)
from audio_cls.publishing.card.tables import read_classes
from audio_cls.publishing.metric_names import name_metric
from audio_cls.publishing.run_record import RunRecord
from audio_cls.publishing.split_description import (
    add_article,
    describe_part,
    is_cut_by_run,
    is_given,
    is_grouped,
    read_origin,
    read_split_name,
)

NUM_CONFUSIONS = 3
MAX_WARNING = 1_000  # characters of a warning
THRESHOLDS = (
    " A label counts as there from its own threshold on, which had the best F1 on validation: the"
    " validation column is the best that these clips allow."
)


def make_warnings(record: RunRecord) -> Sentences:
    """Return the warnings of the run about its data and results."""
    return [Markdown(escape(text, MAX_WARNING)) for text in record.results.warnings or []]


def make_interval_sentence(record: RunRecord) -> Markdown:
    """Return the confidence interval of the headline metric and its half width in points.

    For a multi-label task also the origin of the thresholds.
    """
    interval = record.results.test.get(f"{record.headline_key}_ci95")
    if not interval:
        return Markdown("")
    low, high = (float(end) for end in interval)
    note = (record.results.test.get("intervals") or {}).get("note")
    name, thresholds = name_metric(record.headline_key).title.lower(), Markdown("")
    if record.is_multilabel:
        thresholds = Markdown(THRESHOLDS)
    if note:  # with few groups the interval does not hold for other groups
        return to_sentence(
            "The 95 % interval of the {} is {} to {}. {}{}",
            name, f"{low:.3f}", f"{high:.3f}", Markdown(escape(note, MAX_WARNING)), thresholds,
        )  # fmt: skip
    return to_sentence(
        "With so many clips the {} is known to about {} points (95 % interval {} to {}).{}",
        name, f"{50 * (high - low):.1f}", f"{low:.3f}", f"{high:.3f}", thresholds,
    )  # fmt: skip


def make_detection_note(record: RunRecord) -> Markdown:
    """Return the number of clips behind the false accepts; empty for other classifiers."""
    detection = record.results.test.get("detection")
    if not isinstance(detection, Mapping):
        return Markdown("")
    return to_sentence(
        "How often a keyword fires in {} clips without one ({}), at the threshold that misses no"
        " more than so many of {} keyword clips. So little sound cannot show how seldom a good"
        " spotter fires: read the interval.",
        detection.get("other_clips"),
        to_duration(detection.get("other_seconds")),
        detection.get("keyword_clips"),
    )


def make_class_note(record: RunRecord, num_shown: int) -> Markdown:
    """Return that the table by class is shortened; empty if it is complete."""
    if num_shown == len(read_classes(record)):
        return Markdown("")
    return to_sentence("The {} weakest are shown; results.json has all.", num_shown)


def make_confusions(record: RunRecord) -> Sentences:
    """List the most frequent confusions of a single-label classifier."""
    confusions = record.results.test.get("top_confusions") or []
    return [
        to_sentence("{} taken for {} ({})", one["label"], one["prediction"], one["count"])
        for one in confusions[:NUM_CONFUSIONS]
    ]


def make_split_sentences(record: RunRecord) -> Sentences:
    """Return how the splits were made, grouped and cleaned."""
    data, sentences = record.settings.get("data", {}), []
    if record.results.dataset.is_test_validation:
        sentences.append(
            Markdown("**Validation and test are the same clips: the test chose the saved epoch.**")
        )
    sentences += _describe_test_clips(record)
    if data.get("group_column"):
        sentences.append(
            to_sentence("Clips that share {} are in one part only.", data["group_column"])
        )
    elif is_grouped(record):
        sentences.append(Markdown("Clips of one group are in one part only."))
    for name, part in (("max_train_samples", "train"), ("max_eval_samples", "validation and test")):
        if data.get(name):
            sentences.append(to_sentence("At most {} clips of {} were used.", data[name], part))
    skipped = record.results.bad_audio.get("skipped")
    if skipped:
        sentences.append(
            to_sentence("{} clips could not be read and were left out (bad_audio.csv).", skipped)
        )
    if record.duplicates:
        fate = "were left out" if are_duplicates_left_out(record) else "were kept"
        sentences.append(
            to_sentence(
                "{} clips have the sound of another one and {}; {} of the pairs lie in two parts"
                " (duplicates.csv).",
                len(record.duplicates),
                fate,
                sum(first != second for first, second in record.duplicates),
            )
        )
    near = record.results.dataset.near_duplicates
    if near.found:
        sentences.append(
            to_sentence(
                "{} pairs of clips sound nearly the same, {} of them in two parts"
                " (near_duplicates.csv).",
                near.found,
                "?" if near.across_splits is None else near.across_splits,
            )
        )
    sentences.append(Markdown("The clips of each part are listed in `splits/`."))
    return sentences


def _describe_test_clips(record: RunRecord) -> Sentences:
    """Return how the test clips were chosen, unless they are a given split."""
    origin = read_origin(record, "test")
    if is_cut_by_run(record):
        return [to_sentence("The test clips are no split of their own: {}.", describe_part(record))]
    if not origin or origin.startswith("split '"):
        return []
    return [to_sentence("The test clips: {}.", origin)]


def make_licence_sentences(record: RunRecord) -> Sentences:
    """Return the known licences, and which are not known."""
    known = (
        ("This model", read_license(record)),
        ("The base model", record.results.model.license),
        ("The data set", record.results.dataset.license),
    )
    sentences = [to_sentence("{}: {}.", who, licence) for who, licence in known if licence]
    unknown = [who.lower() for who, licence in known if not licence]
    if record.is_from_scratch:
        unknown = [who for who in unknown if who != "the base model"]
    if unknown:
        names = ", ".join(unknown)
        sentences.append(to_sentence("Not recorded in this run: the licence of {}.", names))
    sentences.append(
        Markdown(
            "The terms of the recordings may bind what is made from them: read them before use."
        )
    )
    return sentences


def read_license(record: RunRecord) -> str | None:
    """Return the card's licence: `--license`, else the base model's."""
    given = record.settings.get("hub", {}).get("license")
    inherited = None if record.is_from_scratch else record.results.model.license
    return str(given or inherited) if given or inherited else None


def make_headline(record: RunRecord) -> Markdown:
    """Return the headline result: metric, value, number of clips, split."""
    test, metric = record.results.test, record.results.metric or "accuracy"
    value = to_number(test.get(metric))
    if value == "-":
        return Markdown("")
    return to_sentence(
        "{} {} on {} clips of {}",
        name_metric(metric).title,
        value,
        test.get("num_examples", "?"),
        add_article(read_split_name(record, "test")),
    )


def describe_test(record: RunRecord) -> Markdown:
    """Return the name of the test clips: of a given split as code, else a description."""
    name = read_split_name(record, "test")
    return to_code(name) if is_given(record) else Markdown(escape(add_article(name)))
