"""Tests of audio_cls.data.streaming.clips and dataset."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import prepared
import pyarrow.parquet as pq
import pytest
from datasets import Audio, ClassLabel, Dataset
from hub_datasets import languages, make_table, seed_script
from hub_server import HubServer
from sounds import encode_sound, make_tone

from audio_cls.audio.augmentation.augmenter import make_augmenter
from audio_cls.audio.waveform import decode_wave
from audio_cls.config import AudioConfig, AugmentConfig, DataConfig, RunConfig
from audio_cls.data.loading.sampler import SamplingSpec, StepShape
from audio_cls.data.prepare import PreparedClips
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.data.training_loader import ProcessContext, make_train_loader
from audio_cls.errors import DatasetError, SettingError

RATE = 8_000
LABELS = ["low", "high"]
PER_SHARD, PER_GROUP = 14, 5


def make_cells(count: int, start: int = 0) -> dict[str, list[Any]]:
    """Make clips of two classes at 16 kHz, 0.1 to 0.2 s; each another sound."""
    numbers = range(start, start + count)
    tones = [make_tone(300 + 900 * (n % 2), 0.1 + 0.01 * (n % 10), seed=n) for n in numbers]
    sounds = [
        {"bytes": encode_sound(t, 16_000), "path": f"c{n}.wav"}
        for n, t in zip(numbers, tones, strict=True)
    ]
    return {"audio": sounds, "label": [n % 2 for n in numbers]}


def write_shard(cells: Mapping[str, list[Any]], *, is_text: bool = False) -> bytes:
    """Make parquet of small row groups, as `push_to_hub` writes it."""
    table: Dataset = make_table(cells).cast_column("audio", Audio())
    if is_text:
        names = [LABELS[n] for n in cells["label"]]
        table = table.remove_columns("label").add_column("label", names)
    else:
        table = table.cast_column("label", ClassLabel(names=LABELS))
    buffer = io.BytesIO()
    schema = table.features.arrow_schema
    arrow = table.data.table.replace_schema_metadata(dict(schema.metadata))
    pq.write_table(arrow, buffer, row_group_size=PER_GROUP)
    return buffer.getvalue()


def make_files(*, is_text: bool = False, broken: tuple[int, ...] = ()) -> dict[str, bytes]:
    """Make three shards of training clips, and one of validation and of test."""
    files = {}
    for shard in range(3):
        cells = make_cells(PER_SHARD, shard * PER_SHARD)
        for number in broken:
            if number // PER_SHARD == shard:
                cells["audio"][number % PER_SHARD]["bytes"] = b"no sound"
        files[f"data/train-0000{shard}-of-00003.parquet"] = write_shard(cells, is_text=is_text)
    for place, split in enumerate(("validation", "test")):
        cells = make_cells(6, 1000 * (place + 1))
        files[f"data/{split}-00000-of-00001.parquet"] = write_shard(cells, is_text=is_text)
    return files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of such shards; clip 8 is broken."""
    root = tmp_path_factory.mktemp("shards")
    (root / "data").mkdir()
    for name, content in make_files(broken=(8,)).items():
        (root / name).write_bytes(content)
    return root


def prepare(dataset: str | Path, **settings: Any) -> PreparedClips:  # noqa: ANN401
    """Go the whole way to clips, the training ones streamed."""
    settings = {"streaming": True, "shuffle_buffer": 16, **settings}
    return prepared.prepare(dataset, RATE, **settings).clips


def encode(waves: Any) -> dict[str, Any]:  # noqa: ANN401
    """Pad waves with zeros."""
    import torch

    return {
        "waves": torch.nn.utils.rnn.pad_sequence([torch.from_numpy(w) for w in waves], True)  # noqa: FBT003
    }


def collect(
    clips: StreamClips,
    folder: Path,
    *,
    workers: int = 0,
    processes: int = 1,
    **augment: Any,  # noqa: ANN401
) -> Iterator[tuple[int, Any]]:
    """Yield (rank, batch) of one pass, as each process hears it."""
    augmenter = make_augmenter(AugmentConfig(**augment), RATE, 2)
    for rank in range(processes):
        own = dataclasses.replace(clips, reader=dataclasses.replace(clips.reader))
        feed = make_train_loader(
            own,
            encode,
            SamplingSpec(),
            ProcessContext(StepShape(4, 1, processes), rank, 0, workers, folder),
            AudioConfig(max_seconds=0.15),
            augmenter,
        )
        for step in feed.sampler.group_steps(feed.loader):
            yield from ((rank, batch) for batch in step)


def to_content(batches: Iterator[tuple[int, Any]]) -> list[Any]:
    """Return what is in batches, for comparison."""
    return [
        (
            rank,
            b.numbers.tolist(),
            b.weights.tolist(),
            b.labels.tolist(),
            b.inputs["waves"].tolist(),
        )
        for rank, b in batches
    ]


def test_a_streamed_clip_is_decoded_as_a_prepared_one(folder: Path) -> None:
    train = prepare(folder).train
    assert isinstance(train, StreamClips) and len(train) == 3 * PER_SHARD
    for number in (0, 13, 14, 41):
        cell = make_cells(1, number)["audio"][0]
        wave = decode_wave(cell["bytes"], None, RATE)
        assert train.lengths[number] == len(wave)
        np.testing.assert_array_equal(train.read_wave(number, 0, len(wave)), wave)
        assert train.read_label(number) == number % 2


def test_evaluation_splits_are_complete_and_in_order(folder: Path) -> None:
    clips = prepare(folder)
    assert clips.validation.ids.tolist() == [f"c{n}.wav" for n in range(1000, 1006)]
    assert clips.test.ids.tolist() == [f"c{n}.wav" for n in range(2000, 2006)]
    assert clips.test.labels.tolist() == [0, 1] * 3


@pytest.mark.parametrize("augment", [{}, {"mixup_alpha": 0.4, "time_masks": 1, "gain_db": 6}])
def test_workers_change_nothing(folder: Path, tmp_path: Path, augment: dict[str, Any]) -> None:
    train = prepare(folder).train
    assert isinstance(train, StreamClips)
    alone = to_content(collect(train, tmp_path, **augment))
    assert alone == to_content(collect(train, tmp_path, workers=2, **augment))
    first = alone[0][3]
    assert isinstance(first[0], list) is bool(augment)


def test_a_transform_of_the_user_works_in_workers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stream_augment.py").write_text(
        "def louder(sampling_rate):\n    return lambda wave, rng: wave * rng.uniform(2, 3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    train = prepare(folder).train
    assert isinstance(train, StreamClips)
    own = {"augment": ("stream_augment:louder",)}
    alone = to_content(collect(train, tmp_path, **own))
    assert alone == to_content(collect(train, tmp_path, workers=2, **own))
    plain = to_content(collect(train, tmp_path))
    ratios = [
        np.abs(one).max() / np.abs(other).max()
        for (*_, loud), (*_, quiet) in zip(alone, plain, strict=True)
        for one, other in zip(loud, quiet, strict=True)
        if np.any(other)
    ]
    assert 2 <= min(ratios) < max(ratios) <= 3.0001


def test_two_processes_of_two_workers_have_three_shards_once(
    data_hub: HubServer, tmp_path: Path
) -> None:
    data_hub.seed("datasets", "large/set", make_files())
    train = prepare("large/set").train
    assert isinstance(train, StreamClips)
    drawn: dict[int, list[int]] = {0: [], 1: []}
    for rank, batch in collect(train, tmp_path, workers=2, processes=2):
        drawn[rank] += [n for n, w in zip(batch.numbers, batch.weights, strict=True) if w > 0]
    assert sorted(map(int, drawn[0] + drawn[1])) == list(range(3 * PER_SHARD))
    assert len(drawn[0]) == len(drawn[1])


def test_a_broken_clip_is_left_out_and_listed(folder: Path, tmp_path: Path) -> None:
    clips = prepare(folder)
    assert isinstance(clips.train, StreamClips)
    run = tmp_path / "run"
    run.mkdir()
    drawn = [
        int(n)
        for _, batch in collect(clips.train, run)
        for n, w in zip(batch.numbers, batch.weights, strict=True)
        if w > 0
    ]
    assert sorted(drawn) == [n for n in range(3 * PER_SHARD) if n != 8]
    (found,) = clips.read_bad(run).items()
    assert found[0] == "c8.wav" and found[1].startswith("unreadable")
    clips.save(run)
    assert "c8.wav,unreadable" in (run / "bad_audio.csv").read_text()
    assert not (run / "splits" / "train.txt").exists()


def test_too_many_broken_clips_stop_the_run(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name, content in make_files(broken=tuple(range(0, 42, 2))).items():
        (tmp_path / name).write_bytes(content)
    train = prepare(tmp_path).train
    assert isinstance(train, StreamClips)
    with pytest.raises(DatasetError, match=r"streamed clips cannot be used.*--max-bad-audio-ratio"):
        list(collect(train, tmp_path))
    with pytest.raises(DatasetError, match=r"--bad-audio skip"):
        list(collect(prepare(tmp_path, bad_audio="fail").train, tmp_path))  # type: ignore[arg-type]


def test_classes_written_as_words_must_be_named(data_hub: HubServer) -> None:
    data_hub.seed("datasets", "words/set", make_files(is_text=True))
    with pytest.raises(DatasetError, match=r"--keep-labels.*have high, low"):
        prepare("words/set")
    train = prepare("words/set", keep_labels=("low", "high")).train
    assert isinstance(train, StreamClips)
    assert [train.read_label(n) for n in range(4)] == [0, 1, 0, 1]


def test_only_evaluation_files_are_downloaded(data_hub: HubServer, tmp_path: Path) -> None:
    files = make_files()
    data_hub.seed("datasets", "lazy/set", files)
    from huggingface_hub.constants import HF_HUB_CACHE

    prepare("lazy/set")
    stored = [p.name for p in Path(HF_HUB_CACHE).glob("datasets--lazy--set/snapshots/*/data/*")]
    assert stored and not [name for name in stored if name.startswith("train")]


def test_a_script_repository_is_streamed_from_its_copy(data_hub: HubServer) -> None:
    seed_script(languages("aa", "bb"))(data_hub, "stream/fleurs")
    with pytest.raises(DatasetError, match="several configurations"):
        prepare("stream/fleurs")
    clips = prepare("stream/fleurs", dataset_config="all", label_column="lang_id")
    assert len(clips.train) == len(clips.test) == 12


def test_nothing_is_cut_from_a_stream(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name, content in make_files().items():
        if "test" not in name:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=r"makes no.*no split for test.*--test-split valid"):
        prepare(tmp_path)
    clips = prepare(tmp_path, test_split="validation")
    assert clips.test.ids.tolist() == clips.validation.ids.tolist()
    with pytest.raises(SettingError, match="The split 'train' is the training split"):
        prepare(folder, test_split="train")


def test_clips_in_files_are_not_streamed(tone_folder: Path) -> None:
    with pytest.raises(DatasetError, match="only these can be streamed"):
        prepare(tone_folder)


def test_what_needs_all_clips_is_refused_at_once() -> None:
    with pytest.raises(SettingError, match=r"cannot be used with --folds, --deduplicate"):
        DataConfig(streaming=True, folds=5, deduplicate=True)
    with pytest.raises(SettingError, match="--streaming needs --max-steps"):
        RunConfig.from_flat({"streaming": True})
