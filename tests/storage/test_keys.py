"""Tests of audio_cls.storage.keys."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from audio_cls.storage.keys import make_key

DIFFERENT: dict[str, object] = {
    "nothing": None,
    "true": True,
    "one": 1,
    "one, a float": 1.0,
    "one, a text": "1",
    "one, bytes": b"1",
    "a list": ["1"],
    "a list of lists": [["1"]],
    "a list of two": ["1", ""],
    "an empty list": [],
    "a mapping": {"1": 1},
    "a mapping of one": {"1": 1.0},
    "numbers": np.array([1, 2]),
    "numbers in a column": np.array([[1], [2]]),
    "half as long numbers": np.array([1, 2], np.int32),
    "other numbers": np.array([1, 3]),
    "texts": np.array(["a", "b"]),
    "swapped texts": np.array(["b", "a"]),
    "an Arrow column": pa.array(["a", "b"]),
    "the letters in one": pa.array(["ab", ""]),
    "null instead of empty": pa.array(["ab", None]),
    "Arrow numbers": pa.array([1, 0]),
    "null instead of zero": pa.array([1, None], pa.int64()),
    "Arrow floats": pa.array([1.0, 0.0]),
    "Arrow booleans": pa.array([True, False]),
}


@pytest.mark.parametrize(("one", "two"), list(itertools.combinations(DIFFERENT, 2)))
def test_what_differs_has_another_key(one: str, two: str) -> None:
    assert make_key(part=DIFFERENT[one]) != make_key(part=DIFFERENT[two])


def test_the_name_of_a_part_counts_and_its_place_does_not() -> None:
    assert make_key(a=1, b=2) != make_key(a=2, b=1)
    assert make_key(a=1, b=2) == make_key(b=2, a=1)
    assert len(make_key(a=1)) == 32


def test_a_column_has_the_same_key_for_any_chunks() -> None:
    texts = ["", "a", None, "bcd", "e", "fg"]
    whole = make_key(column=pa.array(texts))
    parts = pa.chunked_array([pa.array(texts[:2]), pa.array([], pa.string()), pa.array(texts[2:])])
    assert make_key(column=parts) == whole
    assert make_key(column=pa.array(["x", *texts, "y"])[1:-1]) == whole
    assert make_key(column=pa.array(texts, pa.large_string())) == whole
    numbers = np.arange(20).reshape(4, 5)
    assert make_key(numbers=numbers.T) == make_key(numbers=np.ascontiguousarray(numbers.T))


@pytest.mark.parametrize("part", [object(), np.array([object()]), pa.array([[1]]), {1, 2}])
def test_what_cannot_be_hashed_by_its_value_is_refused(part: object) -> None:
    with pytest.raises(TypeError, match="cannot be a part of a key"):
        make_key(part=part)
