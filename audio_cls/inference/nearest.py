"""Search for the nearest embeddings by cosine similarity: exact, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audio_cls.errors import AudioClsError

DECIMALS = 6  # of similarities
Part = tuple[list[str], NDArray[np.float32]]  # names of N files, their embeddings (N, D)


class Neighbour(NamedTuple):
    """A file and how similar its embedding is to that of a query."""

    file: str
    similarity: float  # cosine, from -1 to 1


def find_nearest(
    parts: Iterable[Part], query: NDArray[np.float32], top_k: int, exclude: str | None = None
) -> list[Neighbour]:
    """Return the files with the most similar embeddings, the most similar first.

    Args:
        parts: Files and embeddings, a part at a time.
        query: Embedding, (D,).
        top_k: Number of files, at most.
        exclude: Name of the file of the query, which is not its own neighbour.

    Returns:
        At most `top_k` files; those of equal similarity in their order.

    Raises:
        AudioClsError: The query has another size than the embeddings.

    >>> vectors = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    >>> found = find_nearest([(["a", "b", "c"], vectors)], np.array([2, 0], np.float32), 2)
    >>> [(file, round(similarity, 3)) for file, similarity in found]
    [('a', 1.0), ('c', 0.707)]
    """
    best: list[Neighbour] = []
    unit = _normalize(query.astype(np.float64)[None])[0]
    for files, vectors in parts:
        if vectors.shape[1] != len(unit):
            raise AudioClsError(
                f"The embeddings have {vectors.shape[1]} numbers, that of the query has"
                f" {len(unit)}: both must be of one model."
            )
        similarities = _normalize(vectors.astype(np.float64)) @ unit
        order = np.argsort(-similarities, kind="stable")[: top_k + 1]
        found = [Neighbour(files[n], round(float(similarities[n]), DECIMALS)) for n in order]
        kept = [one for one in found if one.file != exclude]
        best = sorted([*best, *kept], key=lambda one: -one.similarity)[:top_k]
    return best


def find_vector(parts: Iterable[Part], file: str) -> NDArray[np.float32] | None:
    """Return the embedding (D,) of a file by its name; None where there is none."""
    for files, vectors in parts:
        if file in files:
            return np.asarray(vectors[files.index(file)])
    return None


def _normalize(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors (N, D) of length 1; zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0))
