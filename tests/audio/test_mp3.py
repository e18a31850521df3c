"""MP3 of changing bit rate is read whole also where nothing tells how long it is."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from sounds import Wave, encode_sound
from tones import make_tone

from audio_cls.audio.decode import decode_file
from audio_cls.audio.mp3 import FIXED_BITS, add_xing_header, iterate_frames, read_frame_header
from audio_cls.errors import AudioError

RATE = 16_000
QUIET = np.random.default_rng(0).normal(0, 0.2, 3 * RATE).astype(np.float32)
SLACK = 2 * 1152  # what encoder and decoder put before the first sample


def encode_mp3(wave: Wave, mode: str, level: float) -> bytes:
    """Return an MP3 file of one or of changing bit rate."""
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, RATE, format="MP3", bitrate_mode=mode, compression_level=level)
    return buffer.getvalue()


def drop_first_frame(data: bytes) -> bytes:
    """Cut the frame off that tells the length, or that holds the encoder's delay."""
    first = read_frame_header(data[:4])
    assert first is not None
    return data[first.num_bytes :]


TONE = make_tone(300, 3.0)
BOTH = np.concatenate([TONE, QUIET])
LOW, HIGH = (
    drop_first_frame(encode_mp3(wave, "CONSTANT", level))
    for wave, level in ((TONE, 0.9), (QUIET, 0.1))
)
VARIABLE = encode_mp3(BOTH, "VARIABLE", 0.3)
BARE = drop_first_frame(VARIABLE)


@pytest.mark.parametrize("data", [BARE, LOW + HIGH, b"ID3\4\0\0\0\0\1\0" + bytes(128) + BARE])
def test_a_file_of_changing_bit_rate_is_read_to_its_end(data: bytes) -> None:
    read = decode_file(data, None).samples[:, 0]
    assert abs(len(read) - len(BOTH)) <= SLACK
    pitch = np.abs(np.fft.rfft(read[RATE : 2 * RATE])).argmax()
    assert pitch == 300
    assert read[4 * RATE :].std() == pytest.approx(0.2, rel=0.2)  # the noise is there


def test_the_louder_half_may_come_first() -> None:
    read = decode_file(HIGH + LOW, None).samples[:, 0]
    assert abs(len(read) - len(BOTH)) <= SLACK
    assert np.abs(np.fft.rfft(read[4 * RATE : 5 * RATE])).argmax() == 300


def test_what_such_a_file_does_not_promise_is_not_missed() -> None:
    half = decode_file(BARE[: len(BARE) // 2], None).samples
    assert RATE < len(half) < len(BOTH) - RATE
    with pytest.raises(AudioError, match="truncated"):
        decode_file(VARIABLE[: len(VARIABLE) // 2], None)


@pytest.mark.parametrize(
    "data",
    [VARIABLE, encode_mp3(TONE, "CONSTANT", 0.5), encode_sound(TONE, RATE), b"\xff", b"ID3"],
    ids=["tells", "one rate", "wav", "a byte", "a tag"],
)
def test_a_file_that_needs_no_help_is_left_as_it_is(data: bytes) -> None:
    file = io.BytesIO(data)
    assert add_xing_header(file) is file and file.tell() == 0


def test_what_lies_between_frames_is_passed_over() -> None:
    first = read_frame_header(BARE[:4])
    assert first is not None
    same = first.header & FIXED_BITS
    count = len(list(iterate_frames(io.BytesIO(BARE), 0, same)))
    cut = first.num_bytes
    noisy = BARE[:cut] + b"\xff\x00junk" + BARE[cut:] + b"TAG" + bytes(125)
    assert len(list(iterate_frames(io.BytesIO(noisy), 0, same))) == count > 100
