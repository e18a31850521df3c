"""Search workflow: a query and a file of embeddings -> the most similar files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.errors import AudioClsError, ModelError
from audio_cls.inference.files.embeddings import EmbeddingFile
from audio_cls.inference.nearest import Neighbour, find_nearest, find_vector

logger = logging.getLogger(__name__)


def search(path: Path, query: str, top_k: int, model_options: Mapping[str, Any]) -> list[Neighbour]:
    """Return the files whose embeddings are most similar to that of a query.

    Args:
        path: The file of embeddings.
        query: An audio file, or the name of one of the files in `path`.
        top_k: Number of files, at most.
        model_options: Arguments of `Classifier.from_pretrained`, those that are None left out, and
            `model`: a run folder or Hub id; None for the model of the embeddings.

    Raises:
        AudioClsError: The file has no embeddings, the query cannot be read, or the model is not
            the one of the embeddings.
    """
    table = EmbeddingFile(path)
    if not table.num_files:
        raise AudioClsError(
            f"'{path}' has no embeddings: no file could be read when it was made. Write it again"
            " with `audio-cls embed`."
        )
    vector = find_vector(table.read_parts(), query)
    exclude = None if vector is None else query
    if vector is None:
        vector = _embed(query, table, model_options)
    return find_nearest(table.read_parts(), vector, top_k, exclude)


def _embed(
    query: str, table: EmbeddingFile, model_options: Mapping[str, Any]
) -> NDArray[np.float32]:
    """Return the embedding (D,) of an audio file."""
    if not Path(query).is_file():
        raise AudioClsError(
            f"'{query}' is neither an audio file nor the name of a file in '{table.path}': give one"
            " of them."
        )
    options = {name: value for name, value in model_options.items() if value is not None}
    given = options.pop("model", None)
    model = given or table.model
    if not model:
        raise AudioClsError(f"'{table.path}' does not name its model: give --model.")
    from audio_cls.inference.classifier import Classifier
    from audio_cls.inference.files.model_fingerprint import fingerprint_model
    from audio_cls.models.inference_settings import find_file

    config = find_file(model, options.get("revision"), "config.json")
    own = None if config is None else fingerprint_model(config)
    if own is not None and table.fingerprint and own != table.fingerprint:
        raise AudioClsError(
            f"The embeddings in '{table.path}' are of another model than '{model}' (or of another"
            " version of it): their similarity to the query would have no meaning. Write them"
            f" again with `audio-cls embed`, or give their model, '{table.model}', by --model."
        )
    try:
        classifier = Classifier.from_pretrained(model, **options)
    except ModelError as error:
        if given or config is not None:
            raise
        raise ModelError(
            f"The embeddings in '{table.path}' are of the model '{model}', which is not found:"
            f" give the place where it is now as --model. {error}"
        ) from error
    vector: NDArray[np.float32] = classifier.embed(query)
    return vector
