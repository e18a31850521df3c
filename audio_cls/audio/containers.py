"""What the header of a sound file promises, and how much of it is there.

libsndfile reads a wav whose end is missing without a word: it corrects the header by itself. So the
sizes are read here once more. Containers that say nothing about their length, such as a wav written
to a pipe, promise nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

UNKNOWN_SIZE = 0x7FFFF000  # writers to a pipe put this or more into a 32-bit size field
OGG_PAGE = 65307  # bytes of the longest Ogg page (RFC 3533, section 6)

# First bytes of the containers that libsndfile does not read; "ftyp" stands at byte 4.
FOREIGN = {
    b"\x1a\x45\xdf\xa3": "webm or mka",
    b"\x30\x26\xb2\x75": "wma",
    b"\xff\xf1": "aac",
    b"\xff\xf9": "aac",
    b"ADIF": "aac",
    b"#!AMR": "amr",
}


def detect_pyav_container(head: bytes) -> str | None:
    """Name the container by its first 12 bytes when it is one that libsndfile does not read.

    >>> detect_pyav_container(bytes(4) + b"ftypM4A ")
    'm4a or mp4'
    """
    if head[4:8] == b"ftyp":
        return "m4a or mp4"
    return next((name for magic, name in FOREIGN.items() if head.startswith(magic)), None)


def count_missing_bytes(file: BinaryIO) -> int:
    """Count the bytes of sound that a file's header promises and the file does not hold.

    Args:
        file: Open for reading, anywhere in the file; wav (RIFF, RIFX, RF64, W64), aiff, au and ogg
            are understood.

    Returns:
        0 when all is there, or when the container says nothing about its length.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(16)
    promised_end = size
    if head[:4] == b"OggS":
        promised_end = _find_last_page_end(file, size)
    elif head[:4] == b".snd" and len(head) == 16:
        offset, length = struct.unpack(">II", head[4:12])
        promised_end = offset + length if length < UNKNOWN_SIZE else size
    else:
        for name, start, length in _walk_chunks(file, head, size):
            if name in (b"data", b"SSND"):
                promised_end = start + length
                break
    return max(0, promised_end - size)


def _walk_chunks(file: BinaryIO, head: bytes, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, first byte and length of the chunks of a RIFF, RIFX, RF64, W64 or FORM file.

    Chunks whose length is unknown are not yielded.
    """
    if head[:4] == b"riff":  # W64: names of 16 bytes, lengths of 8 that count their own 24
        layout, place, own, step = "<16sQ", 40, 24, 8
    elif head[:4] in (b"RIFF", b"RF64"):
        layout, place, own, step = "<4sI", 12, 0, 2
    elif head[:4] in (b"RIFX", b"FORM"):
        layout, place, own, step = ">4sI", 12, 0, 2
    else:
        return
    width, long_length = struct.calcsize(layout), None
    while place + width <= size:
        file.seek(place)
        name, length = struct.unpack(layout, file.read(width))
        start, length = place + width, length - own
        if name == b"ds64":  # RF64 keeps the real length of `data` here (EBU Tech 3306)
            long_length = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))[1]
        if name == b"data" and long_length is not None:
            length = long_length
        elif step == 2 and length >= UNKNOWN_SIZE:
            return
        yield name[:4], start, length
        place = start + length + (-length % step)


def _find_last_page_end(file: BinaryIO, size: int) -> int:
    """Return where the last page of an Ogg file ends by its own account."""
    file.seek(max(0, size - OGG_PAGE))
    tail = file.read()
    place = tail.rfind(b"OggS\0")
    if place < 0:
        return size + 1  # the rest of a page, whose header lies further back, is cut
    page = tail[place:]
    num_segments = page[26] if len(page) > 26 else 255
    lengths = page[27 : 27 + num_segments]
    is_whole_header = len(lengths) == num_segments
    length = 27 + num_segments + sum(lengths) if is_whole_header else len(page) + 1
    return size - len(page) + length
