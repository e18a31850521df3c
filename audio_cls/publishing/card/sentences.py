"""Sentences of the card on results, splits, warnings and licences."""

from __future__ import annotations

from collections.abc import Mapping

from audio_cls.errors import count_of
from audio_cls.evaluation.metrics.baseline import FROM_THESE
from audio_cls.publishing.card.front_matter import read_license
from audio_cls.publishing.card.limitations import Sentences, are_duplicates_left_out
from audio_cls.publishing.card.markdown import (
    Markdown,
    count,
    escape,
    join_names,
    to_code,
    to_duration,
    to_number,
    to_sentence,
    to_text,
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

TASK_NAME = "Audio classification"
NUM_CONFUSIONS = 5
MAX_LABELS = 30  # labels in the first sentence
BASELINES = {  # metric -> key in results.json, and the sentence with its value
    "accuracy": (
        "majority_accuracy",
        "Always predicting the most frequent class of training: accuracy {}.",
    ),
    "map": ("baseline_map", "Equal scores for all clips: mean average precision {}."),
}
THRESHOLDS = (
    "The threshold of each label maximises its F1 on validation, so the F1 on validation is"
    " optimistic."
)


def make_summary(record: RunRecord) -> Markdown:
    """Return the task with the number of classes and their names."""
    task = "Audio tagging (several labels per clip)" if record.is_multilabel else TASK_NAME
    noun = "label" if record.is_multilabel else "class"
    names = join_names(record.labels, MAX_LABELS)
    return to_sentence("{}, {}: {}.", Markdown(task), count(len(record.labels), noun), names)


def describe_origin(record: RunRecord) -> Markdown:
    """Return how the model was made from the base model, whose name follows."""
    if record.results.is_linear_probe:
        return Markdown("Linear probe (logistic regression on one layer) of")
    if record.is_from_scratch:
        return Markdown("Trained from random weights, with the architecture of")
    return Markdown("Fine-tuned from")


def make_layers_note(record: RunRecord) -> Markdown:
    """Return which clips the layers of a linear probe were compared on, and the time it took."""
    probe = record.results.probe
    if probe is None:
        return Markdown("")
    return to_sentence(
        "{}. Outputs of all layers for {}: {}{}; regressions: {}.",
        to_sentence("Measured on {}", probe.scored_on)
        if probe.scored_on is not None
        else Markdown("Not measured: no class has two training clips"),
        count(probe.num_windows, "window"),
        to_duration(probe.feature_seconds),
        "" if probe.num_computed else " (from the cache)",
        to_duration(probe.fit_seconds),
    )


def make_headline(record: RunRecord) -> Markdown:
    """Return the value of the metric that selected the epoch, its clips and its interval."""
    test, metric = record.results.test, record.results.metric or "accuracy"
    value = to_number(test.get(metric))
    if not value:
        return Markdown("")
    interval = test.get(f"{metric}_ci95")
    bounds = (
        to_sentence(", 95 % confidence interval {} to {}", *map(to_number, interval))
        if interval
        else ""
    )
    return to_sentence(
        "**{} {}** on {} of {}{}.",
        name_metric(metric, is_multilabel=record.is_multilabel).title,
        value,
        count(test.get("num_examples"), "clip"),
        describe_test(record),
        bounds,
    )


def make_choice(record: RunRecord) -> Markdown:
    """Return which candidate of `--method auto` was kept, and why; empty for other methods."""
    found = record.results.candidates
    if found is None:
        return Markdown("")
    text = "`--method auto` kept **{}**. {} The test clips were scored by this model alone."
    if record.results.is_chosen_on_test:
        text = "`--method auto` kept **{}**. {} All candidates were scored on the test clips."
    return to_sentence(text, found.kept.name, to_text(found.reason or ""))


def make_warnings(record: RunRecord) -> Sentences:
    """Return the warnings of the run about its data and results."""
    return [to_text(text) for text in record.results.warnings or []]


def make_metric_sentences(record: RunRecord) -> Sentences:
    """Return what the table of metrics is measured on, and what it can be compared with."""
    test = record.results.test
    clips = count(test.get("num_examples"), "clip")
    sentences = [to_sentence("Test: {} of {}.", clips, describe_test(record))]
    if record.results.refit:
        place = f", on {record.results.held_out}" if record.results.held_out else ""
        text = "Validation: of the selected checkpoint{}, before the refit."
        sentences.append(to_sentence(text, place))
    if any(key.endswith("_ci95") and value for key, value in test.items()):
        sentences.append(Markdown("In brackets: 95 % confidence interval."))
    if note := (test.get("intervals") or {}).get("note"):  # it may not hold for other groups
        sentences.append(to_text(note))
    key, text = BASELINES[record.results.headline_key]
    if to_number(test.get(key)):
        if test.get("majority_from") == FROM_THESE:
            text = text.replace("of training", f"of {FROM_THESE}")
        sentences.append(to_sentence(text, to_number(test[key])))
    sentences += _describe_baseline(record)
    if record.is_multilabel and record.results.calibration.get("fitted_on", "validation"):
        sentences.append(Markdown(THRESHOLDS))
    return [*sentences, Markdown("Further metrics: `results.json`.")]


def _describe_baseline(record: RunRecord) -> Sentences:
    """Return the result of the plain baseline, and the difference of the model from it."""
    baseline = record.results.baseline
    if baseline.test is None or baseline.difference is None:
        return []
    used = ""
    if (baseline.num_train or 0) < (baseline.num_available or 0):
        used = f" (fitted on {baseline.num_train:,} of {baseline.num_available:,} training clips)"
    bounds = baseline.difference_ci95
    interval = f" (95 % interval {bounds[0]:+.3f} to {bounds[1]:+.3f})" if bounds else ""
    return [
        to_sentence(
            "Plain baseline, logistic regression on log-mel statistics of the same clips{}: {} {}."
            " Difference of the model: {}{}.",
            Markdown(used),
            name_metric(baseline.metric or "accuracy").title.lower(),
            to_number(baseline.test),
            f"{baseline.difference:+.3f}",
            Markdown(interval),
        )
    ]


def make_detection_note(record: RunRecord) -> Markdown:
    """Return the number of clips behind the false accepts; empty for other classifiers."""
    detection = record.results.test.get("detection")
    if not isinstance(detection, Mapping):
        return Markdown("")
    return to_sentence(
        "False accepts per hour on {} ({}) without keywords, at a threshold that misses at most the"
        " given share of {}.{}",
        count(detection.get("other_clips"), "clip"),
        to_duration(detection.get("other_seconds")),
        count(detection.get("keyword_clips"), "keyword clip"),
        Markdown(" The sample is small: use the interval." if _is_short(detection) else ""),
    )


def _is_short(detection: Mapping[str, object]) -> bool:
    """Return whether there is less than an hour of audio without keywords."""
    seconds = detection.get("other_seconds")
    return isinstance(seconds, int | float) and seconds < 3600


def make_class_note(record: RunRecord, num_shown: int) -> Markdown:
    """Return that the table by class is shortened; empty if it is complete."""
    if num_shown == len(read_classes(record)):
        return Markdown("")
    noun = "labels" if record.is_multilabel else "classes"
    return to_sentence("The {} {} with the lowest F1; `results.json` has all.", num_shown, noun)


def make_confusions(record: RunRecord) -> Sentences:
    """List the most frequent confusions of a single-label classifier."""
    confusions = record.results.test.get("top_confusions") or []
    return [
        to_sentence(
            "{} predicted as {} ({})", one["label"], one["prediction"], count(one["count"], "clip")
        )
        for one in confusions[:NUM_CONFUSIONS]
    ]


def make_split_sentences(record: RunRecord) -> Sentences:
    """Return how the splits were made, grouped and cleaned."""
    data, sentences = record.settings.get("data", {}), []
    if record.results.dataset.is_test_validation:
        sentences.append(Markdown("**Validation and test are the same clips.**"))
    sentences += _describe_test_clips(record)
    if data.get("group_column") and is_grouped(record):
        sentences.append(
            to_sentence("All clips of one {} are in the same split.", to_code(data["group_column"]))
        )
    elif is_grouped(record):
        sentences.append(Markdown("All clips of one group are in the same split."))
    for name, part in (("max_train_samples", "train"), ("max_eval_samples", "validation and test")):
        if data.get(name):
            limit = count_of(data[name], "clip")
            sentences.append(to_sentence("Used: at most {} of {}.", limit, part))
    skipped = record.results.bad_audio.get("skipped")
    if skipped:
        sentences.append(
            to_sentence("Left out as unusable: {} (`bad_audio.csv`).", count(skipped, "clip"))
        )
    sentences += _describe_duplicates(record)
    sentences.append(Markdown("`splits/` lists the clips of each split."))
    return sentences


def _describe_duplicates(record: RunRecord) -> Sentences:
    """Return the numbers of duplicates and near duplicates, if there are any."""
    sentences = []
    if record.duplicates:
        fate = "left out" if are_duplicates_left_out(record) else "kept"
        across = sum(first != second for first, second in record.duplicates)
        sentences.append(
            to_sentence(
                "{}, {}; {} across splits (`duplicates.csv`).",
                count(len(record.duplicates), "duplicate clip"),
                fate,
                count(across, "pair"),
            )
        )
    near = record.results.dataset.near_duplicates
    if near.found:
        sentences.append(
            to_sentence(
                "{}, {} across splits (`near_duplicates.csv`).",
                count(near.found, "near-duplicate pair"),
                "?" if near.across_splits is None else f"{near.across_splits:,}",
            )
        )
    return sentences


def _describe_test_clips(record: RunRecord) -> Sentences:
    """Return how the test clips were chosen, unless they are a given split."""
    origin = read_origin(record, "test")
    if is_cut_by_run(record):
        return [to_sentence("The run made the test split: {}.", to_text(describe_part(record)))]
    if not origin or origin.startswith("split '"):
        return []
    return [to_sentence("Test clips: {}.", to_text(origin))]


def make_licence_sentences(record: RunRecord) -> Sentences:
    """Return the known licences, and which are not known."""
    known = {
        "model": read_license(record),
        "base model": record.results.model.license,
        "data set": record.results.dataset.license,
    }
    if record.is_from_scratch:
        del known["base model"]
    sentences = [
        to_sentence("{}: {}.", who.capitalize(), licence)
        for who, licence in known.items()
        if licence
    ]
    unknown = [who for who, licence in known.items() if not licence]
    if unknown:
        names = ", ".join(unknown)
        hint = " (set that of the model with `--license`)" if "model" in unknown else ""
        sentences.append(to_sentence("Not recorded: licence of {}{}.", names, Markdown(hint)))
    return [
        *sentences,
        Markdown("The licence of the recordings may also apply to the model: check it before use."),
    ]


def describe_test(record: RunRecord) -> Markdown:
    """Return the name of the test clips: of a given split as code, else a description."""
    name = read_split_name(record, "test")
    return to_code(name) if is_given(record) else Markdown(escape(add_article(name)))
