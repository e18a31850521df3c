"""Container headers of audio files: formats that need PyAV, and data missing at the end of a file.

libsndfile reads a truncated WAV without an error: it corrects the header silently. So the sizes in
the header are compared with the file here. A header without a size, such as that of a WAV written
to a pipe, is not checked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

UNKNOWN_SIZE = 0x7FFFF000  # writers to a pipe put this or more into a 32-bit size field
MAX_OGG_PAGE = 65307  # bytes of an Ogg page (RFC 3533, section 6)

# First bytes of the containers that libsndfile does not read; MP4 has "ftyp" at byte 4 instead.
PYAV_CONTAINERS = {
    b"\x1a\x45\xdf\xa3": "webm or mka",
    b"\x30\x26\xb2\x75": "wma",
    b"\xff\xf1": "aac",
    b"\xff\xf9": "aac",
    b"ADIF": "aac",
    b"#!AMR": "amr",
}


def detect_pyav_container(head: bytes) -> str | None:
    """Return the container's name by its first 12 bytes; None if libsndfile may read the file.

    >>> detect_pyav_container(bytes(4) + b"ftypM4A ")
    'm4a or mp4'
    """
    if head[4:8] == b"ftyp":
        return "m4a or mp4"
    return next((name for magic, name in PYAV_CONTAINERS.items() if head.startswith(magic)), None)


def count_missing_bytes(file: BinaryIO) -> int:
    """Count the bytes of audio data that the header declares and the file does not have.

    Args:
        file: Open for reading, at any position. WAV (RIFF, RIFX, RF64, W64), AIFF, AU and Ogg are
            checked.

    Returns:
        0 for a complete file, another format, or a header without a size.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(16)
    declared_end = size
    if head[:4] == b"OggS":
        declared_end = _find_last_page_end(file, size)
    elif head[:4] == b".snd" and len(head) == 16:
        offset, length = struct.unpack(">II", head[4:12])
        declared_end = offset + length if length < UNKNOWN_SIZE else size
    else:
        for name, start, length in _iterate_chunks(file, head, size):
            if name in (b"data", b"SSND"):
                declared_end = start + length
                break
    return max(0, declared_end - size)


def _iterate_chunks(file: BinaryIO, head: bytes, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, first byte and length of the chunks of a RIFF, RIFX, RF64, W64 or FORM file.

    Stops at a chunk of unknown length, or of an impossible one.
    """
    if head[:4] == b"riff":  # W64: names of 16 bytes, lengths of 8, which include these 24 bytes
        layout, position, included, alignment = "<16sQ", 40, 24, 8
    elif head[:4] in (b"RIFF", b"RF64"):
        layout, position, included, alignment = "<4sI", 12, 0, 2
    elif head[:4] in (b"RIFX", b"FORM"):
        layout, position, included, alignment = ">4sI", 12, 0, 2
    else:
        return
    width, long_length = struct.calcsize(layout), None
    while position + width <= size:
        file.seek(position)
        name, length = struct.unpack(layout, file.read(width))
        start, length = position + width, length - included
        if length < 0:  # a damaged W64: the next chunk would be this one again
            return
        if name == b"ds64":  # RF64 keeps the real length of `data` here (EBU Tech 3306)
            long_length = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))[1]
        if name == b"data" and long_length is not None:
            length = long_length
        elif alignment == 2 and length >= UNKNOWN_SIZE:
            return
        yield name[:4], start, length
        position = start + length + (-length % alignment)


def _find_last_page_end(file: BinaryIO, size: int) -> int:
    """Return where the last page of an Ogg file ends according to its header."""
    file.seek(max(0, size - MAX_OGG_PAGE))
    tail = file.read()
    position = tail.rfind(b"OggS\0")
    if position < 0:
        return size + 1  # part of a page whose header is further back
    page = tail[position:]
    num_segments = page[26] if len(page) > 26 else 255
    lengths = page[27 : 27 + num_segments]
    is_complete = len(lengths) == num_segments
    length = 27 + num_segments + sum(lengths) if is_complete else len(page) + 1
    return size - len(page) + length
