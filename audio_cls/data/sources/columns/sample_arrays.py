"""Sample arrays: audio columns of decoded samples become columns of WAV files.

Data sets made of decoded clips have `{"array", "sampling_rate"}` (also with "path"), or a list of
samples and the rate in another column. Each clip becomes a WAV of 32-bit floats, without loss; the
table is written to the cache of `datasets`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Audio, Dataset, Features, List, Value
from numpy.typing import NDArray

from audio_cls.audio.files import encode_wav
from audio_cls.errors import DatasetError

RATE_COLUMNS = ("sampling_rate", "sample_rate", "sr")  # rate in Hz of samples in another column
INTEGERS = ("int8", "int16", "int32")  # full scale is the largest value of the type
FLOATS = ("float16", "float32", "float64")
CLIPS_AT_ONCE = 32  # encoded between two writes


def holds_array(kind: Any) -> bool:  # noqa: ANN401 (a feature may be a class, a dict or a list)
    """Return whether a feature is a struct of samples and their rate."""
    return isinstance(kind, dict) and {"array", "sampling_rate"} <= set(kind)


def holds_samples(kind: Any) -> bool:  # noqa: ANN401
    """Return whether a feature is a list of floating-point numbers, or several such lists."""
    inner = kind.feature if isinstance(kind, List) else None
    inner = inner.feature if isinstance(inner, List) else inner
    return isinstance(inner, Value) and inner.dtype in FLOATS


def find_rate_column(features: dict[str, Any]) -> str | None:
    """Return the column with the sampling rate of lists of samples, if there is one."""
    return next((name for name in RATE_COLUMNS if name in features), None)


def encode_arrays(
    splits: dict[str, Dataset], column: str, *, is_streamed: bool = False
) -> dict[str, Dataset]:
    """Encode an audio column of decoded samples; columns of other types are not changed.

    Args:
        splits: Tables.
        column: Their audio column.
        is_streamed: The training split is streamed, and is not one of the tables.

    Raises:
        DatasetError: The samples are of a type without a known full scale, or are streamed.
    """
    encoded = {}
    for split, table in splits.items():
        kind = table.features.get(column)
        if not (holds_array(kind) or holds_samples(kind)):
            encoded[split] = table
            continue
        if is_streamed:
            raise DatasetError(
                f"Column '{column}' holds decoded samples, and --streaming reads encoded files"
                " only. Leave --streaming out, or cast the column to Audio."
            )
        samples = kind["array"] if isinstance(kind, dict) else kind
        _check_type(column, samples)
        rate_column = None if isinstance(kind, dict) else find_rate_column(table.features)
        features = Features({**table.features, column: Audio(decode=False)})
        encoded[split] = table.with_format("arrow").map(
            encode_batch,
            fn_kwargs={"column": column, "rate_column": rate_column},
            batched=True,
            batch_size=CLIPS_AT_ONCE,
            writer_batch_size=CLIPS_AT_ONCE,
            features=features,
            desc="Encoding arrays",
        )
        encoded[split].set_format(None)
    return encoded


def encode_batch(batch: pa.Table, *, column: str, rate_column: str | None) -> pa.Table:
    """Encode the clips of an Arrow table.

    Args:
        batch: The clips.
        column: Their audio column: structs, or lists where `rate_column` has the rates.
        rate_column: Column of sampling rates in Hz, or None.

    Returns:
        The table with structs of bytes and path in that column; null for a clip without samples or
        rate.
    """
    rates = batch[rate_column].to_pylist() if rate_column else [None] * len(batch)
    cells: list[dict[str, Any] | None] = []
    for cell, own_rate in zip(batch[column], rates, strict=True):
        is_struct = rate_column is None and cell.is_valid
        samples = cell["array"] if is_struct else cell
        rate = cell["sampling_rate"].as_py() if is_struct else own_rate
        path = cell["path"].as_py() if is_struct and "path" in cell else None
        if cell.is_valid and samples.is_valid and rate:
            wav = encode_wav(read_samples(samples), int(rate), "FLOAT")
            cells.append({"bytes": wav, "path": path})
        else:
            cells.append(None)
    place = batch.column_names.index(column)
    values = pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    return batch.set_column(place, column, values)


def read_samples(cell: pa.ListScalar) -> NDArray[np.float32]:
    """Return the samples of one clip, (T,) or (T, C); integers are scaled to [-1, 1].

    Several lists are channels, (C, T) as in `datasets`; where there are more lists than samples in
    each, they are (T, C).
    """
    values = cell.values
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        array = np.array(values.to_pylist())
        array = array.T if array.ndim == 2 and len(array) <= array.shape[1] else array
    else:
        array = values.to_numpy(zero_copy_only=False)
    if np.issubdtype(array.dtype, np.integer):
        kind = values.type.value_type if array.ndim == 2 else values.type
        array = array / (np.iinfo(kind.to_pandas_dtype()).max + 1.0)
    return np.asarray(array, dtype=np.float32)


def _check_type(column: str, kind: Any) -> None:  # noqa: ANN401
    """Refuse samples without a known full scale."""
    inner = kind.feature if isinstance(kind, List) else kind
    inner = inner.feature if isinstance(inner, List) else inner
    dtype = inner.dtype if isinstance(inner, Value) else str(inner)
    if dtype not in (*FLOATS, *INTEGERS):
        raise DatasetError(
            f"The samples in column '{column}' are of type {dtype}: floating-point numbers from -1"
            f" to 1, or integers of 8, 16 or 32 bits ({', '.join(INTEGERS)}), can be read. Convert"
            " them."
        )
