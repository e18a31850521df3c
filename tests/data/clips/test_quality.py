"""Tests of audio_cls.data.clips.quality, and of the memory that preparation takes."""

from __future__ import annotations

import logging
import platform
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from prepared import prepare
from sounds import encode_sound, make_noise, make_table, make_tone

from audio_cls.config import DataConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.clips.decode_cache import decode_clips, read_clip_stats
from audio_cls.data.clips.quality import (
    enforce_bad_audio_limit,
    find_unusable_clips,
    warn_of_lost_frequencies,
)
from audio_cls.errors import DatasetError
from audio_cls.run_warnings import collect_warnings
from audio_cls.storage.process_memory import release_pages

RATE = 16_000
FAULTS = {"a": "unreadable: no sound", "b": "unreadable: nothing", "c": "silent"}


def decode(clips: list[bytes | None], key: str) -> tuple[pa.Table, np.ndarray]:
    """Return what is noted of decoded clips, and their ids."""
    return read_clip_stats(decode_clips(make_table(clips), "audio", RATE, key)), np.array(
        [f"clip-{number}" for number in range(len(clips))]
    )


def test_too_short_clips_are_left_out_and_the_limit_is_a_setting() -> None:
    clips = [encode_sound(make_tone(440, seconds), RATE) for seconds in (0.024, 0.025, 0.5)]
    decoded, ids = decode(clips, "short")
    assert find_unusable_clips(decoded, ids, RATE, DataConfig()) == {"clip-0": "too short: 0.024 s"}
    assert find_unusable_clips(decoded, ids, RATE, DataConfig(min_clip_seconds=0)) == {}
    longer = find_unusable_clips(decoded, ids, RATE, DataConfig(min_clip_seconds=0.3))
    assert list(longer) == ["clip-0", "clip-1"]


def test_silence_is_kept_unless_it_is_to_be_dropped() -> None:
    silence = np.zeros(RATE, np.float32)
    faint = make_noise(RATE, rms=1e-5)  # -100 dB; 16-bit sound would be all zero
    clips = [encode_sound(wave, RATE, subtype="FLOAT") for wave in (silence, faint, faint * 100)]
    decoded, ids = decode(clips, "silence")
    assert find_unusable_clips(decoded, ids, RATE, DataConfig()) == {}
    dropped = find_unusable_clips(decoded, ids, RATE, DataConfig(drop_silent=True))
    assert dropped == {"clip-0": "silent", "clip-1": "silent"}


def test_one_line_counts_unusable_clips_by_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        enforce_bad_audio_limit(FAULTS, 100, DataConfig())
        enforce_bad_audio_limit({}, 100, DataConfig(bad_audio="fail"))
    (text,) = caplog.messages
    assert text.startswith("3 of 100 clips are left out: 2 unreadable, 1 silent (first: a, unread")
    assert "bad_audio.csv" in text and "inspect" in text


def test_too_many_unusable_clips_are_refused_with_the_ratio_that_would_allow_them() -> None:
    with pytest.raises(DatasetError, match=r"3 of 29 .*first: a, .*--max-bad-audio-ratio 0\.11"):
        enforce_bad_audio_limit(FAULTS, 29, DataConfig())
    enforce_bad_audio_limit(FAULTS, 29, DataConfig(max_bad_audio_ratio=0.11))
    enforce_bad_audio_limit(FAULTS, 30, DataConfig())


@pytest.mark.parametrize("settings", [{}, {"max_bad_audio_ratio": 1.0}, {"bad_audio": "fail"}])
def test_no_setting_allows_a_data_set_without_a_usable_clip(settings: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match=r"None of 3 clips can be used \(2 unr") as caught:
        enforce_bad_audio_limit(FAULTS, 3, DataConfig(**settings))
    assert "--bad-audio" not in str(caught.value) and "ratio" not in str(caught.value)


def test_bad_audio_fail_refuses_a_single_one() -> None:
    with pytest.raises(DatasetError, match=r"1 of 1,000 .*--bad-audio skip"):
        enforce_bad_audio_limit({"a": "empty"}, 1000, DataConfig(bad_audio="fail"))


def test_each_setting_decides_which_clips_of_a_folder_are_used(tmp_path: Path) -> None:
    for number in range(60):
        sound = make_tone(200 + 10 * number, 0.5, RATE, seed=number)
        path = tmp_path / ("high" if number % 2 else "low") / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_sound(sound, RATE))
    odd = {"silent": 0 * sound, "short": sound[:1_600], "long": np.concatenate([sound] * 4)}
    for name, wave in odd.items():
        (tmp_path / "low" / f"{name}.wav").write_bytes(encode_sound(wave, RATE))
    assert prepare(tmp_path).clips.bad == {}
    assert prepare(tmp_path, drop_silent=True).clips.bad == {"low/silent.wav": "silent"}
    assert prepare(tmp_path, min_clip_seconds=0.3).clips.bad == {
        "low/short.wav": "too short: 0.100 s"
    }
    assert prepare(tmp_path, max_clip_seconds=1.0).clips.bad == {"low/long.wav": "too long: 2.0 s"}
    with pytest.raises(DatasetError, match=r"1 of 63 clips cannot be used \(1 silent"):
        prepare(tmp_path, drop_silent=True, bad_audio="fail")


def make_bad_clip(reason: str, number: int) -> bytes | None:
    """Return a clip with this fault, a different one for each number."""
    sound = make_tone(200 + number, 0.5, RATE, seed=number)
    if reason == "unreadable":
        return f"clip {number} is a text".encode()
    if reason == "truncated":
        whole = encode_sound(sound, RATE)
        return whole[: len(whole) * 2 // 3]
    if reason == "empty":
        return encode_sound(sound[:0], RATE)
    if reason == "not finite":
        sound[number % 1000] = np.nan if number % 2 else np.inf
        return encode_sound(sound, RATE, subtype="FLOAT")
    if reason == "silent":
        return encode_sound(0 * sound, RATE)
    if reason == "too short":
        return encode_sound(sound[:300], RATE)
    if reason == "too long":
        return encode_sound(np.concatenate([sound] * 5), RATE)
    return None


REASONS = (
    *("missing file", "unreadable", "truncated", "empty", "not finite"),
    *("silent", "too short", "too long"),
)


def check_broken_clips(num_clips: int) -> dict[str, str]:
    """Prepare clips of which 1 % have each fault; return what was set aside."""
    kinds = {100 * block + 10 * place: reason for place, reason in enumerate(REASONS)
             for block in range(num_clips // 100)}  # fmt: skip
    clips = [
        make_bad_clip(kinds[n], n) if n in kinds else encode_sound(make_tone(200 + n, 0.5), RATE)
        for n in range(num_clips)
    ]
    cfg = DataConfig(drop_silent=True, max_clip_seconds=2.0)
    decoded = decode_clips(make_table(clips), "audio", RATE, f"broken-{num_clips}", 2.0)
    ids = np.array([str(number) for number in range(num_clips)])
    faults = find_unusable_clips(read_clip_stats(decoded), ids, RATE, cfg)
    found = {int(clip): text.split(":")[0] for clip, text in faults.items()}
    assert found == kinds
    enforce_bad_audio_limit(faults, num_clips, cfg)
    return faults


def test_exactly_the_broken_clips_are_left_out_each_with_its_reason() -> None:
    counts = Counter(text.split(":")[0] for text in check_broken_clips(300).values())
    assert counts == dict.fromkeys(REASONS, 3)


MEASURE = """
import sys, resource
sys.path[:0] = {paths!r}
import conftest  # a cache of its own
import test_quality
test_quality.{call}
# Not ru_maxrss: a started program inherits the peak of the one that started it.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
own = int(status["VmHWM"].split()[0])
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print("peak", max(own, children) // 1024)
"""


def measure_peak_mb(call: str) -> int:
    """Return the peak memory of a call in a process of its own, loader processes included."""
    tests = Path(__file__).parents[2]
    paths = [str(tests), str(tests / "helpers"), str(Path(__file__).parent)]
    code = MEASURE.format(paths=paths, call=call)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def prepare_parquet(folder: str, num_clips: int) -> None:
    """Decode clips that lie in parquet files, as a data set's do."""
    from datasets import Audio, load_dataset

    files = sorted(str(path) for path in Path(folder).glob("*.parquet"))[: num_clips // 500]
    cache = f"{folder}/cache-{num_clips}"
    table = load_dataset("parquet", data_files={"train": files}, cache_dir=cache, split="train")
    table = table.cast_column("audio", Audio(decode=False))
    assert len(table) == num_clips
    decode_clips(table, "audio", RATE, f"memory-{num_clips}")


@pytest.mark.slow
def test_ten_thousand_clips_one_percent_broken_of_each_kind() -> None:
    counts = Counter(text.split(":")[0] for text in check_broken_clips(10_000).values())
    assert counts == dict.fromkeys(REASONS, 100)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.long
def test_memory_of_preparation_does_not_grow_with_the_number_of_clips(tmp_path: Path) -> None:
    sound = encode_sound(make_tone(440, 5.0, 22_050), 22_050)
    for number in range(6):
        make_table([sound] * 500).to_parquet(str(tmp_path / f"{number:02d}.parquet"))
    few, many = (
        measure_peak_mb(f"prepare_parquet({str(tmp_path)!r}, {count})") for count in (500, 3_000)
    )
    assert many < 1_500
    assert many < few + 150


@pytest.mark.skipif(sys.platform != "linux", reason="pages are given back on Linux only")
def test_read_pages_of_a_mapped_file_are_released_and_can_be_read_again(tmp_path: Path) -> None:
    table = pa.table({"audio": pa.array([bytes([n]) * 2**20 for n in range(32)])})
    with (
        pa.OSFile(str(tmp_path / "t.arrow"), "wb") as file,
        pa.ipc.new_file(file, table.schema) as w,
    ):
        w.write_table(table)
    mapped = pa.ipc.open_file(pa.memory_map(str(tmp_path / "t.arrow"))).read_all()["audio"]
    before = read_resident_mb()
    assert mapped.equals(table["audio"])
    assert read_resident_mb() > before + 20
    assert release_pages(mapped) > 2**24
    assert read_resident_mb() < before + 10
    assert mapped.equals(table["audio"])
    assert release_pages(table["audio"]) == 0  # made here: giving it back would lose it
    assert table["audio"][31].as_py() == bytes([31]) * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="pages are given back on Linux only")
def test_memory_does_not_grow_with_the_clips_that_training_has_read(tmp_path: Path) -> None:
    size, count = 2**18, 256  # samples, clips: 1 MB each
    wave = pa.field("wave", pa.list_(pa.float32()))
    with (
        pa.OSFile(str(tmp_path / "t.arrow"), "wb") as file,
        pa.ipc.new_stream(file, pa.schema([wave])) as writer,
    ):
        for number in range(count):
            row = pa.array([np.full(size, number, np.float32)], wave.type)
            writer.write_batch(pa.record_batch([row], names=["wave"]))
    table, all_rows = Dataset.from_file(str(tmp_path / "t.arrow")), np.arange(count)
    lengths, ids = np.full(count, size), all_rows.astype(np.str_)
    clips = Clips(table, all_rows, np.zeros(count, np.int64), ids, lengths, RATE)
    before, most = read_resident_mb(), 0
    for number in np.random.default_rng(0).permutation(count):
        assert (clips.read_wave(int(number), 0, size) == number).all()
        most = max(most, read_resident_mb())
    assert most < before + count / 2


def read_resident_mb() -> int:
    """Return the memory that the system counts as this process's own, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


FRESH_PAGES = """
import resource
import numpy as np
from audio_cls.storage.process_memory import retain_freed_memory
def count():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(40):
        np.ones(2_000_000, np.int8).sum()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
fresh = count()
print(retain_freed_memory())
count()
print(count() <= fresh / 4)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked")
def test_a_worker_that_keeps_its_memory_asks_the_system_for_few_pages() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FRESH_PAGES], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True"]


def test_clips_that_are_silent_after_mixing_are_warned_of_once() -> None:
    tone = make_tone(440, 0.5)
    waves = [np.stack([tone, tone], axis=1), np.stack([tone, -tone], axis=1), tone * 0]
    decoded, ids = decode([encode_sound(wave, RATE) for wave in waves], "cancelled")
    texts = collect_warnings()
    find_unusable_clips(decoded, ids, RATE, DataConfig())
    assert len(texts) == 1 and texts[0].startswith(
        "Silent, or with channels that cancel each other when mixed to mono: 2 of 3 clips."
    )
    texts = collect_warnings()
    assert len(find_unusable_clips(decoded, ids, RATE, DataConfig(drop_silent=True))) == 2
    find_unusable_clips(decoded, ids, RATE, DataConfig(silence_from="auto"))  # silence is a class
    assert texts == []


@pytest.mark.parametrize(("rate", "lost"), [(16_000, False), (48_000, False), (384_000, True)])
def test_recordings_far_above_the_models_rate_are_warned_of(rate: int, *, lost: bool) -> None:
    clips = [encode_sound(make_tone(440, 0.1, own), own) for own in (8_000, rate)]
    rates = decode([*clips, b"no sound"], f"rate-{rate}")[0]["file_rate"].to_numpy()
    texts = collect_warnings()
    warn_of_lost_frequencies(rates, RATE)
    warn_of_lost_frequencies(rates, RATE)
    warn_of_lost_frequencies(rates, 384_000)
    warn_of_lost_frequencies(rates[:0], RATE)
    assert len(texts) == int(lost)
    if lost:
        assert "up to 384000 Hz and the model uses 16000 Hz: content above 8000 Hz" in texts[0]
