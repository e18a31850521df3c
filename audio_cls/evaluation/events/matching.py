"""Matching: annotated and predicted events of one label, one to one, by their onsets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import (  # type: ignore[import-untyped]
    min_weight_full_bipartite_matching,
)

from audio_cls.config import Seconds
from audio_cls.inference.events.event import Event
from audio_cls.inference.events.merge import TIME_NOISE


@dataclass(frozen=True)
class EventMatch:
    """An annotated event with its predicted one, or one of the two without the other."""

    annotated: Event | None
    predicted: Event | None

    @property
    def result(self) -> Literal["matched", "missed", "false alarm"]:
        """Return what became of the event."""
        if self.annotated is None:
            return "false alarm"
        return "missed" if self.predicted is None else "matched"

    @property
    def event(self) -> Event:
        """Return the annotated event, or the predicted one of a false alarm."""
        found = self.annotated or self.predicted
        assert found is not None
        return found


def match_events(
    annotated: Iterable[Event], predicted: Iterable[Event], tolerance: Seconds
) -> list[EventMatch]:
    """Match the events of each recording and label, see `match_onsets`; ends are not compared.

    Returns:
        Every event once, in order of recording and start.
    """
    pairs: dict[tuple[str, str], tuple[list[Event], list[Event]]] = defaultdict(lambda: ([], []))
    for place, events in enumerate((annotated, predicted)):
        for one in events:
            pairs[one.file, one.label][place].append(one)
    found: list[EventMatch] = []
    for known, guessed in pairs.values():
        onsets = [np.array([one.start for one in events]) for events in (known, guessed)]
        matches = match_onsets(onsets[0], onsets[1], tolerance)
        rows, columns = {row for row, _ in matches}, {column for _, column in matches}
        found += [EventMatch(known[row], guessed[column]) for row, column in matches]
        found += [EventMatch(one, None) for row, one in enumerate(known) if row not in rows]
        found += [EventMatch(None, one) for n, one in enumerate(guessed) if n not in columns]
    return sorted(found, key=lambda one: (one.event.file, one.event.start, one.event.label))


def match_onsets(
    annotated: NDArray[np.float64], predicted: NDArray[np.float64], tolerance: Seconds
) -> list[tuple[int, int]]:
    """Match onsets one to one: as many pairs as possible, and of these the closest ones.

    The number of pairs is that of mir_eval (`match_events`) and of sed_eval (`optimal`).

    Args:
        annotated: In seconds, (A,).
        predicted: In seconds, (P,).
        tolerance: Largest difference of a pair, inclusive.

    Returns:
        Index pairs (annotated, predicted).

    >>> match_onsets(np.array([1.0, 2.0]), np.array([1.4, 1.9, 2.1, 5.0]), 0.5)
    [(0, 0), (1, 1)]
    """
    distances = _list_distances(annotated, predicted, tolerance)
    if not distances:
        return []
    # An annotated event without a pair gets a column of its own, at a price above that of all pairs
    # together: so the cheapest matching has the most pairs.
    number, columns = len(annotated), len(predicted)
    price = (number + 1) * (tolerance + 1)
    rows = [row for row, _, _ in distances] + list(range(number))
    places = [column for _, column, _ in distances] + list(range(columns, columns + number))
    costs = [1 + distance for _, _, distance in distances] + [price] * number
    table = csr_array((costs, (rows, places)), shape=(number, columns + number))
    matched = zip(*min_weight_full_bipartite_matching(table), strict=True)
    return [(int(row), int(column)) for row, column in matched if column < columns]


def _list_distances(
    annotated: NDArray[np.float64], predicted: NDArray[np.float64], tolerance: Seconds
) -> Sequence[tuple[int, int, Seconds]]:
    """List (annotated, predicted, distance) of all pairs within the tolerance."""
    order = np.argsort(predicted, kind="stable")
    limit = tolerance + TIME_NOISE
    first = np.searchsorted(predicted[order], annotated - limit, side="left")
    last = np.searchsorted(predicted[order], annotated + limit, side="right")
    return [
        (row, int(column), abs(float(annotated[row] - predicted[column])))
        for row in range(len(annotated))
        for column in order[first[row] : last[row]]
    ]
