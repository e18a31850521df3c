"""Tests of audio_cls.data.inspection and of the command `inspect`."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from click.testing import CliRunner
from datasets import ClassLabel
from sounds import encode_sound, make_noise, make_table, make_tone

from audio_cls.cli.inspect import main
from audio_cls.cli.options.config_options import settings_command
from audio_cls.config import DataConfig, RunConfig
from audio_cls.data.inspection.html_report import write_html_report
from audio_cls.data.inspection.scan import (
    CLIPS_AT_ONCE,
    FIRST_CLIPS,
    DatasetScan,
    open_scan,
    order_clips,
    scan_clip,
)
from audio_cls.data.inspection.suggestions import LARGEST_BATCH, MEMORY_BUDGET_MB, suggest_settings
from audio_cls.data.inspection.summary import describe_durations, summarize
from audio_cls.data.inspection.text_report import format_summary
from audio_cls.errors import DatasetError

ROOT = Path(__file__).parents[3]
NAMES = ["tone <b>", "räuspern 🎵"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data set of two splits with one fault of each kind.

    train: 6 tones of 1 s at 8 kHz and 2 noises of 2 s in stereo; a broken clip, a silent one, a
    copy, and one without a label. test: 2 clips, one of which is in train as well.
    """
    root = tmp_path_factory.mktemp("inspected")
    tones = [encode_sound(make_tone(300 + 50 * n, 1.0, 8_000), 8_000) for n in range(6)]
    noises = [
        encode_sound(np.stack([make_noise(44_100, seed=n)] * 2, axis=1), 22_050, format="FLAC")
        for n in range(2)
    ]
    silent = encode_sound(np.zeros(8_000, np.float32), 8_000)
    samples, _ = soundfile.read(io.BytesIO(tones[0]), dtype="int16")
    copy = encode_sound(samples, 8_000, format="FLAC")
    splits = {
        "train": ([*tones, *noises, b"no sound", silent, copy], [0] * 6 + [1] * 2 + [0, 0, -1]),
        "test": ([tones[5], encode_sound(make_tone(999, 1.0, 8_000), 8_000)], [0, 1]),
    }
    speakers = {"train": [f"s{n % 4}" for n in range(11)], "test": ["s3", "s9"]}
    (root / "data").mkdir()
    for split, (clips, labels) in splits.items():
        table = make_table(clips, kind=labels, speaker=speakers[split])
        table = table.cast_column("kind", ClassLabel(names=NAMES))
        table.to_parquet(str(root / "data" / f"{split}-00000-of-00001.parquet"))
    return root


@pytest.fixture(scope="module")
def inspection(folder: Path) -> DatasetScan:
    """Return the whole data set's inspection."""
    found = open_scan(DataConfig(dataset=str(folder), label_column="kind"))
    assert list(found.read())[-1] == 13
    return found


def test_every_clip_is_counted_by_class_and_split(inspection: DatasetScan) -> None:
    summary = summarize(inspection)
    assert summary["is_complete"]
    assert summary["classes"] == {
        NAMES[0]: {"train": 8, "test": 1},
        NAMES[1]: {"train": 2, "test": 1},
    }
    assert summary["splits"]["train"] == {"num_clips": 11, "seconds": 12.0, "num_unlabelled": 1}
    assert summary["splits"]["test"]["seconds"] == 2.0


def test_durations_rates_channels_and_encodings_are_those_of_the_files(
    inspection: DatasetScan,
) -> None:
    summary = summarize(inspection)
    spread = summary["durations"]
    assert (spread["min"], spread["median"], spread["max"], spread["total"]) == (1, 1, 2, 14)
    assert spread["p95"] == 2
    assert sum(spread["histogram"]["counts"]) == 12
    assert summary["sampling_rates"] == {"8000": 10, "22050": 2}
    assert summary["channels"] == {"1": 10, "2": 2}
    assert summary["encodings"] == {"WAV PCM_16": 9, "FLAC PCM_16": 3}


def test_bad_silent_and_repeated_clips_are_named(inspection: DatasetScan) -> None:
    summary = summarize(inspection)
    assert summary["bad_audio"]["reasons"] == {"unreadable": 1}
    assert summary["bad_audio"]["clips"][0]["id"] == "train/8"
    assert summary["silent"] == {
        "num_clips": 1,
        "num_cancelled": 0,
        "classes": {NAMES[0]: 1},
        "clips": ["train/9"],
    }
    twice = summary["duplicates"]
    assert (twice["num_clips"], twice["num_across_splits"], twice["num_other_label"]) == (2, 1, 0)
    assert twice["groups"] == [
        {"ids": ["train/0", "train/10"], "splits": ["train"] * 2, "labels": [NAMES[0], ""]},
        {"ids": ["train/5", "test/0"], "splits": ["train", "test"], "labels": [NAMES[0]] * 2},
    ]


def inspect_clips(folder: Path, clips: list[bytes], settings: str = "", **columns: Any) -> Any:  # noqa: ANN401
    """Inspect a data set of these clips by the command; return the JSON object that it writes."""
    make_table(clips, **columns).to_parquet(str(folder / "train-00000-of-00001.parquet"))
    words = ["--dataset", str(folder), "--json", *shlex.split(settings)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def test_clips_whose_channels_cancel_each_other_are_silent(tmp_path: Path) -> None:
    tone = make_tone(300, 0.5)
    loud = encode_sound(np.stack([tone, tone], axis=1), 16_000)
    cancelled = [encode_sound(np.stack([tone * n, -tone * n], axis=1), 16_000) for n in (1, 0.5)]
    nothing = encode_sound(np.zeros((8_000, 2), np.float32), 16_000)
    clips = [loud, *cancelled, nothing]
    summary = inspect_clips(tmp_path, clips, label=["a", "a", "b", "b"])
    assert summary["silent"]["num_clips"] == 3
    assert summary["silent"]["num_cancelled"] == 2
    assert summary["silent"]["classes"] == {"b": 2, "a": 1}
    assert summary["duplicates"]["num_clips"] == 0


def test_the_same_sound_with_another_label_is_counted_and_comes_first(tmp_path: Path) -> None:
    tones = [encode_sound(make_tone(300 + 50 * n, 0.5), 16_000) for n in range(3)]
    clips = [tones[0], tones[0], tones[1], tones[1], tones[1], tones[2]]
    summary = inspect_clips(tmp_path, clips, label=["a", "a", "a", "b", "a", "b"])
    assert summary["duplicates"]["num_other_label"] == 1
    first = summary["duplicates"]["groups"][0]
    assert (first["ids"], first["labels"]) == (["train/2", "train/3", "train/4"], ["a", "b", "a"])
    found = open_scan(DataConfig(dataset=str(tmp_path)))
    list(found.read())
    text = format_summary(summarize(found))
    assert "1 with another label" in text and "train/2 (a) = train/3 (b) = train/4 (a)" in text


@pytest.mark.parametrize(("rate", "parts"), [(48_000, (1_000, 12_000)), (384_000, (30_000,))])
def test_sound_that_a_model_does_not_get_is_measured(
    rate: int, parts: tuple[int, ...], tmp_path: Path
) -> None:
    time = np.arange(rate // 2) / rate
    wave = sum(0.2 * np.sin(2 * np.pi * hz * time) for hz in parts).astype(np.float32)
    low = encode_sound(make_tone(300, 0.5), 16_000)
    clips = [encode_sound(wave, rate), encode_sound(wave / 2, rate), low]
    lost = inspect_clips(tmp_path, clips, label=["a", "b", "a"])["above_model_rate"]
    share = sum(hz > 8_000 for hz in parts) / len(parts)  # equal amplitudes have equal energy
    assert (lost["hz"], lost["num_clips"]) == (8_000, 2)
    assert lost["median_share"] == pytest.approx(share, abs=0.01)


def test_words_of_a_preset_that_are_no_labels_do_not_stop_an_inspection(tmp_path: Path) -> None:
    clips = [encode_sound(make_tone(300 + 50 * n, 0.5), 16_000) for n in range(4)]
    own = inspect_clips(tmp_path, clips, "--preset keyword-spotting", label=["lamp", "stop"] * 2)
    assert list(own["classes"]) == ["lamp", "stop"]
    assert "no label 'yes'" in own["dataset"]["keyword_fault"]
    words = "--preset keyword-spotting --keywords lamp"
    named = inspect_clips(tmp_path, clips, words, label=["lamp", "stop"] * 2)
    assert {"lamp", "_unknown_"} <= set(named["classes"])
    assert named["dataset"]["keyword_fault"] is None


def test_what_a_preset_sets_is_not_suggested_again(tmp_path: Path) -> None:
    clips = [encode_sound(make_tone(300 + 9 * n, 0.4), 16_000) for n in range(11)]
    labels = ["de"] * 5 + ["fr"] * 5 + ["la"]
    plain = inspect_clips(tmp_path, clips, label=labels)["suggested"]
    assert plain["flags"] == (
        "--max-seconds 0.5 --batch-size 32 --metric accuracy --min-clips-per-label 4"
    )
    words = "--preset language-id --label-column label"
    preset = inspect_clips(tmp_path, clips, words, label=labels)
    assert preset["suggested"]["flags"] == "--min-clips-per-label 4"
    assert preset["suggested"]["max_seconds"] == 10
    assert preset["suggested"]["memory_mb"] <= MEMORY_BUDGET_MB
    assert preset["suggested"]["batch_size"] == 8


def test_nothing_is_suggested_for_a_class_of_recordings_of_silence(tmp_path: Path) -> None:
    clips = [encode_sound(make_tone(300 + 9 * n, 0.4), 16_000) for n in range(9)]
    labels = ["yes"] * 4 + ["no"] * 4 + ["_background_noise_"]
    flags = inspect_clips(tmp_path, clips, label=labels)["suggested"]["flags"]
    assert flags == "--max-seconds 0.5 --batch-size 32 --metric accuracy"


def test_a_column_name_with_a_blank_is_quoted_for_the_shell(tmp_path: Path) -> None:
    clips = [encode_sound(make_tone(300 + 50 * n, 0.5), 16_000) for n in range(4)]
    columns = {"label": ["a", "b"] * 2, "the speaker": ["x", "x", "y", "y"]}
    make_table(clips, **columns).to_parquet(str(tmp_path / "train-00000-of-00001.parquet"))
    found = open_scan(DataConfig(dataset=str(tmp_path), group_column="the speaker"))
    list(found.read())
    summary = summarize(found)
    assert "--group-column 'the speaker'" in format_summary(summary)
    write_html_report(tmp_path / "page.html", summary, found)
    assert "--group-column &#39;the speaker&#39;" in (tmp_path / "page.html").read_text("utf-8")


def test_near_duplicates_are_told_in_text_in_json_and_on_the_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    waves = [soxr.resample(rng.normal(0, 0.1, 1_500 + 100 * n), 1_000, 8_000) for n in range(6)]
    coded = encode_sound(soxr.resample(waves[2], 8_000, 22_050) / 2, 22_050, format="OGG")
    clips = [encode_sound(wave, 8_000) for wave in waves]
    (tmp_path / "data").mkdir()
    for split, own in (("train", clips), ("test", [coded, encode_sound(waves[0] / 4, 8_000)])):
        table = make_table(own, kind=["a", "b"] * (len(own) // 2))
        table.to_parquet(str(tmp_path / "data" / f"{split}-00000-of-00001.parquet"))
    found = open_scan(DataConfig(dataset=str(tmp_path), label_column="kind"))
    assert len(list(found.read())) == 1
    summary = summarize(found)
    near = summary["near_duplicates"]
    assert (near["num_pairs"], near["num_across_splits"]) == (2, 2)
    assert [pair["ids"] for pair in near["pairs"]] == [["train/0", "test/1"], ["train/2", "test/0"]]
    assert all(0.95 <= pair["likeness"] <= 1 for pair in near["pairs"])
    assert "train/2 ~ test/0" in format_summary(summary)
    assert json.loads(json.dumps(summary))["near_duplicates"] == near
    write_html_report(tmp_path / "page.html", summary, found)
    assert "train/2 ~ test/0 (train, test" in (tmp_path / "page.html").read_text("utf-8")


def test_groups_in_several_splits_are_found_without_being_asked_for(
    inspection: DatasetScan,
) -> None:
    groups = summarize(inspection)["groups"]
    assert groups == {"speaker": {"num_groups": 5, "num_splits": 2, "shared": ["s3"]}}


def test_a_group_column_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match="no column 'singer' for --group-column"):
        open_scan(DataConfig(dataset=str(folder), group_column="singer"))


def test_a_data_set_without_labels_is_inspected_all_the_same(tmp_path: Path) -> None:
    clip = encode_sound(make_tone(300, 0.5), 16_000)
    make_table([clip, clip]).to_parquet(str(tmp_path / "train-00000-of-00001.parquet"))
    found = open_scan(DataConfig(dataset=str(tmp_path)))
    list(found.read())
    summary = summarize(found)
    assert summary["classes"] == {}
    assert "No labels:" in format_summary(summary)
    write_html_report(tmp_path / "page.html", summary, found)
    assert (tmp_path / "page.html").read_text().count("<audio") == 2


def test_limits_of_the_settings_count_as_faults() -> None:
    clip = encode_sound(make_tone(300, 0.5), 16_000)
    assert scan_clip(clip, None, DataConfig()).error is None
    short, long = DataConfig(min_clip_seconds=0.6), DataConfig(max_clip_seconds=0.4)
    assert scan_clip(clip, None, short).error == "too short: 0.500 s"
    assert scan_clip(clip, None, long).error == "too long: 0.5 s"


def test_the_first_clips_come_evenly_from_the_whole() -> None:
    order = order_clips(10_000)
    assert sorted(order.tolist()) == list(range(10_000))
    first = order[:FIRST_CLIPS]
    assert (first[0], first[-1]) == (0, 9_999)
    assert np.diff(first).max() <= 51
    assert FIRST_CLIPS % CLIPS_AT_ONCE == 0
    for num_clips in (0, 1, 199, 201):
        assert sorted(order_clips(num_clips).tolist()) == list(range(num_clips))


def test_an_answer_before_the_end_says_that_it_is_not_the_whole(folder: Path) -> None:
    found = open_scan(DataConfig(dataset=str(folder), label_column="kind"))
    assert describe_durations(np.zeros(0)) == {}
    summary = summarize(found)
    assert not summary["is_complete"]
    assert (summary["num_read"], summary["num_clips"]) == (0, 13)
    assert summary["classes"][NAMES[0]]["train"] == 8
    assert summary["suggested"] == {}
    assert "13 clips, 0 read" in format_summary(summary)


@pytest.mark.parametrize(
    ("p95", "piece"), [(0.66, 1.0), (1.0, 1.0), (1.2, 1.5), (9.9, 10.0), (10.2, 11.0), (300, 30.0)]
)
def test_the_suggested_piece_holds_95_percent_of_the_clips(p95: float, piece: float) -> None:
    advice = suggest_settings(np.full(100, p95), {"a": 50, "b": 50})
    assert advice["max_seconds"] == piece
    assert 1 <= advice["batch_size"] <= LARGEST_BATCH
    assert advice["memory_mb"] <= MEMORY_BUDGET_MB
    assert f"--max-seconds {piece:g} --batch-size {advice['batch_size']}" in advice["flags"]


def test_unbalanced_classes_get_another_metric_and_weights() -> None:
    even = suggest_settings(np.ones(4), {"a": 10, "b": 20, "none": 0})
    assert (even["metric"], even["class_weights"]) == ("accuracy", {})
    uneven = suggest_settings(np.ones(4), {"a": 10, "b": 30, "none": 0})
    assert uneven["metric"] == "f1_macro"
    assert uneven["class_weights"] == {"a": 2.0, "b": 0.667}
    assert "class-weights" not in even["flags"]
    assert uneven["flags"].endswith("--metric f1_macro --class-weights balanced")


def test_several_labels_a_clip_get_their_own_metric_and_weights() -> None:
    several = suggest_settings(np.ones(4), {"a": 10, "b": 30}, is_multilabel=True)
    assert several["class_weights"] == {}
    assert several["flags"].endswith("--metric map --pos-weight auto")


def test_the_page_is_one_file_with_safe_names_and_clips_that_play(
    inspection: DatasetScan, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "page.html"
    write_html_report(path, summarize(inspection), inspection)
    page = path.read_text("utf-8")
    assert "tone &lt;b&gt;" in page
    assert "tone <b>" not in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert page.count("<rect") == 20
    players = re.findall(r'src="data:audio/wav;base64,([^"]+)"', page)
    assert len(players) == 6
    for text in players:
        wave, rate = soundfile.read(io.BytesIO(base64.b64decode(text)))
        assert rate in (8_000, 16_000)
        assert 1.0 <= len(wave) / rate <= 2.0


def test_the_script_writes_one_json_object_on_standard_output(folder: Path, tmp_path: Path) -> None:
    script, page = str(ROOT / "scripts" / "inspect.py"), str(tmp_path / "page.html")
    words = ["--dataset", str(folder), "--label-column", "kind", "--json", "--report", page]
    done = subprocess.run([sys.executable, script, *words], capture_output=True, check=True)
    summary = json.loads(done.stdout)
    assert summary["num_clips"] == 13
    assert list(summary["classes"]) == NAMES
    assert b"Reading" in done.stderr
    assert Path(page).is_file()


def test_a_mistake_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["--dataset", "/nowhere/at/all"])
    assert caught.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Error: There is no folder")
    assert shown.err.count("\n") == 1


def test_the_scripts_beside_it_still_find_the_library_of_its_name() -> None:
    scripts = str(ROOT / "scripts")
    code = f"import sys; sys.path.insert(0, {scripts!r}); sys.modules.pop('inspect', None)"
    code += "; import inspect; print(inspect.signature(len), inspect.__file__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("(obj, /)")
    assert scripts not in done.stdout


def test_the_first_answer_comes_before_the_whole_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [encode_sound(make_tone(200 + n, 0.05), 16_000) for n in range(300)]
    table = make_table(clips, label=["a", "b"] * 150)
    table.to_parquet(str(tmp_path / "train-00000-of-00001.parquet"))
    main.main(["--dataset", str(tmp_path)])
    shown = capsys.readouterr()
    assert "After 200 clips" in shown.err
    assert "300 clips, 200 read" in shown.err
    assert "300 clips, 300 read" in shown.out
    assert shown.out.count("Suggested:") == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--speed-range", "0.9,1.1"], (0.9, 1.1)),
        ([], None),
        (["--speed-range", "0.9"], "not LOW,HIGH"),
        (["--speed-range", "fast,slow"], "not LOW,HIGH"),
        (["--speed-range", "1.2,1.1"], "lower number first"),
    ],
)
def test_a_range_is_typed_as_one_word(
    words: list[str], expected: object, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[RunConfig] = []
    command = settings_command()(seen.append)
    if isinstance(expected, str):
        with pytest.raises(SystemExit):
            command.main(words)
        assert expected in capsys.readouterr().err
    else:
        command.main(words)
        assert seen[0].augment.speed_range == expected
