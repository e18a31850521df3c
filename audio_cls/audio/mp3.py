"""Xing header for MP3 files of variable bit rate that lack one, so that their length is known.

An encoder of variable bit rate writes the number of frames into a first frame ("Xing"). Without it
libsndfile assumes the first frame's bit rate for the whole file: it reads too little, or declares
samples that do not exist. Layer III of MPEG-1, 2 and 2.5 only.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

# ISO/IEC 11172-3 and 13818-3, table of bit rates in kbit/s: MPEG-1, then MPEG-2 and 2.5.
BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")  # of frames that contain the number of frames
CHUNK_BYTES = 2**16  # of the file that are read at once
FIXED_BITS = 0xFFFE0C00  # header bits that all frames of a file share: sync to layer, rate


class Frame(NamedTuple):
    """Header of a frame and what follows from it."""

    header: int
    num_bytes: int  # with the header
    side_bytes: int  # between the header and a length tag


class PrefixedFile(io.RawIOBase):
    """Other bytes, followed by a file from a position in it to its end."""

    def __init__(self, prefix: bytes, file: BinaryIO, start: int) -> None:
        self.prefix = prefix
        self.file = file
        self.shift = len(prefix) - start  # position here - position in `file`
        self.size = file.seek(0, io.SEEK_END) + self.shift
        self.position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position; return it."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        self.position = origin + offset
        return self.position

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (anything with writable bytes)
        """Fill a buffer; return how many bytes were read."""
        view = memoryview(buffer).cast("B")
        own = self.prefix[self.position : self.position + len(view)]
        view[: len(own)] = own
        num_read = len(own)
        if num_read < len(view):
            self.file.seek(self.position + num_read - self.shift)
            rest = self.file.read(len(view) - num_read)
            view[num_read : num_read + len(rest)] = rest
            num_read += len(rest)
        self.position += num_read
        return num_read


def add_xing_header(file: BinaryIO) -> BinaryIO:
    """Return an MP3 file with a frame at its start that has the number of frames.

    Args:
        file: The whole file; what is returned starts without the tags before the first frame.

    Returns:
        `file` itself, at its start, if it has a length tag, has a constant bit rate, or is no MP3
        file.
    """
    start = _skip_tags(file)
    file.seek(start)
    first = read_frame_header(file.read(4))
    content = b"" if first is None else file.read(first.num_bytes - 4)
    num_frames, bit_rates = 0, set()
    if first is not None and not any(tag in content for tag in LENGTH_TAGS):
        for frame in iterate_frames(file, start, first.header & FIXED_BITS):
            num_frames += 1
            bit_rates.add(frame.header >> 12 & 15)
    file.seek(0)
    if first is None or len(bit_rates) < 2:
        return file  # a constant bit rate, which gives libsndfile the length
    tag = b"Xing" + (1).to_bytes(4, "big") + num_frames.to_bytes(4, "big")
    body = bytes(first.side_bytes) + tag
    header = (first.header | 0x00010000).to_bytes(4, "big")  # without a checksum
    whole = header + body.ljust(first.num_bytes - 4, b"\0")
    return cast("BinaryIO", PrefixedFile(whole, file, start))


def iterate_frames(file: BinaryIO, start: int, fixed: int) -> Iterator[Frame]:
    """Yield the complete frames from byte `start` on; bytes between frames are skipped.

    Args:
        file: The file.
        start: First byte of the first frame.
        fixed: The bits `FIXED_BITS` of its header.
    """
    size, data, offset, position = file.seek(0, io.SEEK_END), b"", 0, start
    while position <= size - 4:
        if not offset <= position <= offset + len(data) - 4:
            offset = file.seek(position)
            data = file.read(CHUNK_BYTES)
        place = position - offset
        frame = read_frame_header(data[place : place + 4])
        if frame is None or frame.header & FIXED_BITS != fixed:
            following = data.find(b"\xff", place + 1)
            position = offset + (following if following >= 0 else max(1, len(data)))
            continue
        position += frame.num_bytes
        if position <= size:
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


def _skip_tags(file: BinaryIO) -> int:
    """Return the first byte after the ID3v2 tags (id3.org, ID3v2.4 section 3.1)."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(10)
        if head[:3] != b"ID3" or len(head) < 10:
            return start
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte & 0x7F
        start += size + (20 if head[5] & 0x10 else 10)
