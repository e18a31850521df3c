"""Tests of audio_cls.data.inspection and of the command `inspect`."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from accelerate.state import AcceleratorState
from click.testing import CliRunner
from datasets import ClassLabel
from sounds import encode_sound, make_noise, make_table, make_tone

from audio_cls.cli.inspect import check_settings, main
from audio_cls.cli.options.config_options import settings_command
from audio_cls.cli.train import main as train_command
from audio_cls.config import DataConfig, RunConfig
from audio_cls.data.inspection.html_report import write_html_report
from audio_cls.data.inspection.scan import (
    DatasetScan,
    open_scan,
    scan_clip,
)
from audio_cls.data.inspection.suggestions import LARGEST_BATCH, MEMORY_BUDGET_MB, suggest_settings
from audio_cls.data.inspection.summary import describe_durations, summarize
from audio_cls.data.inspection.text_report import format_summary
from audio_cls.data.keyword_spotting.relabel import relabel_keywords
from audio_cls.data.labels.labels import parse_labels
from audio_cls.data.load import load_dataset
from audio_cls.data.splits.clip_index import build_clip_index
from audio_cls.data.splits.splits import make_splits
from audio_cls.errors import AudioClsError, DatasetError

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
    assert "1 with another label" in " ".join(text.split())
    assert "train/2 (a) = train/3 (b) = train/4 (a)" in text


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
        "--method auto --max-seconds 0.5 --batch-size 8 --metric accuracy --min-clips-per-label 3"
    )
    words = "--preset language-id --label-column label"
    preset = inspect_clips(tmp_path, clips, words, label=labels)
    assert preset["suggested"]["flags"] == "--min-clips-per-label 3"
    assert preset["suggested"]["max_seconds"] == 10
    assert preset["suggested"]["memory_mb"] is None  # the preset has another model
    assert preset["suggested"]["batch_size"] == 8


def test_nothing_is_suggested_for_a_class_of_recordings_of_silence(tmp_path: Path) -> None:
    clips = [encode_sound(make_tone(300 + 9 * n, 0.4), 16_000) for n in range(9)]
    labels = ["yes"] * 4 + ["no"] * 4 + ["_background_noise_"]
    flags = inspect_clips(tmp_path, clips, label=labels)["suggested"]["flags"]
    assert flags == "--method auto --max-seconds 0.5 --batch-size 8 --metric accuracy"


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
    expected = {"num_groups": 5, "num_splits": 2, "can_split": True, "shared": ["s3"]}
    assert groups == {"speaker": expected}


def test_groups_that_are_classes_are_not_proposed(tmp_path: Path) -> None:
    clips = [encode_sound(make_tone(300 + 9 * n, 0.3), 16_000) for n in range(12)]
    found = inspect_clips(tmp_path, clips, label=["a", "b"] * 6, speaker=["x", "y"] * 6)
    text = " ".join(format_summary(found, found["command"]).split())
    assert "2 values of 'speaker'. Most classes have only one of them: no split by group" in text
    assert "--group-column" not in text


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


@pytest.mark.parametrize(
    ("num_clips", "batch"), [(4, 8), (319, 8), (320, 16), (640, 32), (10**5, 32)]
)
def test_few_clips_get_a_small_batch_and_the_method_auto(num_clips: int, batch: int) -> None:
    advice = suggest_settings(np.ones(num_clips), {"a": num_clips // 2, "b": num_clips // 2})
    assert advice["batch_size"] == batch
    assert ("--method auto" in advice["flags"]) is (num_clips <= 5000)
    recipe = suggest_settings(np.ones(num_clips), {"a": 2, "b": 2}, chosen={"epochs": 3})
    assert "--method" not in recipe["flags"]


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


def test_the_report_is_printed_once_and_ends_with_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [encode_sound(make_tone(200 + n, 0.05), 16_000) for n in range(300)]
    table = make_table(clips, label=["a", "b"] * 150)
    table.to_parquet(str(tmp_path / "train-00000-of-00001.parquet"))
    main.main(["--dataset", str(tmp_path)])
    shown = capsys.readouterr()
    assert shown.out.count("300 clips, 300 read") == 1 and "clips, " not in shown.err
    last = shlex.split(shown.out.splitlines()[-1])
    assert last[last.index("train") + 1 :][:4] == [
        *("--dataset", str(tmp_path), "--label-column", "label")
    ]


def write_folder(folder: Path, names: Sequence[str], seconds: float = 0.2) -> list[str]:
    """Write a short tone for each name, and return the words of the command that inspect ends with.

    No line before it may have more than 80 columns.
    """
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_sound(make_tone(200 + 3 * number, seconds), 8_000))
    result = CliRunner().invoke(main, ["--dataset", str(folder)])
    assert result.exit_code == 0, result.output
    assert all(len(line) <= 80 for line in result.stdout.splitlines()[:-1]), result.stdout
    return shlex.split(result.stdout.splitlines()[-1])


def test_speakers_at_the_start_of_file_names_are_in_the_command(tmp_path: Path) -> None:
    words = ("yes", "no", "stop")
    names = [f"{w}/{s}_{w}_{n}.wav" for w in words for s in ("al", "bo", "cy", "di") for n in "01"]
    command = write_folder(tmp_path / "my clips", names)
    pattern = command[command.index("--group-pattern") + 1]
    assert {re.search(pattern, name)[1] for name in names} == {"al", "bo", "cy", "di"}  # type: ignore[index]
    assert command[command.index("--dataset") + 1].endswith("/my clips")
    cfg = RunConfig.from_flat({"dataset": str(tmp_path / "my clips"), "group_pattern": pattern})
    dataset = load_dataset(cfg.data)
    index = build_clip_index(dataset, parse_labels(dataset, cfg.data), cfg.data)
    parts = dict(make_splits(index, cfg.data).items())
    assert index.groups is not None
    groups = [set(index.groups[rows].tolist()) for rows in parts.values()]
    assert all(groups) and sum(map(len, groups)) == 4


@pytest.mark.parametrize(
    "names",
    [
        [f"{kind}/{kind}_{n}.wav" for kind in ("dog", "cat") for n in range(9)],  # the label
        [f"{kind}/{n}_x.wav" for kind in ("dog", "cat") for n in range(9)],  # a number
        [f"{kind}/take_{n}.wav" for kind in ("dog", "cat") for n in range(9)],  # one word
        [f"{kind}/train_{n}.wav" for kind in ("dog", "cat") for n in range(9)],
        [f"{kind}/{kind}{n}.wav" for kind in ("dog", "cat") for n in range(9)],
    ],
)
def test_other_parts_of_file_names_are_no_speakers(names: list[str], tmp_path: Path) -> None:
    command = write_folder(tmp_path, names)
    assert "--group-pattern" not in command and "--dataset" in command


def test_of_many_classes_the_largest_smallest_and_rare_ones_are_named(tmp_path: Path) -> None:
    sizes = {f"c{n:02d}": 5 for n in range(20)} | {"big": 12, "few": 2, "one": 1, "uno": 1}
    names = [f"{name}/{n}.wav" for name, size in sizes.items() for n in range(size)]
    for number, name in enumerate(names):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_sound(make_tone(200 + 3 * number, 0.2), 8_000))
    out = CliRunner().invoke(main, ["--dataset", str(tmp_path)]).stdout
    table = out.split("\n\n")[0].splitlines()
    assert len(table) == 19 and table[2].split() == ["big", "12"], out
    assert table[12].startswith("(9 more classes)") and table[-2].split() in (
        ["one", "1"],
        ["uno", "1"],
    )
    text = " ".join(out.split())
    assert (
        "2 of 24 classes have one clip, which can be trained on or tested, not both: one, uno."
        in text
    )
    assert "1 of 24 classes has 2 clips: few." in text
    assert out.splitlines()[-1].endswith(
        "--metric f1_macro --min-clips-per-label 3 --class-weights balanced"
    )


def test_one_very_long_recording_is_named(tmp_path: Path) -> None:
    clips = [encode_sound(make_tone(200 + 9 * n, 0.5, 8_000), 8_000) for n in range(8)]
    clips.append(encode_sound(make_tone(400, 90.0, 8_000), 8_000))
    found = inspect_clips(tmp_path, clips, label=["a", "b", "a", "b", "a", "b", "a", "b", "a"])
    assert found["long_clips"]["clips"] == [{"id": "train/8", "seconds": 90.0}]
    assert found["long_clips"]["share"] == pytest.approx(90 / 94, abs=1e-4)
    assert "Long clips: 1 with 96 % of all audio: train/8 (90 s)." in format_summary(found)


def test_folds_come_before_groups_in_the_command(tmp_path: Path) -> None:
    clips = [encode_sound(make_tone(200 + 9 * n, 0.3), 8_000) for n in range(24)]
    columns = {"fold": [n % 3 + 1 for n in range(24)], "speaker": [f"s{n % 6}" for n in range(24)]}
    found = inspect_clips(tmp_path, clips, label=["a", "b"] * 12, **columns)
    assert found["command"].endswith("--metric accuracy --fold-column fold --folds 3")
    assert "Not used: column 'fold' (3 folds)." in format_summary(found)


def test_a_label_column_that_is_not_there_ends_before_the_clips_are_read(folder: Path) -> None:
    result = CliRunner().invoke(main, ["--dataset", str(folder), "--label-column", "kinds"])
    assert result.exit_code == 2 and result.stdout == ""
    assert "There is no column 'kinds'" in result.output and "Did you mean kind?" in result.output


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ("--group-pattern '(no match)'", "--group-pattern (no match) finds no group in 13 of 13"),
        ("--group-pattern kind", "--group-pattern kind has no (...) group"),
        ("--label-pattern '('", "--label-pattern ( is not a valid regular expression"),
        ("--label-pattern '(zzz)'", "--label-pattern (zzz) finds no label in any of 13 clips"),
        ("--keywords stop", "--keywords: there is no label 'stop'"),
        ("--unknown-from stop", "--unknown-from: there is no label 'stop'"),
        ("--silence-from stop", "--silence-from 'stop' is neither a folder nor a label"),
        ("--drop-labels stop", "--drop-labels: there is no label 'stop'"),
        ("--group-column speaker --test-groups s77", "--test-groups: there is no group 's77'"),
        ("--train-split training", "'training'"),
        ("--fold-column singer --folds 2", "There is no column 'singer' for --fold-column"),
    ],
)
def test_inspect_refuses_the_settings_that_training_refuses(
    folder: Path, settings: str, text: str
) -> None:
    words = [*shlex.split(settings), "--dataset", str(folder)]
    with pytest.raises(SystemExit) as caught:
        main.main(words)
    assert caught.value.code == 2
    cfg = DataConfig(**parse_settings(words))
    with pytest.raises(AudioClsError, match=re.escape(text)):
        dataset = relabel_keywords(load_dataset(cfg), cfg)
        make_splits(build_clip_index(dataset, parse_labels(dataset, cfg), cfg), cfg)
    with pytest.raises(DatasetError, match=re.escape(text)):
        check_settings(open_scan(cfg), cfg, parse_settings(words))


def parse_settings(words: list[str]) -> dict[str, Any]:
    """Return the settings of the data that these words of a command line give."""
    values = dict(zip(words[::2], words[1::2], strict=True))
    lists = ("--keywords", "--unknown-from", "--drop-labels", "--test-groups")
    return {
        flag[2:].replace("-", "_"): (text,) if flag in lists else int(text) if text == "2" else text
        for flag, text in values.items()
    }


def test_the_report_says_why_training_would_stop_instead_of_a_command(tmp_path: Path) -> None:
    clips = [encode_sound(make_tone(300 + 9 * n, 0.3), 16_000) for n in range(12)] + [b"", b"x"]
    found = inspect_clips(tmp_path, clips, label=["a", "b"] * 7)
    text = " ".join(format_summary(found, found["command"]).split())
    assert "14 clips, 14 read, 2 of them unusable" in text
    assert "No command, as training would stop: 2 of 14 clips cannot be used" in text
    assert text.endswith("allow them with --max-bad-audio-ratio 0.15") and not found["command"]
    allowed = inspect_clips(tmp_path, clips, "--max-bad-audio-ratio 0.15", label=["a", "b"] * 7)
    assert allowed["train_error"] is None and "--max-bad-audio-ratio 0.15" in allowed["command"]


def test_the_command_is_for_the_given_model_and_keeps_what_was_typed(tmp_path: Path) -> None:
    clips = [encode_sound(make_tone(300 + 9 * n, 0.3), 16_000) for n in range(12)]
    typed = "--model openai/whisper-base --min-clip-seconds 0 --group-column who --test-groups x"
    found = inspect_clips(tmp_path, clips, typed, label=["a", "b"] * 6, who=["x", "y", "z"] * 4)
    assert found["train_error"] is None
    for words in typed.split(" --")[1:]:
        assert words in found["command"]
    assert "--batch-size" not in found["command"]
    text = format_summary(found, found["command"])
    assert "To train openai/whisper-base:" in text and "DistilHuBERT" not in text


def test_inspect_without_a_data_set_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main([])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("Error: No data set was given.")


@pytest.mark.slow
@pytest.mark.parametrize("case", ["speakers", "folds", "blank"])
def test_the_printed_command_runs(case: str, tmp_path: Path) -> None:
    data = tmp_path / "my data"
    if case == "speakers":
        names = [f"{w}/{s}_{w}_{n}.wav" for w in ("yes", "no") for s in "abcd" for n in "0123"]
        command = write_folder(data, names)
    else:
        data.mkdir()
        clips = [encode_sound(make_tone(200 + 9 * n, 0.3), 16_000) for n in range(32)]
        extra: dict[str, Any] = {"fold": [n % 4 // 2 + 1 for n in range(32)]}
        extra = extra if case == "folds" else {"src_file": [f"r {n // 4}" for n in range(32)]}
        extra["the kind"] = ["x y", "b"] * 16
        command = shlex.split(
            inspect_clips(data, clips, "--label-column 'the kind'", **extra)["command"]
        )
    words = command[command.index("train") + 1 :]
    words += ["--model", "builtin:tiny_model", "--from-scratch", "--max-steps", "1"]
    words += ["--output-dir", str(tmp_path / "run"), "--log", "quiet", "--eval-batch-size", "4"]
    words += ["--method", "fine-tune"]  # auto needs a pretrained model
    AcceleratorState._reset_state(reset_partial_state=True)  # type: ignore[no-untyped-call]
    done = CliRunner().invoke(train_command, words)
    assert done.exit_code == 0, done.output
    assert list((tmp_path / "run").rglob("results.json"))


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
