"""Xing header for MP3 files of variable bit rate that lack one, so that their length is known.

An encoder of variable bit rate writes the number of frames into a first frame ("Xing"). Without it
libsndfile assumes the first frame's bit rate for the whole file: it reads too little, or declares
samples that do not exist. Layer III of MPEG-1, 2 and 2.5 only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

# ISO/IEC 11172-3 and 13818-3, table of bit rates in kbit/s: MPEG-1, then MPEG-2 and 2.5.
BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")  # of frames that contain the number of frames
FIXED_BITS = 0xFFFE0C00  # header bits that all frames of a file share: sync to layer, rate


class Frame(NamedTuple):
    """Header of a frame and what follows from it."""

    header: int
    num_bytes: int  # with the header
    side_bytes: int  # between the header and a length tag


def add_xing_header(data: bytes) -> bytes:
    """Insert a frame with the number of frames at the start of an MP3 file that has none.

    Args:
        data: The whole file; a changed file loses the tags before the first frame.

    Returns:
        `data` itself if it has a length tag, has a constant bit rate, or is no MP3 file.
    """
    start = _skip_tags(data)
    first = read_frame_header(data[start : start + 4])
    if first is None or any(tag in data[start : start + first.num_bytes] for tag in LENGTH_TAGS):
        return data
    frames = list(iterate_frames(data, start, first.header & FIXED_BITS))
    if len({frame.header >> 12 & 15 for frame in frames}) < 2:
        return data  # a constant bit rate, which gives libsndfile the length
    tag = b"Xing" + (1).to_bytes(4, "big") + len(frames).to_bytes(4, "big")
    body = bytes(first.side_bytes) + tag
    header = (first.header | 0x00010000).to_bytes(4, "big")  # without a checksum
    return header + body.ljust(first.num_bytes - 4, b"\0") + data[start:]


def iterate_frames(data: bytes, start: int, fixed: int) -> Iterator[Frame]:
    """Yield the complete frames from byte `start` on; bytes between frames are skipped.

    Args:
        data: The file.
        start: First byte of the first frame.
        fixed: The bits `FIXED_BITS` of its header.
    """
    position = start
    while 0 <= position <= len(data) - 4:
        frame = read_frame_header(data[position : position + 4])
        if frame is None or frame.header & FIXED_BITS != fixed:
            position = data.find(b"\xff", position + 1)
            continue
        position += frame.num_bytes
        if position <= len(data):
            yield frame


def read_frame_header(head: bytes) -> Frame | None:
    """Parse the four bytes of a Layer III frame's header; None for anything else.

    >>> read_frame_header(bytes.fromhex("fffb9000")).num_bytes
    417
    """
    bits = int.from_bytes(head, "big")
    version, layer = bits >> 19 & 3, bits >> 17 & 3
    bit_rate, rate = bits >> 12 & 15, bits >> 10 & 3  # indices into the tables
    if bits >> 21 != 0x7FF or version == 1 or layer != 1 or bit_rate in (0, 15) or rate == 3:
        return None
    is_mpeg1 = version == 3
    kilobits = BIT_RATES[not is_mpeg1][bit_rate]
    length = (144_000 if is_mpeg1 else 72_000) * kilobits // RATES[version][rate] + (bits >> 9 & 1)
    is_mono = bits >> 6 & 3 == 3
    side_bytes = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)
    return Frame(bits, length, side_bytes)


def _skip_tags(data: bytes) -> int:
    """Return the first byte after the ID3v2 tags (id3.org, ID3v2.4 section 3.1)."""
    start = 0
    while data[start : start + 3] == b"ID3" and len(data) >= start + 10:
        size = 0
        for byte in data[start + 6 : start + 10]:
            size = size << 7 | byte & 0x7F
        start += size + (20 if data[start + 5] & 0x10 else 10)
    return start
