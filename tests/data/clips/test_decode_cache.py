"""Tests of audio_cls.data.clips.decode_cache."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from datasets import Audio, Dataset
from sounds import encode_sound, make_table, make_tone

from audio_cls.audio import decode as sound
from audio_cls.audio.decode import DecodedAudio
from audio_cls.audio.waveform import decode_wave
from audio_cls.data.clips import decode_cache, decode_key
from audio_cls.data.clips.decode_cache import choose_batch_size, decode_clips
from audio_cls.storage.arrow import MappedRows


def test_a_table_is_decoded_row_for_row() -> None:
    clips = [encode_sound(make_tone(440, 0.1), 16_000), b"no sound", None]
    decoded = decode_clips(make_table(clips), "audio", 8_000, "row-for-row")
    assert decoded["num_samples"][:] == [800, 0, 0]
    assert decoded["error"][0] is None
    assert decoded["error"][1].startswith("unreadable: ")
    assert decoded["error"][2] == "missing file"
    assert decoded["peak"][0] == pytest.approx(0.5, abs=0.05)
    assert decoded["file_rate"][:] == [16_000, 0, 0]
    np.testing.assert_array_equal(decoded[0]["wave"], decode_wave(clips[0], None, 8_000))


def test_equal_audio_has_the_same_hash_in_any_file() -> None:
    tone = soundfile.read(io.BytesIO(encode_sound(make_tone(440, 0.1), 16_000)), dtype="int16")[0]
    louder = tone.copy()
    louder[700] += 1
    clips = [encode_sound(tone, 16_000), encode_sound(tone, 16_000, format="FLAC"), b"no sound"]
    clips += [encode_sound(louder, 16_000), encode_sound(tone[:-1], 16_000)]
    one, same, none, other, shorter = decode_clips(make_table(clips), "audio", 16_000, "hashes")[
        "hash"
    ][:]
    assert one == same and len(one) == 32
    assert none == ""
    assert len({one, other, shorter}) == 3


def test_an_empty_table_is_decoded_to_an_empty_table() -> None:
    table = make_table([encode_sound(make_tone(440, 0.1), 16_000)]).select([])
    assert len(decode_clips(table, "audio", 8_000, "empty-table")) == 0


def test_two_processes_decode_the_same_rows_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [encode_sound(make_tone(200 + n, 0.02), 16_000) for n in range(20)]
    one = decode_clips(make_table(clips), "audio", 8_000, "processes-1")
    monkeypatch.setattr(decode_cache, "CLIPS_PER_PROCESS", 5)
    monkeypatch.setattr(decode_cache.os, "cpu_count", lambda: 2)
    two = decode_clips(make_table(clips), "audio", 8_000, "processes-2")
    assert one.to_dict() == two.to_dict()


def count_decodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by one with every clip that is decoded from now on."""
    calls: list[int] = []
    decode = decode_cache.decode_file

    def counted(*given: Any, **named: Any) -> DecodedAudio:  # noqa: ANN401
        calls.append(1)
        return decode(*given, **named)

    monkeypatch.setattr(decode_cache, "decode_file", counted)
    return calls


def test_the_second_call_reads_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_table([encode_sound(make_tone(440, 0.1), 16_000)] * 3)
    calls = count_decodings(monkeypatch)
    first = decode_clips(table, "audio", 8_000, "cache")
    second = decode_clips(table, "audio", 8_000, "cache")
    assert len(calls) == 3
    assert first.to_dict() == second.to_dict()


@pytest.mark.parametrize("change", ["rate", "content", "longest", "decoder"])
def test_another_rate_content_limit_or_decoder_is_decoded_again(
    change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_table([encode_sound(make_tone(440, 0.1), 16_000)])
    decode_clips(table, "audio", 8_000, f"anew-{change}")
    calls = count_decodings(monkeypatch)
    rate = 4_000 if change == "rate" else 8_000
    key = "anew-content-changed" if change == "content" else f"anew-{change}"
    if change == "decoder":
        monkeypatch.setattr(decode_key, "DECODER_VERSION", decode_key.DECODER_VERSION + 1)
    longest = 0.05 if change == "longest" else None
    decoded = decode_clips(table, "audio", rate, key, longest)
    assert len(calls) == 1
    assert decoded["error"][0] == ("too long: 0.1 s" if change == "longest" else None)


def test_a_run_killed_in_the_middle_leaves_no_half_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [encode_sound(make_tone(200 + n, 0.02), 16_000) for n in range(6)]
    monkeypatch.setattr(decode_cache, "BATCH_CLIPS", 2)
    calls: list[int] = []
    decode = decode_cache.decode_file

    def killed(*given: Any, **named: Any) -> DecodedAudio:  # noqa: ANN401
        calls.append(1)
        if len(calls) == 5:  # two batches are written by now
            raise KeyboardInterrupt
        return decode(*given, **named)

    monkeypatch.setattr(decode_cache, "decode_file", killed)
    with pytest.raises(KeyboardInterrupt):
        decode_clips(make_table(clips), "audio", 8_000, "killed")
    monkeypatch.setattr(decode_cache, "decode_file", decode)
    decoded = decode_clips(make_table(clips), "audio", 8_000, "killed")
    assert len(decoded) == 6
    assert all(count == 160 for count in decoded["num_samples"])


SIZES = {  # what there is -> sizes in bytes, samples a byte, clips at once by hand
    "short clips": ([3_200] * 2_000, 0.5, 512),
    "words of a second": ([32_000] * 200, 0.5, 64),
    "songs of a minute": ([2**21] * 40, 0.5, 1),
    "one long clip among short ones": ([3_200] * 1_000 + [2**28], 0.5, 512),
    # 2**17 samples each: 2**20 of them beside the longest are 8, of which 9 are no power of two.
    "a run of long clips among short ones": ([3_200] * 1_024 + [2**18] * 512, 0.5, 8),
    "nothing but missing files": ([-1] * 600, 0.0, 512),
}


@pytest.mark.parametrize("name", SIZES)
def test_long_clips_are_decoded_few_at_a_time(name: str) -> None:
    sizes, samples_per_byte, expected = SIZES[name]
    assert choose_batch_size(np.array(sizes), samples_per_byte) == expected


def watch_batches(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return a list that grows by the lengths of the clips of each batch decoded from now on."""
    batches: list[list[int]] = []
    decode = decode_cache.decode_batch

    def watched(*given: Any, **named: Any) -> pa.Table:  # noqa: ANN401
        batch = decode(*given, **named)
        batches.append(batch["num_samples"].to_pylist())
        return batch

    monkeypatch.setattr(decode_cache, "decode_batch", watched)
    return batches


def test_a_batch_is_small_apart_from_its_longest_clip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decode_cache, "BATCH_SAMPLES", 16_000)
    monkeypatch.setattr(decode_cache, "NUM_PROBES", 2)  # of which no one meets a long clip
    short, long = (encode_sound(make_tone(440, s), 16_000) for s in (0.01, 0.5))
    batches = watch_batches(monkeypatch)
    decode_clips(make_table([short] * 30 + [long] * 8 + [short] * 25), "audio", 16_000, "long")
    assert sum(map(len, batches)) == 63
    assert max(sum(own) - max(own) for own in batches) <= 16_000
    assert max(map(len, batches)) > 1


def test_clips_whose_header_cannot_be_read_are_taken_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches = watch_batches(monkeypatch)
    # 200 kB may be 200 s, which are 3.2 million samples: more than a batch shall hold.
    song = bytes(4) + b"ftypM4A " + bytes(200_000)
    decoded = decode_clips(make_table([song] * 20), "audio", 16_000, "unknown length")
    assert [len(own) for own in batches] == [1] * 20
    assert len(decoded) == 20


def test_offsets_of_waves_are_counted_in_64_bits() -> None:
    table = make_table([encode_sound(make_tone(440, 0.1), 16_000)] * 3)
    decoded = decode_clips(table, "audio", 16_000, "offsets")
    assert decoded.data.column("wave").type == pa.large_list(pa.float32())
    waves = MappedRows(decoded, "wave")
    assert [len(waves[row]) for row in range(3)] == [1_600] * 3


def write_clips(folder: Path, count: int = 3) -> list[Path]:
    """Write some clips of one tone each."""
    paths = [folder / f"{number}.wav" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(encode_sound(make_tone(300 + 100 * number, 0.1), 16_000))
    return paths


def decode_files(paths: list[Path]) -> list[str | None]:
    """Decode files, or open their cache; return the clips' faults."""
    table = Dataset.from_dict({"audio": [str(path) for path in paths]})
    table = table.cast_column("audio", Audio(decode=False))
    return list(decode_clips(table, "audio", 16_000, "files")["error"][:])


@pytest.mark.parametrize("error", [errno.EIO, errno.EACCES, errno.ESTALE, errno.EMFILE])
def test_an_error_of_the_disk_is_not_kept(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_clips(tmp_path)

    def fail_on_second(path: str, *given: Any) -> Any:  # noqa: ANN401
        if path == str(paths[1]):
            raise OSError(error, os.strerror(error), path)
        return open(path, *given)

    calls = count_decodings(monkeypatch)
    monkeypatch.setattr(sound, "open", fail_on_second, raising=False)
    first = decode_files(paths)
    assert first[::2] == [None, None]
    assert str(first[1]).startswith("not accessible: ")
    assert decode_files(paths) == first
    assert len(calls) == 3 + 1, "only the failed clip is tried again"
    monkeypatch.delattr(sound, "open")
    assert decode_files(paths) == [None] * 3
    calls.clear()
    assert decode_files(paths) == [None] * 3
    assert not calls


def test_an_error_while_a_file_is_read_is_not_taken_for_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_clips(tmp_path, 1)

    class FailingFile(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        def readinto(self, buffer: Any) -> int:  # noqa: ANN401
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sound, "open", lambda path, _: FailingFile(path), raising=False)
    assert str(decode_files(paths)[0]).startswith("not accessible: Input/output error")
    monkeypatch.delattr(sound, "open")
    assert decode_files(paths) == [None]


def test_an_installed_extra_is_used_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_clips(tmp_path)
    paths[0].write_bytes(bytes(4) + b"ftypM4A " + bytes(1_000))  # whatever its name says
    monkeypatch.setitem(sys.modules, "av", None)
    first = decode_files(paths)
    assert str(first[0]).startswith("needs the extra 'formats'")
    assert decode_files(paths) == first
    wave = np.full((1_600, 1), 0.5, np.float32)
    monkeypatch.setattr(sound, "decode_with_pyav", lambda *_: iter([(wave, 16_000, "aac")]))
    assert decode_files(paths) == [None] * 3


def test_a_file_that_is_put_in_its_place_is_read(tmp_path: Path) -> None:
    paths = write_clips(tmp_path)
    held = paths[1].read_bytes()
    paths[1].unlink()
    assert str(decode_files(paths)[1]) == f"missing file: {paths[1]}"
    paths[1].write_bytes(held)
    assert decode_files(paths) == [None] * 3


def test_a_file_that_was_away_for_a_moment_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_clips(tmp_path)
    monkeypatch.setattr(sound.os.path, "isfile", lambda _: False)  # but it is there for its size
    assert all(str(fault).startswith("missing file: ") for fault in decode_files(paths))
    monkeypatch.undo()
    assert decode_files(paths) == [None] * 3


def test_what_is_wrong_with_the_bytes_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_clips(tmp_path)
    paths[0].write_bytes(b"no sound")
    paths[1].write_bytes(b"")
    first = decode_files(paths)
    calls = count_decodings(monkeypatch)
    assert decode_files(paths) == first
    assert [str(fault).split(":")[0] for fault in first] == ["unreadable", "empty", "None"]
    assert not calls


def test_an_outdated_cache_that_another_run_uses_stays_and_a_new_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_clips(tmp_path)
    table = Dataset.from_dict({"audio": [str(path) for path in paths]})
    table = table.cast_column("audio", Audio(decode=False))
    monkeypatch.setattr(sound.os.path, "isfile", lambda _: False)
    in_use = decode_clips(table, "audio", 16_000, "in use")
    monkeypatch.undo()
    again = decode_clips(table, "audio", 16_000, "in use")
    assert again["error"][:] == [None] * 3
    files = [Path(one.cache_files[0]["filename"]) for one in (in_use, again)]
    assert files[0].is_file()
    assert files[0].parent.name + "-1" == files[1].parent.name
    assert in_use["num_samples"][:] == [0] * 3
