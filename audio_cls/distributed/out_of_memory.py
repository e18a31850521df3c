"""Recognise out-of-memory errors; search the largest batch that fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from accelerate.utils import find_executable_batch_size
from accelerate.utils.memory import should_reduce_batch_size


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on a device or on the CPU.

    Accelerate recognises the messages of devices and of the CPU allocator; those of Windows, oneDNN
    and numpy are checked here. An error of a feature extractor has the one that matters as cause.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if error.__cause__ is not None and is_out_of_memory(error.__cause__):
        return True
    messages = ("not enough memory", "bad_alloc", "out of memory", "Unable to allocate")
    return isinstance(error, Exception) and (
        should_reduce_batch_size(error)
        or (isinstance(error, RuntimeError) and any(text in str(error) for text in messages))
    )


def find_largest_batch(fits: Callable[[int], bool], sizes: Sequence[int]) -> int | None:
    """Return the first of `sizes` that fits, by Accelerate's search; None if none does.

    Args:
        fits: Returns whether a batch size fits, the same on every process.
        sizes: Batch sizes to try, the largest first.
    """
    smaller = iter([*sizes[1:], 0])

    def attempt(batch_size: int) -> int | None:
        if batch_size and not fits(batch_size):
            raise RuntimeError("A process is out of memory.")  # the search continues after it
        return batch_size or None

    def reduce() -> int:
        return next(smaller)

    search = find_executable_batch_size(
        attempt, starting_batch_size=sizes[0], reduce_batch_size_fn=reduce
    )
    try:
        found: int | None = search()
    except RuntimeError as error:
        if "No executable batch size" not in str(error):
            raise
        return None
    return found
