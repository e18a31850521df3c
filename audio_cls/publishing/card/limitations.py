"""Limitations of the model for the card, derived from data and results."""

from __future__ import annotations

from collections.abc import Mapping

from audio_cls.config import AudioConfig
from audio_cls.data.keyword_spotting.relabel import SILENCE, UNKNOWN
from audio_cls.errors import count_of, quote_comma
from audio_cls.evaluation.metrics.calibration import LIMITS
from audio_cls.evaluation.reports.class_ranking import choose_class_score, rank_weakest
from audio_cls.publishing.card.markdown import (
    Markdown,
    count,
    escape,
    join_names,
    to_code,
    to_number,
    to_sentence,
    to_text,
)
from audio_cls.publishing.card.tables import read_classes
from audio_cls.publishing.metric_names import name_metric
from audio_cls.publishing.run_record import RunRecord
from audio_cls.publishing.split_description import is_cut_by_run, is_grouped

WIDE_INTERVAL = 0.05  # half width from which the card warns of a small test set
FEW_CLIPS = 10  # test clips of a class below which the card warns
NUM_WEAKEST = 3
DIFFERENCE = (  # McNemar's exact test: 2 * 0.5**5 = 0.06, 2 * 0.5**6 = 0.03
    "Two models tested on these clips differ significantly (McNemar's exact test, p below 0.05)"
    " only if one of them is right on at least 6 more clips than the other; often more are needed."
)
MAX_LIMITS = 2_000  # characters of --limits

Sentences = list[Markdown]


def make_limitations(record: RunRecord) -> Sentences:
    """Return the sentences on the limitations of this run's data and results."""
    sentences = _limit_by_test_size(record) + _limit_by_class(record) + _limit_by_audio(record)
    sentences += _limit_by_group(record) + _limit_by_leaks(record) + _limit_by_calibration(record)
    if is_cut_by_run(record) and not is_grouped(record):
        sentences.append(
            Markdown(
                "Splits were not grouped: clips of one speaker, track or session may be in both"
                " training and test, so the score on new sources may be lower. `--group-column`"
                " keeps them in one split."
            )
        )
    given = record.settings.get("hub", {}).get("limitations")
    if given:
        sentences.append(to_text(given, MAX_LIMITS))
    return sentences


def list_out_of_scope(record: RunRecord) -> Sentences:
    """Return the uses that the model is not made for."""
    if record.is_multilabel:
        first = "Labels that are not listed above: the model does not report them."
    elif {UNKNOWN, SILENCE} & set(record.labels):
        first = (
            "Speech and sounds unlike the training clips of {}: the model may report a keyword for"
            " them."
        )
    else:
        first = (
            "Audio of other classes: the model always predicts one of its classes, also for silence"
            " or unrelated audio."
        )
    other = " and ".join(to_code(name) for name in (UNKNOWN, SILENCE) if name in record.labels)
    return [
        to_sentence(first, Markdown(other)),
        Markdown("Recordings unlike those of the data set (other devices, noise): not evaluated."),
        Markdown("Decisions about people, without an evaluation on data of that use."),
    ]


def _limit_by_leaks(record: RunRecord) -> Sentences:
    """Warn of test clips whose audio is, or may be, in training too."""
    if record.settings.get("data", {}).get("streaming"):
        return [
            Markdown(
                "Training clips were streamed: duplicates between training and test were not"
                " checked."
            )
        ]
    leaks = [one for one in record.duplicates if "test" in one and "train" in one]
    if not leaks or are_duplicates_left_out(record):
        return []
    return [
        to_sentence(
            "{} also in training (`duplicates.csv`): the test score is inflated.",
            count_of(len(leaks), "clip of the test set is", "clips of the test set are"),
        )
    ]


def _limit_by_group(record: RunRecord) -> Sentences:
    """Name the lowest and the highest accuracy among the groups of the test clips."""
    rows = record.results.test.get("by_group")
    values = [row.get("accuracy") for row in rows.values()] if isinstance(rows, Mapping) else []
    known = [value for value in values if isinstance(value, int | float)]
    if len(set(known)) < 2 or len(known) != record.results.test.get("num_groups"):
        return []
    return [
        to_sentence(
            "Accuracy differs between groups of clips: {} to {} over {} groups (`results.json`).",
            to_number(min(known)),
            to_number(max(known)),
            len(known),
        )
    ]


def _limit_by_calibration(record: RunRecord) -> Sentences:
    """Warn of a temperature that is a limit of its search."""
    calibration = record.results.calibration
    limit = calibration.get("reached_limit")
    if limit not in LIMITS:
        return []
    text = "The temperature of the calibration ({}) is the {} that was tried: {}."
    return [
        to_sentence(text, to_number(calibration.get("temperature")), limit, to_text(LIMITS[limit]))
    ]


def are_duplicates_left_out(record: RunRecord) -> bool:
    """Return whether duplicates were left out before training."""
    return bool(record.settings.get("data", {}).get("deduplicate"))


def _limit_by_test_size(record: RunRecord) -> Sentences:
    """Warn of a wide interval, and of a test set that selected the model."""
    test, sentences = record.results.test, []
    key = record.results.headline_key
    interval = test.get(f"{key}_ci95")
    if interval and (interval[1] - interval[0]) / 2 >= WIDE_INTERVAL:
        size, name = count(test.get("num_examples"), "clip"), name_metric(key).title.lower()
        bounds = map(to_number, interval)
        text = "The test set is small ({}): the {} on other such clips may be {} to {}."
        sentences.append(to_sentence(text, size, name, *bounds))
        if key == "accuracy":
            sentences.append(Markdown(DIFFERENCE))
    if record.results.is_chosen_on_test:
        sentences.append(
            Markdown("The test clips also selected the model: all results are optimistic.")
        )
    return sentences


def _limit_by_class(record: RunRecord) -> Sentences:
    """Name the weakest classes, and those with few or no test clips."""
    classes = read_classes(record)
    key = choose_class_score(is_multilabel=record.is_multilabel)
    title, sentences = key.replace("_", " "), []
    if weakest := rank_weakest(classes, key)[:NUM_WEAKEST]:
        names = ", ".join(
            f"{quote_comma(escape(n))} ({title} {to_number(row[key])})" for n, row in weakest
        )
        sentences.append(Markdown(f"Weakest classes: {names}."))
    clips = {name: int(row.get("support") or 0) for name, row in classes}
    for lacking, text in (
        (
            [name for name, number in clips.items() if number == 0],
            "Not tested (no test clips): {}.",
        ),
        (
            [name for name, number in clips.items() if 0 < number < FEW_CLIPS],
            f"Fewer than {FEW_CLIPS} test clips: {{}}.",
        ),
    ):
        if lacking:
            sentences.append(to_sentence(text, join_names(lacking, 10)))
    return sentences


def _limit_by_audio(record: RunRecord) -> Sentences:
    """Describe the clip length and the bandwidth of the input."""
    audio, sentences = record.settings.get("audio", {}), []
    if audio:
        longest = audio.get("max_seconds") or AudioConfig().piece_seconds
        window = audio.get("window_seconds") or longest
        aggregate = audio.get("aggregate", AudioConfig().aggregate)
        text = (
            "Trained on crops of at most {} s. The results combine the scores of windows of {} s"
            f" ({aggregate}); `pipeline` runs on the whole clip: split longer clips to get the same"
            " scores."
        )
        if aggregate == "first":
            text = (
                "Trained on crops of at most {} s. The results are scores of the first {} s of each"
                " clip; `pipeline` runs on the whole clip: cut clips to get the same scores."
            )
        sentences.append(to_sentence(text, f"{longest:g}", f"{window:g}"))
    rate = record.extractor.get("sampling_rate")
    if isinstance(rate, int):
        sentences.append(
            to_sentence(
                "Input is resampled to {} Hz; content above {} Hz is discarded.", rate, rate // 2
            )
        )
    return sentences
