"""Parquet file of embeddings: one row per file that could be read, with columns file, embedding.

The metadata of its schema name the model, so that a search embeds its queries with the same one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audio_cls.errors import AudioClsError, describe_error, list_names
from audio_cls.inference.files.formats import encode_arrow, to_utf8, write_parquet
from audio_cls.inference.files.rows import Row

if TYPE_CHECKING:
    import pyarrow as pa

MODEL_KEY = b"audio_cls.model"  # of the embeddings: the absolute path of a folder, or a Hub id
FINGERPRINT_KEY = b"audio_cls.model_fingerprint"


@dataclass(frozen=True)
class EmbeddingFormat:
    """Rows `{"file", "embedding"}`, the embeddings of shape (D,), float32."""

    model: str = ""  # absolute path of a folder, or Hub id
    fingerprint: str = ""  # see model_fingerprint.py

    def header(self) -> bytes:
        """Return nothing."""
        return b""

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Return an Arrow stream; nothing without rows."""
        if not rows:
            return b""
        files = [to_utf8(row["file"]) for row in rows]
        vectors = [row["embedding"] for row in rows]
        return encode_arrow(self._schema(len(vectors[0])), [files, vectors])

    def finish(self, partial: Path, path: Path) -> None:
        """Write the parquet file."""
        write_parquet(self._schema(-1), partial, path)

    def _schema(self, size: int) -> pa.Schema:
        """Return the columns, for embeddings of a size; -1 where it is not known."""
        import pyarrow as pa

        fields = [("file", pa.string()), ("embedding", pa.list_(pa.float32(), size))]
        return pa.schema(
            fields, metadata={MODEL_KEY: self.model, FINGERPRINT_KEY: self.fingerprint}
        )


class EmbeddingFile:
    """A parquet file of embeddings, read in parts."""

    def __init__(self, path: Path) -> None:
        """Open the file, and check its columns.

        Raises:
            AudioClsError: It is missing, or not a file of embeddings.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not path.is_file():
            raise AudioClsError(
                f"There is no file '{path}'. Write one:"
                f" audio-cls embed MODEL FOLDER --output {path.name}"
            )
        self.path = path
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise AudioClsError(
                f"'{path}' is not a parquet file ({describe_error(error)}). Give a file that"
                " `audio-cls embed` wrote."
            ) from error
        schema = self._file.schema_arrow
        if not {"file", "embedding"} <= set(schema.names):
            raise AudioClsError(
                f"'{path}' has the columns {list_names(schema.names)}: a file of embeddings must"
                " have the columns file and embedding. Give a file that `audio-cls embed` wrote."
            )
        metadata = schema.metadata or {}
        self.model = metadata.get(MODEL_KEY, b"").decode()
        self.fingerprint = metadata.get(FINGERPRINT_KEY, b"").decode()
        self.num_files: int = self._file.metadata.num_rows

    def read_parts(self) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Yield the names of N files and their embeddings, (N, D), a part of the file at a time."""
        for batch in self._file.iter_batches(columns=["file", "embedding"]):
            if len(batch):
                vectors = batch.column("embedding").flatten().to_numpy(zero_copy_only=False)
                yield batch.column("file").to_pylist(), vectors.reshape(len(batch), -1)
