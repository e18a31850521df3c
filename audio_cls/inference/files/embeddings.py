"""Parquet file of embeddings: one row per file that could be read, with columns file, embedding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audio_cls.inference.files.formats import encode_arrow, to_utf8, write_parquet
from audio_cls.inference.files.rows import Row


class EmbeddingFormat:
    """Rows `{"file", "embedding"}`, the embeddings of shape (D,), float32."""

    def header(self) -> bytes:
        """Return nothing."""
        return b""

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Return an Arrow stream; nothing without rows."""
        import pyarrow as pa

        if not rows:
            return b""
        vectors = pa.list_(pa.float32(), len(rows[0]["embedding"]))
        schema = pa.schema([("file", pa.string()), ("embedding", vectors)])
        files = [to_utf8(row["file"]) for row in rows]
        return encode_arrow(schema, [files, [row["embedding"] for row in rows]])

    def finish(self, partial: Path, path: Path) -> None:
        """Write the parquet file."""
        import pyarrow as pa

        empty = pa.schema([("file", pa.string()), ("embedding", pa.list_(pa.float32()))])
        write_parquet(empty, partial, path)
