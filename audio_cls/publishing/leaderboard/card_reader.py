"""Parser of reported results: model cards and entries of `.eval_results`, all untrusted.

It returns `ReportedResult`s, with values between 0 and 1 where the metric is a share, or the reason
why there is none. No content of a card raises: broken YAML, text for numbers, NaN, any nesting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from audio_cls.publishing.eval_results import SAME_CLIPS, SAME_CLIPS_ARG
from audio_cls.publishing.metric_names import MAX_NAME, is_same_metric, name_metric
from audio_cls.publishing.run_record import single_line
from audio_cls.publishing.split_description import name_part

FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.S | re.M)
NOT_SHARES = frozenset({"loss", "log_loss", "wer", "cer"})
NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)")
CLIPS = re.compile(r"\bon (\d{1,3}(?:,\d{3}){1,2}|\d{1,9}) (?:clip|example|sample|recording)s?\b")
BODY_VALUE = r"^[\s>*+|-]*(?:{names})[*_`]*\s*[:=|]?[*_`\s]*(\d{{1,3}}(?:\.\d+)?)\s*(%?)"
ROLES = ("validation", "test")
SPLIT_WORDS = {w: "validation" for w in ("validation", "val", "dev")} | {"train": "train"}


@dataclass(frozen=True)
class Card:
    """A model card: its front matter (any YAML value) and its body (None when it was not read)."""

    data: object
    body: str | None
    error: str = ""

    @property
    def base_models(self) -> tuple[str, ...]:
        """Return the base models that the card names."""
        return read_names(self.data, "base_model")

    @property
    def datasets(self) -> tuple[str, ...]:
        """Return the data sets that the card names."""
        return read_names(self.data, "datasets")


@dataclass(frozen=True)
class ReportedResult:
    """A reported value of a metric."""

    value: float  # a share between 0 and 1 unless the metric is a loss
    source: str  # "card" or "eval_results"
    metric_is_named: bool = True
    split: str | None = None
    config: str | None = None
    num_examples: int | None = None
    run_id: str | None = None  # of a run of audio_cls, see `identify_run`
    has_token: bool = False
    is_test_validation: bool = False  # the epoch was chosen on the test clips
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ParsedResults:
    """The reports of one metric by one model, and why other entries are not usable."""

    reports: list[ReportedResult] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    other_metrics: list[str] = field(default_factory=list)  # that the notes of entries name


def read_card(text: str) -> Card:
    r"""Parse a README; front matter that is not YAML is noted in `error`.

    >>> read_card("---\nlicense: [\n---\n").error
    'invalid YAML in its card'
    """
    block = FRONT_MATTER.match(text)
    if block is None:
        return Card({}, text)
    body = text[block.end() :]
    try:
        return Card(yaml.safe_load(block[1]), body)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return Card({}, body, "invalid YAML in its card")


def read_names(data: object, key: str) -> tuple[str, ...]:
    """Return the strings under a key that has one or a list of them.

    >>> read_names({"datasets": ["a", 3, None]}, "datasets")
    ('a',)
    """
    given = data.get(key) if isinstance(data, Mapping) else None
    names = given if isinstance(given, list) else [given]
    return tuple(name for name in names if isinstance(name, str))


def read_value(given: object, *, is_share: bool) -> tuple[float, str]:
    """Return (value, note); a percentage is returned as a share.

    >>> read_value(83, is_share=True), read_value("83.5 %", is_share=True)
    ((0.83, 'given as 83'), (0.835, 'given as 83.5 %'))

    Raises:
        ValueError: It is not a number, or not a share.
    """
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise ValueError(f"its value is not a number ({type(given).__name__})")
    shown = single_line(given, MAX_NAME)
    found = NUMBER.fullmatch(given.strip()) if isinstance(given, str) else None
    if isinstance(given, str) and found is None:
        raise ValueError(f"its value is not a number ('{shown}')")
    try:
        number = float(found[1]) if found else float(given)
    except OverflowError:
        number = math.inf
    is_percent = is_share and (bool(found and found[2]) or number > 1)
    if not math.isfinite(number) or (is_share and not 0 <= number <= 100):
        raise ValueError(
            f"its value {shown} is {'not between 0 and 1' if is_share else 'not finite'}"
        )
    # Digits are kept: 83.1 / 100 is 0.831, not 0.8309999999999998.
    value = float(f"{number / 100:.12g}") if is_percent else number
    return value, f"given as {shown}" if is_percent or found else ""


def read_reports(data: object, dataset: str, metric: str) -> ParsedResults:
    """Parse model-index: every result of one metric on one data set.

    Args:
        data: The card's front matter.
        dataset: The data set's id.
        metric: Key of the metric.
    """
    parsed = ParsedResults()
    for result in _iterate_results(data):
        on = result.get("dataset")
        place = on if isinstance(on, Mapping) else {}
        if not _is_same_dataset(place, dataset):
            continue
        given = result.get("metrics")
        for one in given if isinstance(given, list) else []:
            if isinstance(one, Mapping) and is_same_metric(one, metric):
                _add(parsed, one, place, metric)
    return parsed


def _iterate_results(data: object) -> Iterable[Mapping[str, Any]]:
    """Yield the results of a model-index that are mappings."""
    index = data.get("model-index") if isinstance(data, Mapping) else None
    for entry in index if isinstance(index, list) else []:
        results = entry.get("results") if isinstance(entry, Mapping) else None
        yield from (
            (r for r in results if isinstance(r, Mapping)) if isinstance(results, list) else ()
        )


def _is_same_dataset(place: Mapping[str, Any], dataset: str) -> bool:
    """Return whether a result is on the data set: by its id, or by its name without the owner."""
    given = place.get("type")
    wanted = {dataset.lower(), dataset.rpartition("/")[2].lower()}
    return isinstance(given, str) and given.lower() in wanted


def _add(
    parsed: ParsedResults, one: Mapping[str, Any], place: Mapping[str, Any], metric: str
) -> None:
    """Add one metric of one result to `parsed`."""
    try:
        value, note = read_value(one.get("value"), is_share=metric not in NOT_SHARES)
    except ValueError as error:
        parsed.errors.append(str(error))
        return
    args = place.get("args")
    known = args if isinstance(args, Mapping) else {}
    origin = _read_name(known.get("origin"))
    notes = [note, origin or ""]
    split = _read_name(place.get("split")) or _read_split(one.get("name"))
    if origin and split in ROLES:  # earlier versions named a held-out part by its role
        split = name_part(origin, "train", split)
    parsed.reports.append(
        ReportedResult(
            value,
            "card",
            split=split,
            config=_read_name(place.get("config")),
            run_id=_read_name(known.get("run_id")),
            has_token=isinstance(one.get("verifyToken"), str),
            is_test_validation=known.get(SAME_CLIPS_ARG) is True,
            notes=tuple(note for note in notes if note),
        )
    )


def _read_name(given: object) -> str | None:
    """Return a name on one line; None where it is not a string or number."""
    return single_line(given, MAX_NAME) or None if isinstance(given, str | int) else None


def _read_split(name: object) -> str | None:
    """Return the split in a metric's name, such as "Validation accuracy"."""
    words = re.findall("[a-z]+", name[:MAX_NAME].lower()) if isinstance(name, str) else []
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None)


def read_entries(entries: list[Any], dataset: str, metric: str) -> ParsedResults:
    """Parse the entries of `.eval_results/*.yaml`, as the Hub returns them, for one data set.

    An entry has no field for the metric. audio_cls names it in the notes: "accuracy on 60 clips of
    test".
    """
    parsed = ParsedResults()
    for entry in entries:
        data = entry.get("data") if isinstance(entry, Mapping) else None
        if not isinstance(data, Mapping):
            parsed.errors.append("invalid file in .eval_results")
            continue
        on = data.get("dataset")
        if not isinstance(on, Mapping) or on.get("id") != dataset:
            continue
        notes = data.get("notes") if isinstance(data.get("notes"), str) else ""
        named = re.match(r"([a-z0-9_]+) on \d+ clips? of ([^;(]+)", str(notes))
        if named and named[1] != metric:
            parsed.other_metrics.append(named[1])
            continue
        try:
            value, note = read_value(data.get("value"), is_share=metric not in NOT_SHARES)
        except ValueError as error:
            parsed.errors.append(str(error))
            continue
        parsed.reports.append(
            ReportedResult(
                value,
                "eval_results",
                metric_is_named=named is not None,
                split=single_line(named[2], MAX_NAME) if named else None,
                config=_read_name(on.get("task_id")) if named else None,
                num_examples=read_num_clips(str(notes)),
                has_token=isinstance(data.get("verifyToken"), str),
                is_test_validation=SAME_CLIPS in str(notes),
                notes=(note,) if note else (),
            )
        )
    return parsed


def read_num_clips(text: str) -> int | None:
    """Return the number of test clips that a text names.

    >>> read_num_clips("accuracy on 60 clips of test"), read_num_clips("0.5 on 1,200 clips.")
    (60, 1200)
    >>> read_num_clips("accuracy on 1 clip of test")
    1
    """
    found = CLIPS.search(text)
    return int(found[1].replace(",", "")) if found else None


def find_in_body(body: str, metric: str) -> list[tuple[float, float]]:
    r"""Find values of a metric in a card's text: (value, half of its last digit) of each.

    >>> find_in_body("It achieves:\n- Loss: 0.6\n- Accuracy: 0.83\n", "accuracy")
    [(0.83, 0.005)]
    """
    title = name_metric(metric).title
    names = {title, metric, metric.replace("_", " "), f"test {title}", f"eval {title}"}
    pattern = BODY_VALUE.format(names="|".join(sorted(map(re.escape, names), key=len)[::-1]))
    found = []
    for line in body.splitlines():
        match = re.match(pattern, line[:300], re.I)
        if match:
            digits = len(match[1].partition(".")[2])
            number, half = float(match[1]), 0.5 * 10.0**-digits
            is_percent = metric not in NOT_SHARES and (match[2] == "%" or number > 1)
            found.append((number / 100, half / 100) if is_percent else (number, half))
    return found
