"""Segments of recordings: columns of times, label files, samples, ids, groups, and the cache."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hub_datasets import load, make_dataset
from numpy.typing import NDArray

from audio_cls.audio.decode import decode_file, measure_seconds
from audio_cls.audio.segments import Segment, split_segment
from audio_cls.audio.waveform import decode_wave
from audio_cls.config import DataConfig
from audio_cls.data.inspection.scan import open_scan
from audio_cls.data.labels.labels import parse_labels
from audio_cls.data.prepare import PreparedClips, prepare_clips
from audio_cls.data.sources.tables.segment_columns import find_segment_columns
from audio_cls.data.splits.clip_index import build_clip_index
from audio_cls.data.splits.recording_groups import group_segments
from audio_cls.data.splits.splits import make_splits
from audio_cls.errors import AudioError, DatasetError, SettingError
from audio_cls.run_warnings import collect_warnings

RATE = 8_000


def make_ramp(num_samples: int) -> NDArray[np.int16]:
    """Return samples that tell where they are: sample n is n, beginning again at 2**15."""
    return (np.arange(num_samples) % 2**15).astype(np.int16)


def write_ramp(path: Path, seconds: float = 4.0) -> None:
    """Write a ramp as 16-bit sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, make_ramp(round(seconds * RATE)), RATE, subtype="PCM_16")


def write_table(file: Path, *lines: str) -> None:
    """Write lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def read_ids(place: Path, **settings: Any) -> list[str]:  # noqa: ANN401
    """Return the clips' names."""
    return list(load(place, **settings).splits["train"]["file"][:])


IDS = ["long.wav#0.000-1.500", "long.wav#1.500-2.250", "long.wav#2.250-4.000"]
TIMES = [(0.0, 1.5), (1.5, 2.25), (2.25, 4.0)]


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff"])
def test_a_segment_has_exactly_its_samples(tmp_path: Path, suffix: str) -> None:
    """From its start up to, but without, its end; neighbours share no sample."""
    write_ramp(tmp_path / f"long.{suffix}")
    parts = []
    for start, end in TIMES:
        path = f"{tmp_path}/long.{suffix}#{start:.3f}-{end:.3f}"
        samples = decode_file(None, path).samples[:, 0] * 2**15
        assert samples[0] == start * RATE and len(samples) == (end - start) * RATE
        parts.append(samples)
    assert np.array_equal(np.concatenate(parts), make_ramp(4 * RATE))


@pytest.mark.parametrize(
    ("segment", "samples"),
    [
        (Segment(0.1, 0.2), (800, 1600)),
        (Segment(1.00006, 1.50007), (8000, 12001)),  # 8000.48 and 12000.56
        (Segment(1.5), (12_000, 32_000)),
        (Segment(3.0, 4.09), (24_000, 32_000)),  # ends a little after the recording
    ],
)
def test_times_are_rounded_to_the_nearest_sample(
    segment: Segment, samples: tuple[int, int]
) -> None:
    assert segment.to_samples(32_000, RATE) == samples


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        (Segment(3.0, 4.2), "segment past the end"),
        (Segment(4.0), "segment past the end"),
        (Segment(1.0, 1.0), "empty segment"),
        (Segment(2.0, 1.0), "empty segment"),
    ],
)
def test_a_segment_outside_of_its_recording_is_a_fault(segment: Segment, reason: str) -> None:
    with pytest.raises(AudioError) as error:
        segment.to_samples(32_000, RATE)
    assert error.value.reason == reason


def test_a_path_and_a_segment_are_told_apart(tmp_path: Path) -> None:
    assert split_segment("a#1.wav") == ("a#1.wav", None)
    assert split_segment("a.wav#0.000-end") == ("a.wav", Segment(0.0))
    assert split_segment("a.wav#1.123456789-2.000") == ("a.wav", Segment(1.123456789, 2.0))
    odd = tmp_path / "a.wav#0.000-1.000"
    odd.write_bytes(b"a file of this very name")
    assert split_segment(str(odd)) == (str(odd), None)


@pytest.mark.parametrize(("container", "subtype"), [("MP3", None), ("OGG", "VORBIS")])
def test_formats_that_seek_inexactly_are_read_from_the_start(
    tmp_path: Path, container: str, subtype: str | None
) -> None:
    """Seeking of libsndfile 1.2.2 lands elsewhere in them; the whole file has the right samples."""
    rng = np.random.default_rng(0)
    time = np.arange(20 * 44_100) / 44_100
    wave = 0.3 * np.sin(2 * np.pi * (200 + 40 * time) * time) * (time % 3 > 1)
    path = tmp_path / f"long.{container.lower()}"
    wave = wave + rng.normal(0, 0.01, len(time))
    soundfile.write(path, wave, 44_100, format=container, subtype=subtype)
    whole = soundfile.read(path, dtype="float32")[0]
    for start in (0.0, 4.2, 11.7, 19.4):
        samples = decode_file(None, f"{path}#{start:.3f}-{start + 0.5:.3f}").samples[:, 0]
        first = round(start * 44_100)
        assert np.array_equal(samples, whole[first : first + 22_050])


def test_only_the_segment_is_decoded_where_seeking_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ramp(tmp_path / "long.wav")
    counts: list[int] = []
    read = soundfile.SoundFile.read

    def count(self: soundfile.SoundFile, frames: int = -1, **options: Any) -> Any:  # noqa: ANN401
        counts.append(frames)
        return read(self, frames, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", count)
    decode_file(None, f"{tmp_path}/long.wav#1.000-1.100")
    assert counts == [800]


def test_a_segment_is_resampled_as_a_file_of_its_own(tmp_path: Path) -> None:
    write_ramp(tmp_path / "long.wav")
    buffer = io.BytesIO()
    soundfile.write(buffer, make_ramp(32_000)[8_000:12_000], RATE, format="WAV", subtype="PCM_16")
    own = decode_wave(None, f"{tmp_path}/long.wav#1.000-1.500", 16_000)
    assert np.array_equal(own, decode_wave(buffer.getvalue(), None, 16_000)) and len(own) == 8_000


def test_lengths_and_rates_of_segments_are_known(tmp_path: Path) -> None:
    write_ramp(tmp_path / "long.wav")
    path = f"{tmp_path}/long.wav"
    assert measure_seconds(None, path) == 4.0
    assert measure_seconds(None, f"{path}#1.000-1.500") == 0.5
    assert measure_seconds(None, f"{path}#1.000-end") == 3.0
    assert measure_seconds(None, f"{path}.gone#1.000-end") == 0.0
    assert decode_file(None, f"{path}#1.000-1.500").sampling_rate == RATE


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["file", "start", "end"], ("start", "end", None)),
        (["file", "start_time", "end_time"], ("start_time", "end_time", None)),
        (["file", "startTime", "endTime"], ("startTime", "endTime", None)),
        (["file", "onset", "offset"], ("onset", "offset", None)),
        (["file", "onset", "duration"], ("onset", None, "duration")),
        (["file", "offset", "duration"], ("offset", None, "duration")),
        (["file", "begin", "end"], ("begin", "end", None)),
        (["Begin Time (s)", "End Time (s)"], ("Begin Time (s)", "End Time (s)", None)),
        (
            ["Begin Time (s)", "End Time (s)", "File Offset (s)", "Delta Time (s)"],
            ("File Offset (s)", None, "Delta Time (s)"),
        ),
        (["file", "onset", "end"], ("onset", "end", None)),
        (["file", "from", "to"], ("from", "to", None)),
        (["file", "xmin", "xmax"], ("xmin", "xmax", None)),
        (["file", "start", "offset"], None),
        (["file", "start_sample", "end_sample"], None),
        (["file", "start_seconds", "label"], None),
        (["file", "duration"], None),
        (["file", "begin_page", "end_page"], None),
    ],
)
def test_columns_of_times_are_known_by_their_usual_names(
    columns: list[str], found: tuple[str | None, ...] | None
) -> None:
    own = find_segment_columns(columns, DataConfig())
    assert (own and (own.start, own.end, own.duration)) == found


def test_columns_of_times_can_be_named(tmp_path: Path) -> None:
    write_ramp(tmp_path / "long.wav")
    times = zip(TIMES, "xyx", strict=True)
    lines = [f"long.wav,{start},{end},{end - start},{kind}" for (start, end), kind in times]
    write_table(tmp_path / "a.csv", "path,von,bis,lang,kind", *lines)
    assert read_ids(tmp_path, start_column="von", end_column="bis") == IDS
    assert read_ids(tmp_path, start_column="von", duration_column="lang") == IDS
    for settings, text in (
        (
            {"start_column": "vom", "end_column": "bis"},
            "no column 'vom' of times.*Did you mean von",
        ),
        ({"start_column": "von"}, "needs --end-column or --duration-column"),
        (
            {"start_column": "kind", "end_column": "bis"},
            "'x' in column 'kind', entry 1, is not a time",
        ),
    ):
        with pytest.raises(DatasetError, match=text):
            load(tmp_path, **settings)


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("path;start;end", ["0;1,5", "1,5;2,25", "2,25;4"]),  # decimal commas
        ("path;start_ms;end_ms", ["0;1500", "1500;2250", "2250;4000"]),
        ("path;offset;duration", ["0;1.5", "1.5;0.75", "2.25;1.75"]),
        ("path;start;end", ["0:00;0:01.5", "0:01.5;0:00:02.25", "00:02.25;00:04"]),
    ],
)
def test_times_are_read_as_people_write_them(tmp_path: Path, header: str, rows: list[str]) -> None:
    write_ramp(tmp_path / "long.wav")
    write_table(tmp_path / "a.csv", header, *[f"long.wav;{row}" for row in rows])
    assert read_ids(tmp_path) == IDS


def test_a_row_without_times_is_its_whole_file(tmp_path: Path) -> None:
    for name in ("long.wav", "short.wav"):
        write_ramp(tmp_path / name)
    lines = ["long.wav,1,2", "long.wav,2,", "short.wav,,"]
    write_table(tmp_path / "a.csv", "path,start,end", *lines)
    assert read_ids(tmp_path) == ["long.wav#1.000-2.000", "long.wav#2.000-end", "short.wav"]


def test_files_that_are_cut_already_are_used_whole(tmp_path: Path) -> None:
    """UrbanSound8K lists where in another recording each of its files was cut out."""
    for number in range(4):
        write_ramp(tmp_path / f"{number}.wav", 1.0)
    lines = [f"{number}.wav,{number + 58.0},{number + 59.0}" for number in range(4)]
    write_table(tmp_path / "a.csv", "slice_file_name,start,end", *lines)
    texts = collect_warnings()
    assert read_ids(tmp_path) == ["0.wav", "1.wav", "2.wav", "3.wav"]
    assert "past the end of 4 of 4 files" in texts[0]
    named = read_ids(tmp_path, start_column="start", end_column="end")
    assert named[0] == "0.wav#58.000-59.000"


def test_one_segment_of_each_file_is_cut(tmp_path: Path) -> None:
    for number in range(4):
        write_ramp(tmp_path / f"{number}.wav")
    lines = [f"{number}.wav,{number / 2},{number / 2 + 1}" for number in range(4)]
    write_table(tmp_path / "a.csv", "path,start,end", *lines)
    assert read_ids(tmp_path)[3] == "3.wav#1.500-2.500"
    assert read_ids(tmp_path, start_column="none") == [f"{number}.wav" for number in range(4)]


def test_columns_called_so_that_hold_something_else_are_said_not_to_be_used(tmp_path: Path) -> None:
    write_ramp(tmp_path / "a.wav")
    write_table(tmp_path / "a.csv", "path,start,end", "a.wav,Monday,Friday")
    texts = collect_warnings()
    assert read_ids(tmp_path) == ["a.wav"] and "'start' and 'end' hold no times" in texts[0]


AUDACITY = ["0.000000\t1.500000\tcat", "\\\t200.0\t900.0", "1,5\t2,25\tdog", "2.25\t4.0\tcat"]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("start_sample", "end_sample"),
        ("startFrame", "endFrame"),
        ("frame_begin", "frame_end"),
        ("start", "offset"),
    ],
)
def test_columns_that_may_be_times_of_another_unit_are_named(
    tmp_path: Path, start: str, end: str
) -> None:
    """Such files were used whole without a word."""
    write_ramp(tmp_path / "a.wav")
    write_table(tmp_path / "a.csv", f"path,{start},{end}", "a.wav,0,4000")
    texts = collect_warnings()
    assert read_ids(tmp_path) == ["a.wav"]
    assert f"columns '{start}' and '{end}' may be start and end of clips" in texts[0]
    texts.clear()
    assert read_ids(tmp_path, start_column="none") == ["a.wav"] and texts == []


def test_label_tracks_of_audacity_are_read(tmp_path: Path) -> None:
    for name in ("long", "other"):
        write_ramp(tmp_path / f"{name}.wav")
    write_table(tmp_path / "long.txt", *AUDACITY, "3.0\t3.0\ta point")
    texts = collect_warnings()
    table = load(tmp_path).splits["train"]
    assert table["file"][:] == IDS and table["label"][:] == ["cat", "dog", "cat"]
    assert set(table["recording"][:]) == {"long.wav"}
    assert any("Not used: 1 recording without a label file." in text for text in texts)
    assert any("Left out: 1 label that marks a point in time" in text for text in texts)
    assert read_ids(tmp_path / "long.txt") == IDS


def test_label_files_in_a_folder_of_their_own_are_read(tmp_path: Path) -> None:
    write_ramp(tmp_path / "audio" / "long.wav")
    write_table(tmp_path / "labels" / "long.txt", *AUDACITY)
    assert read_ids(tmp_path) == [f"audio/{name}" for name in IDS]


def test_a_transcript_is_no_label_file(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        write_ramp(tmp_path / label / "1.wav")
        write_table(tmp_path / label / "1.txt", "HELLO WORLD", "12 13 14")
    assert load(tmp_path).splits["train"]["label"][:] == ["cat", "dog"]


RAVEN = [
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"
    "\tSpecies",
    "1\tWaveform 1\t1\t0.000000000\t1.500000000\t0.0\t22050.0\tamro",
    "1\tSpectrogram 1\t1\t0.000000000\t1.500000000\t0.0\t22050.0\tamro",
    "2\tWaveform 1\t1\t1.500000000\t2.250000000\t0.0\t22050.0\tbcch",
    "2\tSpectrogram 1\t1\t1.500000000\t2.250000000\t0.0\t22050.0\tbcch",
    "3\tWaveform 1\t1\t2.250000000\t4.000000000\t0.0\t22050.0\tamro",
    "3\tSpectrogram 1\t1\t2.250000000\t4.000000000\t0.0\t22050.0\tamro",
    "4\tWaveform 1\t1\t0.500000000\t1.000000000\t0.0\t22050.0\tbcch",
]


def test_selection_tables_of_raven_are_read_once_for_all_views(tmp_path: Path) -> None:
    write_ramp(tmp_path / "long.wav")
    write_table(tmp_path / "long.Table.1.selections.txt", *RAVEN)
    table = load(tmp_path).splits["train"]
    assert table["file"][:] == [*IDS, "long.wav#0.500-1.000"]
    assert table["Species"][:] == ["amro", "bcch", "amro", "bcch"]
    assert table.column_names == ["audio", "file", "recording", "Species"]
    assert parse_labels(make_dataset({"train": table}), DataConfig()).names == ("amro", "bcch")


def test_selection_tables_of_raven_may_name_their_files(tmp_path: Path) -> None:
    """Begin Time is then that of all files together, File Offset that of the file."""
    for name in ("a.wav", "b.wav"):
        write_ramp(tmp_path / name)
    columns = "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\tDelta Time (s)"
    lines = ["1\t1.0\t2.0\ta.wav\t1.0\t1.0\tx", "2\t5.0\t6.5\tb.wav\t1.0\t1.5\ty"]
    write_table(tmp_path / "all.txt", f"{columns}\tSpecies", *lines)
    assert read_ids(tmp_path) == ["a.wav#1.000-2.000", "b.wav#1.000-2.500"]


def write_recordings(root: Path, num_recordings: int) -> None:
    """Write recordings of four segments each, of two classes, and their table."""
    lines = []
    for number in range(num_recordings):
        write_ramp(root / f"{number}.wav")
        lines += [f"{number}.wav,{n},{n + 1},{'xy'[n % 2]}" for n in range(4)]
    write_table(root / "a.csv", "path,start,end,label", *lines)


def prepare(root: Path, **settings: Any) -> tuple[DataConfig, PreparedClips]:  # noqa: ANN401
    """Cut splits and decode the clips as training does."""
    cfg = DataConfig(dataset=str(root), **settings)
    source = load(root, **settings)
    labels = parse_labels(source, cfg)
    cfg = group_segments(source, labels, cfg)
    pool = build_clip_index(source, labels, cfg)
    return cfg, prepare_clips(source, labels, pool, make_splits(pool, cfg), RATE, cfg)


def test_segments_of_one_recording_are_on_one_side(tmp_path: Path) -> None:
    write_recordings(tmp_path, 6)
    cfg, clips = prepare(tmp_path)
    assert cfg.group_column == "recording"
    sides = [{name.split("#")[0] for name in part.ids} for _, part in clips.items()]
    assert set.union(*sides) == {f"{number}.wav" for number in range(6)}
    assert sum(map(len, sides)) == 6


def test_too_few_recordings_are_cut_within_and_it_is_said(tmp_path: Path) -> None:
    write_recordings(tmp_path, 2)
    texts = collect_warnings()
    cfg, clips = prepare(tmp_path, test_size=0.25, validation_size=0.25)
    assert cfg.group_column is None and len(clips.train) == 4
    assert "2 of 2 classes have segments in fewer than 3 recordings" in texts[0]
    assert "0.wav" not in texts[0]


def test_given_splits_that_share_a_recording_stay_and_it_is_said(tmp_path: Path) -> None:
    write_ramp(tmp_path / "long.wav")
    rows = [
        f"long.wav,{n / 2},{n / 2 + 0.5},{'xy'[n % 2]},{'train' if n < 4 else 'test'}"
        for n in range(8)
    ]
    write_table(tmp_path / "a.csv", "path,start,end,label,split", *rows)
    texts = collect_warnings()
    cfg, clips = prepare(tmp_path, validation_size=0.5)
    assert cfg.group_column is None and len(clips.test) == 4
    assert "1 recording has segments in several splits" in texts[0]


def test_a_choice_of_groups_or_splits_is_left_alone(tmp_path: Path) -> None:
    write_recordings(tmp_path, 6)
    for settings in ({"group_pattern": "([0-9])"}, {"split_method": "shuffled"}):
        assert prepare(tmp_path, **settings)[0].group_column is None


def test_segments_are_decoded_and_cached_by_their_times(tmp_path: Path) -> None:
    """A table that changes gives other sound, though its recording is the same."""
    write_recordings(tmp_path, 6)
    _, clips = prepare(tmp_path)
    for name, row in zip(clips.train.ids, clips.train.rows, strict=True):
        wave = np.asarray(clips.train.table[int(row)]["wave"]) * 2**15
        assert wave[0] == float(name.split("#")[1].split("-")[0]) * RATE and len(wave) == RATE
    text = (tmp_path / "a.csv").read_text().replace(",1,2,", ",1.5,2,")
    (tmp_path / "a.csv").write_text(text)
    _, clips = prepare(tmp_path)
    lengths = dict(zip(clips.train.ids, clips.train.lengths.tolist(), strict=True))
    assert all(length == (4_000 if "#1.500" in name else RATE) for name, length in lengths.items())


def test_names_of_recordings_are_no_labels(tmp_path: Path) -> None:
    """They repeat like labels do: a column of them made it unclear which is meant."""
    write_recordings(tmp_path, 3)
    text = (tmp_path / "a.csv").read_text().replace("label", "kind")
    (tmp_path / "a.csv").write_text(text)
    assert parse_labels(load(tmp_path), DataConfig()).column == "kind"


def test_a_segment_past_the_end_is_set_aside(tmp_path: Path) -> None:
    write_recordings(tmp_path, 6)
    with (tmp_path / "a.csv").open("a") as file:
        file.write("0.wav,5,6,x\n")
    _, clips = prepare(tmp_path)
    assert list(clips.bad) == ["0.wav#5.000-6.000"]
    assert clips.bad["0.wav#5.000-6.000"].startswith("segment past the end")


def test_inspect_reads_segments(tmp_path: Path) -> None:
    write_recordings(tmp_path, 3)
    inspection = open_scan(DataConfig(dataset=str(tmp_path)))
    list(inspection.read())
    assert {note.seconds for note in inspection.stats.values()} == {1.0}
    assert inspection.ids[5] == "1.wav#1.000-2.000"
    assert len(set(inspection.groups["recording"])) == 3


def test_segments_cannot_be_streamed(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--streaming cannot be used with --start-column"):
        DataConfig(streaming=True, start_column="start", end_column="end")
    write_recordings(tmp_path, 2)
    with pytest.raises(DatasetError, match="only these can be streamed"):
        load(tmp_path, streaming=True)


def test_settings_of_another_layout_are_refused(tmp_path: Path) -> None:
    write_ramp(tmp_path / "cat" / "1.wav")
    write_ramp(tmp_path / "dog" / "2.wav")
    with pytest.raises(DatasetError, match="--start-column cuts segments of files that a table"):
        load(tmp_path, start_column="start", end_column="end")
    write_table(tmp_path / "a.csv", "path,label", "cat/1.wav,x", "dog/2.wav,y")
    with pytest.raises(DatasetError, match="--label-level has no effect"):
        load(tmp_path / "a.csv", label_level=1)
