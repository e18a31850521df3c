"""Limitations of the model for the card, derived from data and results."""

from __future__ import annotations

from audio_cls.config import AudioConfig
from audio_cls.publishing.card.markdown import Markdown, escape, to_number, to_sentence
from audio_cls.publishing.card.tables import read_classes
from audio_cls.publishing.run_record import RunRecord
from audio_cls.publishing.split_description import is_cut_by_run, is_grouped

WIDE_INTERVAL = 0.05  # half width from which the card warns of a small test set
FEW_CLIPS = 10  # test clips of a class below which the card warns
NUM_WEAKEST = 3
MAX_LIMITS = 2_000  # characters of --limits

Sentences = list[Markdown]


def make_limitations(record: RunRecord) -> Sentences:
    """Return the sentences on the limitations of this run's data and results."""
    sentences = _limit_by_test_size(record) + _limit_by_class(record) + _limit_by_audio(record)
    sentences += _limit_by_leaks(record)
    if is_cut_by_run(record) and not is_grouped(record):
        sentences.append(
            Markdown(
                "The cut knew nothing of speakers, tracks or recording sessions: clips of one"
                " source may stand on both sides, and the score on new sources may then be lower."
                " `--group-column` prevents that."
            )
        )
    if not record.is_multilabel:
        sentences.append(
            Markdown(
                "It always answers with one of its classes, for silence and any other sound too."
            )
        )
    given = record.settings.get("hub", {}).get("limitations")
    if given:
        sentences.append(Markdown(escape(given, MAX_LIMITS)))
    return sentences


def _limit_by_leaks(record: RunRecord) -> Sentences:
    """Warn of test clips whose audio is, or may be, in training too."""
    if record.settings.get("data", {}).get("streaming"):
        return [
            Markdown(
                "The training clips were streamed: nobody compared their sound with that of the"
                " test clips."
            )
        ]
    leaks = [one for one in record.duplicates if "test" in one and "train" in one]
    if not leaks or are_duplicates_left_out(record):
        return []
    return [
        to_sentence(
            "{} clips sound the same in training and in test (duplicates.csv): the model has heard"
            " those answers.",
            len(leaks),
        )
    ]


def are_duplicates_left_out(record: RunRecord) -> bool:
    """Return whether duplicates were left out before training."""
    return bool(record.settings.get("data", {}).get("deduplicate"))


def _limit_by_test_size(record: RunRecord) -> Sentences:
    """Warn of a wide interval, and of a test set that selected the model."""
    test, sentences = record.results.test, []
    interval = test.get(f"{record.headline_key}_ci95")
    if interval and (interval[1] - interval[0]) / 2 >= WIDE_INTERVAL:
        sentences.append(
            to_sentence(
                "The test is small ({} clips): a model that differs by less than {} points is not"
                " shown to be better or worse than this one.",
                test.get("num_examples", "few"),
                f"{50 * (interval[1] - interval[0]):.0f}",
            )
        )
    if record.results.dataset.is_test_validation:
        sentences.append(
            Markdown(
                "No clip was held back from the choice of the epoch, so no result here is unbiased."
            )
        )
    return sentences


def _limit_by_class(record: RunRecord) -> Sentences:
    """Name the weakest classes, and those with few or no test clips."""
    classes = [
        (n, float(s.get("f1") or 0), int(s.get("support") or 0)) for n, s in read_classes(record)
    ]
    tested = sorted((c for c in classes if c[2] > 0), key=lambda c: c[1])
    sentences = []
    if len(tested) > 1 and tested[0][1] < tested[-1][1]:
        weakest = [c for c in tested[:NUM_WEAKEST] if c[1] < tested[-1][1]]
        names = ", ".join(f"{escape(name)} (F1 {to_number(f1)})" for name, f1, _ in weakest)
        sentences.append(Markdown(f"Weakest: {names}."))
    for lacking, text in (
        ([c[0] for c in classes if c[2] == 0], "Not tested at all, for want of clips: {}."),
        (
            [c[0] for c in tested if c[2] < FEW_CLIPS],
            f"Tested on fewer than {FEW_CLIPS} clips: {{}}.",
        ),
    ):
        if lacking:
            shown = ", ".join(escape(name) for name in lacking[:10])
            rest = f" and {len(lacking) - 10} more" if len(lacking) > 10 else ""
            sentences.append(to_sentence(text, Markdown(shown + rest)))
    return sentences


def _limit_by_audio(record: RunRecord) -> Sentences:
    """Describe the clip length and the bandwidth of the input."""
    audio, sentences = record.settings.get("audio", {}), []
    if audio:
        longest = audio.get("max_seconds") or AudioConfig().piece_seconds
        window = audio.get("window_seconds") or longest
        sentences.append(
            to_sentence(
                "It learnt from pieces of at most {} s. The results above judge a longer clip by"
                " windows of {} s ({}); `pipeline` hears a clip whole, so cut longer ones to get"
                " the same scores.",
                f"{longest:g}",
                f"{window:g}",
                audio.get("aggregate", AudioConfig().aggregate),
            )
        )
    rate = record.extractor.get("sampling_rate")
    if isinstance(rate, int):
        sentences.append(
            to_sentence("It hears at {} Hz: nothing above {} Hz reaches it.", rate, rate // 2)
        )
    return sentences
