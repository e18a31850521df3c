"""Machine-readable events of a command: JSON Lines on standard output with `--log json`."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from errno import EDQUOT, ENOSPC
from typing import Any

from audio_cls.errors import AudioClsError


def emit_event(log: str, event: str, **fields: Any) -> None:  # noqa: ANN401 (any JSON value)
    """Write one event, an object on one line; nothing unless the log format is json.

    Call on the main process only. Events of a training run are, in this order, `start`, `epoch`
    (one per evaluation during training) or `layers` (of a linear probe), `test` and `end`; warnings
    stay on standard error.

    Args:
        log: Value of `--log`: text, json or quiet.
        event: Name of the event.
        fields: Further keys; a number that is not finite is written as null.

    Raises:
        AudioClsError: The disk of standard output is full.
    """
    if log != "json":
        return
    try:
        sys.stdout.write(json.dumps({"event": event, **_replace_non_finite(fields)}) + "\n")
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (ENOSPC, EDQUOT):
            raise
        raise AudioClsError(
            f"The events of --log json cannot be written to standard output ({error.strerror})."
            " Free space on the disk of the file that it goes to, not of the run folder."
        ) from error


def _replace_non_finite(value: Any) -> Any:  # noqa: ANN401
    """Return a JSON value with null for NaN and infinities, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): _replace_non_finite(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_replace_non_finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
