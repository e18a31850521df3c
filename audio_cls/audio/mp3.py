"""MP3 files that do not say how long they are: the length is counted and written in front.

An encoder of variable bit rate puts a frame with the number of frames first ("Xing"). Where that
frame is missing, libsndfile takes the first frame's bit rate for that of the whole file: it stops
reading too early, or promises sound that is not there. Layer III of MPEG-1, 2 and 2.5 only.
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
NAMES = (b"Xing", b"Info", b"VBRI")  # of frames that tell the length
SAME = 0xFFFE0C00  # bits of a header in which all frames of a file agree: sync to layer, rate


class Frame(NamedTuple):
    """What the four bytes before a frame say."""

    header: int
    num_bytes: int  # header included
    side_bytes: int  # between the header and the place of a name


def add_xing_header(data: bytes) -> bytes:
    """Put a frame with the number of frames before an MP3 file that has none.

    Args:
        data: The whole file; tags before the first frame are dropped when it is changed.

    Returns:
        `data` itself when it tells its length, has one bit rate throughout, or is no MP3 file.
    """
    start = _skip_tags(data)
    first = read_header(data[start : start + 4])
    if first is None or any(name in data[start : start + first.num_bytes] for name in NAMES):
        return data
    frames = list(list_frames(data, start, first.header & SAME))
    if len({frame.header >> 12 & 15 for frame in frames}) < 2:
        return data  # one bit rate, from which libsndfile knows the length
    told = b"Xing" + (1).to_bytes(4, "big") + len(frames).to_bytes(4, "big")
    body = bytes(first.side_bytes) + told
    header = (first.header | 0x00010000).to_bytes(4, "big")  # without a checksum
    return header + body.ljust(first.num_bytes - 4, b"\0") + data[start:]


def list_frames(data: bytes, start: int, same: int) -> Iterator[Frame]:
    """Yield the whole frames from byte `start` on; what is between them is passed over.

    Args:
        data: The file.
        start: Where the first frame begins.
        same: The bits `SAME` of its header.
    """
    place = start
    while 0 <= place <= len(data) - 4:
        frame = read_header(data[place : place + 4])
        if frame is None or frame.header & SAME != same:
            place = data.find(b"\xff", place + 1)
            continue
        place += frame.num_bytes
        if place <= len(data):
            yield frame


def read_header(head: bytes) -> Frame | None:
    """Read the header of a Layer III frame; None for anything else.

    >>> read_header(bytes.fromhex("fffb9000")).num_bytes
    417
    """
    bits = int.from_bytes(head, "big")
    version, layer = bits >> 19 & 3, bits >> 17 & 3
    place, rate = bits >> 12 & 15, bits >> 10 & 3
    if bits >> 21 != 0x7FF or version == 1 or layer != 1 or place in (0, 15) or rate == 3:
        return None
    is_first = version == 3
    kilobits = BIT_RATES[not is_first][place]
    length = (144_000 if is_first else 72_000) * kilobits // RATES[version][rate] + (bits >> 9 & 1)
    is_mono = bits >> 6 & 3 == 3
    side = (17 if is_mono else 32) if is_first else (9 if is_mono else 17)
    return Frame(bits, length, side)


def _skip_tags(data: bytes) -> int:
    """Return where the sound begins behind ID3v2 tags (id3.org, ID3v2.4 section 3.1)."""
    start = 0
    while data[start : start + 3] == b"ID3" and len(data) >= start + 10:
        size = 0
        for byte in data[start + 6 : start + 10]:
            size = size << 7 | byte & 0x7F
        start += size + (20 if data[start + 5] & 0x10 else 10)
    return start
