"""No clip and no group is in two splits: checked by hand, and on thousands of random data sets."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_datasets import make_wav
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.final_splits import DecodeResult, FinalSplits, cap_splits, finalize_splits
from audio_cls.data.labels.labels import UNUSABLE, parse_labels
from audio_cls.data.load import load_dataset
from audio_cls.data.prepare import prepare_clips
from audio_cls.data.splits.clip_index import ClipIndex, build_clip_index
from audio_cls.data.splits.kfold import with_folds
from audio_cls.data.splits.split_check import SHARED_GROUPS, check_splits, is_split_by_group
from audio_cls.data.splits.splits import make_splits
from audio_cls.errors import AudioClsError, DatasetError

Rng = np.random.Generator
KEYWORDS = ("yes", "no", "_silence_", "_unknown_")


def make_pool(count: int, **changes: Any) -> ClipIndex:  # noqa: ANN401
    """Make a pool of one given split with two classes."""
    ids = np.array([f"{number}.wav" for number in range(count)])
    pool = ClipIndex(np.arange(count) % 2, ids, None, None, {"train": np.arange(count)})
    return dataclasses.replace(pool, **changes)


def check(pool: ClipIndex, *, again: bool = False, **parts: list[int]) -> dict[str, Any]:
    """Check splits of these rows, of which every clip has a sound of its own."""
    rows = {role: np.array(own, dtype=np.int64) for role, own in parts.items()}
    sounds = np.arange(len(pool.ids)) if "sounds" not in parts else rows.pop("sounds")
    return check_splits(rows, pool, sounds, is_test_validation=again)


@pytest.mark.parametrize(
    ("checked", "verdict", "expected"),
    [(["groups", "ids"], "disjoint", True), (["ids"], "disjoint", False),
     (["groups"], f"{SHARED_GROUPS}: 2", False)],
)  # fmt: skip
def test_a_split_is_by_group_where_groups_are_known_and_not_shared(
    checked: list[str], verdict: str, *, expected: bool
) -> None:
    assert is_split_by_group({"checked": checked, "verdict": verdict}) is expected


def test_disjoint_splits_pass_and_the_record_says_what_was_checked() -> None:
    pool = make_pool(6, groups=np.array(["a", "a", "b", "b", "", ""]))
    assert check(pool, train=[0, 1, 4], validation=[2, 3], test=[5]) == {
        "verdict": "disjoint",
        "checked": ["audio", "groups", "ids"],
        "not_checked": {},
        "num_clips": {"train": 3, "validation": 2, "test": 1},
        "repeated_in_split": {"train": 0, "validation": 0, "test": 0},
        "shared": {
            "train+validation": {"ids": 0, "audio": 0, "groups": 0},
            "train+test": {"ids": 0, "audio": 0, "groups": 0},
            "validation+test": {"ids": 0, "audio": 0, "groups": 0},
        },
    }


def test_a_clip_in_two_splits_stops_the_run() -> None:
    with pytest.raises(DatasetError, match=r"1 clip is in both train and test \(2.wav\)"):
        check(make_pool(6), train=[0, 1, 2], validation=[3], test=[2, 4])


def test_one_id_in_two_rows_is_one_clip() -> None:
    pool = make_pool(4, ids=np.array(["a", "b", "a", "c"]))
    with pytest.raises(DatasetError, match=r"1 clip is in both train and validation \(a\)"):
        check(pool, train=[0, 1], validation=[2], test=[3])
    with pytest.raises(DatasetError, match="1 clip is more than once in the train split"):
        check(pool, train=[0, 2], validation=[1], test=[3])


def test_a_group_in_two_splits_stops_the_run_and_clips_without_one_do_not() -> None:
    pool = make_pool(6, groups=np.array(["a", "b", "c", "b", "", ""]))
    with pytest.raises(DatasetError, match=r"1 group is in both train and test \(b\).*leave"):
        check(pool, train=[0, 1, 4], validation=[2], test=[3, 5])
    assert check(pool, train=[0, 4], validation=[2], test=[3, 5])["verdict"] == "disjoint"


def test_groups_that_only_training_and_validation_share_are_reported() -> None:
    pool = make_pool(6, groups=np.array(["a", "b", "a", "b", "c", ""]))
    found = check(pool, train=[0, 1, 5], validation=[2], test=[4])
    assert found["verdict"] == "validation shares groups with training"
    assert found["shared"]["train+validation"]["groups"] == 1
    assert not is_split_by_group(found)
    with pytest.raises(DatasetError, match=r"1 group is in both train and validation \(a\)"):
        check(pool, train=[0, 1], validation=[2], test=[3])  # test shares one, too


def test_equal_sounds_and_recordings_are_counted() -> None:
    pool = make_pool(6, recordings=np.array(["hum", "", "hum", "", "", ""]))
    found = check(pool, train=[0, 1], validation=[2, 3], test=[4, 5], sounds=[7, 8, -1, -1, 7, 8])
    assert found["verdict"] == "equal audio in two splits"
    assert found["shared"]["train+test"] == {"ids": 0, "audio": 2, "recordings": 0}
    assert found["shared"]["train+validation"] == {"ids": 0, "audio": 0, "recordings": 1}
    assert found["not_checked"] == {"groups": "no --group-column or --group-pattern was given"}


def test_the_courses_recipe_is_recorded_as_such() -> None:
    found = check(make_pool(6), again=True, train=[0, 1], validation=[2, 3], test=[2, 3])
    assert found["verdict"] == "test is validation"
    assert found["shared"]["validation+test"]["ids"] == 2
    with pytest.raises(DatasetError, match="in both train and validation"):
        check(make_pool(6), again=True, train=[0, 2], validation=[2, 3], test=[2, 3])


def test_folds_that_part_a_group_are_refused() -> None:
    pool = make_pool(12, groups=np.array(list("ab") * 6), folds=np.array(list("123") * 4))
    cfg = DataConfig(fold_column="f", fold="1", group_column="g")
    splits = make_splits(pool, cfg)
    found = DecodeResult(np.ones(12, dtype=np.bool_), np.arange(12), {})
    with pytest.raises(DatasetError, match="leave --group-column and --group-pattern out, or"):
        finalize_splits(splits, cap_splits(splits, pool, cfg), pool, found, cfg)


# --- random data sets ---


def draw_labels(rng: Rng, count: int) -> NDArray[np.int64]:
    """Draw classes of unequal size, some of one clip, some clips without a label."""
    num_labels = int(rng.integers(2, 9))
    labels = rng.choice(num_labels, count, p=rng.dirichlet(np.full(num_labels, 0.7)))
    singles = int(rng.integers(0, 4))
    labels[:singles] = num_labels + np.arange(singles)
    labels = rng.permutation(labels)
    if rng.random() < 0.3:
        labels[rng.random(count) < 0.2] = UNUSABLE
    return labels.astype(np.int64)


def draw_given(rng: Rng, labels: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Draw which splits the data set has, and their sizes; some test splits have no label."""
    layouts = ["train", "train test", "train validation test", "train dev", "test", "full",
               "training val testing", "train test extra"]  # fmt: skip
    names = str(rng.choice(layouts)).split()
    edges = np.sort(rng.choice(np.arange(1, len(labels)), len(names) - 1, replace=False))
    given = dict(zip(names, np.split(np.arange(len(labels)), edges), strict=True))
    if "test" in given and len(given) > 1 and rng.random() < 0.2:
        labels[given["test"]] = UNUSABLE
    return given


def draw_groups(rng: Rng, count: int) -> NDArray[np.str_]:
    """Draw groups; some clips have none."""
    groups = rng.integers(0, int(rng.integers(1, 30)), count).astype(np.str_).astype("<U8")
    if rng.random() < 0.3:
        groups[rng.random(count) < 0.2] = ""
    return groups


def draw_settings(
    rng: Rng, given: dict[str, Any], groups: NDArray[np.str_] | None
) -> dict[str, Any]:
    """Draw how the clips are split."""
    settings: dict[str, Any] = {
        "split_seed": int(rng.integers(100)),
        "split_method": str(rng.choice(["stratified", "shuffled", "hash"])),
        "validation_size": float(rng.choice([0.1, 0.2, 0.5])),
        "test_size": float(rng.choice([0.1, 0.3, 0.5])),
        "deduplicate": bool(rng.random() < 0.3),
    }
    if rng.random() < 0.3:
        settings["test_split"] = str(rng.choice(["validation", *given]))
    if rng.random() < 0.15:
        settings["validation_split"] = str(rng.choice(list(given)))
    if rng.random() < 0.2:
        settings["max_train_samples"], settings["max_eval_samples"] = 12, 5
    if groups is not None:
        settings["group_column"] = "speaker"
        if rng.random() < 0.3:
            names = rng.permutation(np.unique(groups[groups != ""]))[:3].tolist()
            settings["test_groups"], settings["validation_groups"] = names[:1], names[1:2]
    elif rng.random() < 0.2:
        settings["fold_column"], settings["fold"] = "fold", str(rng.integers(1, 6))
    if rng.random() < 0.2 and not settings.get("test_groups") and "fold" not in settings:
        settings["folds"] = int(rng.integers(2, 6))
        settings["fold"] = str(rng.integers(1, settings["folds"] + 1))
    if "fold" in settings:
        settings["fold_validation"] = str(rng.choice(["next", "cut"]))
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}


def add_keywords(
    rng: Rng, pool: ClipIndex, settings: dict[str, Any]
) -> tuple[ClipIndex, dict[str, Any]]:
    """Make a keyword task of it: unknown words by share, and pieces of a few recordings."""
    labels = np.where(pool.labels > 3, 3, pool.labels)
    recordings = np.array([""] * len(labels), dtype="<U8")
    pieces = np.flatnonzero(labels == 2)
    recordings[pieces] = [f"hum{n}" for n in rng.integers(0, 4, len(pieces))]
    spotting: dict[str, Any] = {"unknown_share": 0.5, "silence_from": "_silence_"}
    settings = {**settings, **spotting}
    groups = None if pool.groups is None else np.where(recordings != "", "", pool.groups)
    return dataclasses.replace(
        pool, labels=labels, recordings=recordings, names=KEYWORDS, groups=groups
    ), settings


def write_lists(rng: Rng, folder: Path, pool: ClipIndex) -> dict[str, Any]:
    """Write lists of disjoint random clips; some roles have none."""
    rows = rng.permutation(len(pool.ids))
    for role, own in zip(("train", "validation", "test"), np.array_split(rows, 4), strict=False):
        if role == "train" or rng.random() < 0.8:
            (folder / f"{role}.txt").write_text("".join(f"{name}\n" for name in pool.ids[own]))
        else:
            (folder / f"{role}.txt").unlink(missing_ok=True)
    return {"split_files": str(folder)}


def draw_case(seed: int, folder: Path) -> tuple[ClipIndex, DataConfig, DecodeResult] | None:
    """Draw a data set, settings, and what decoding finds; None where settings contradict."""
    rng = np.random.default_rng(seed)
    labels = draw_labels(rng, count := int(rng.integers(12, 150)))
    given = draw_given(rng, labels)
    groups = draw_groups(rng, count) if rng.random() < 0.4 else None
    settings = draw_settings(rng, given, groups)
    ids = np.array([f"{n // 3:x}_nohash_{n}.wav" for n in range(count)])
    folds = rng.integers(1, 6, count).astype(np.str_) if "fold_column" in settings else None
    names = tuple(f"c{number}" for number in range(int(labels.max(initial=0)) + 1))
    pool = ClipIndex(labels, ids, groups, folds, given, names=names)
    if rng.random() < 0.2:
        pool, settings = add_keywords(rng, pool, settings)
    elif rng.random() < 0.2:
        marks = np.eye(len(names), dtype=np.float32)[labels] * (labels >= 0)[:, None]
        extra = rng.random(marks.shape) < 0.1
        pool = dataclasses.replace(pool, targets=np.maximum(marks, extra).astype(np.float32))
    if rng.random() < 0.1 and groups is None and not settings.keys() & {"folds", "fold_column"}:
        settings |= write_lists(rng, folder, pool)
    is_good = rng.random(count) > rng.choice([0, 0.05])
    faults = {str(name): "unreadable" for name in ids[~is_good]}
    sounds = np.where(rng.random(count) < 0.1, rng.integers(0, 10, count), 100 + np.arange(count))
    try:
        cfg = DataConfig(**settings)
        return with_folds(pool, cfg), cfg, DecodeResult(is_good, sounds, faults)
    except AudioClsError:
        return None


def verify(final: FinalSplits, pool: ClipIndex, cfg: DataConfig) -> None:
    """Every clip is used at most once, has a label, and no group is on two sides."""
    used = {role: pool.ids[rows].tolist() for role, rows in final.rows.items()}
    if final.splits.test_is_validation:
        assert cfg.test_split == "validation" and final.check["verdict"].startswith("test is")
        assert used.pop("test") == used["validation"]
    else:
        assert "test is validation" not in final.check["verdict"]
    every = collections.Counter(itertools.chain.from_iterable(used.values()))
    assert max(every.values()) == 1
    assert all(used.values())
    for rows in final.rows.values():
        assert (pool.labels[rows] != UNUSABLE).all()
    if pool.groups is not None:
        sides = [set(pool.groups[final.rows[role]].tolist()) - {""} for role in used]
        assert not any(one & two for one, two in itertools.combinations(sides, 2))
    for pair, counts in final.check["shared"].items():
        if pair != "validation+test" or not final.splits.test_is_validation:
            assert counts["ids"] == counts.get("groups", 0) == 0


def check_cases(seeds: range, folder: Path) -> collections.Counter[str]:
    """Split that many random data sets; count the outcomes."""
    outcomes: collections.Counter[str] = collections.Counter()
    for seed in seeds:
        case = draw_case(seed, folder)
        if case is None:
            outcomes["refused by settings"] += 1
            continue
        pool, cfg, found = case
        try:
            splits = make_splits(pool, cfg)
            rows = cap_splits(splits, pool, cfg)
            used = np.zeros(len(pool.ids), dtype=np.bool_)
            used[np.concatenate(list(rows.values()))] = True
            decoded = dataclasses.replace(found, is_usable=found.is_usable & used)
            final = finalize_splits(splits, rows, pool, decoded, cfg)
        except AudioClsError as error:
            assert "are in both" not in str(error) and "more than once" not in str(error)
            outcomes["refused"] += 1
            continue
        verify(final, pool, cfg)
        outcomes["split"] += 1
    return outcomes


def test_two_hundred_random_data_sets_share_nothing(tmp_path: Path) -> None:
    outcomes = check_cases(range(200), tmp_path)
    assert outcomes["split"] > 120, outcomes


@pytest.mark.long
def test_two_thousand_random_data_sets_share_nothing(tmp_path: Path) -> None:
    outcomes = check_cases(range(1000, 3000), tmp_path)
    assert outcomes["split"] > 1200, outcomes


def prepare_drawn_folder(seed: int, root: Path) -> None:
    """Write a small data set with copies and unreadable files, prepare it, compare the files."""
    rng = np.random.default_rng(seed)
    layout = str(rng.choice(["", "train test", "train validation test", "test"])).split() or [""]
    for split in layout:
        for number in range(int(rng.integers(10, 16))):
            label, speaker = rng.choice(["a", "b", "c"]), rng.integers(0, 5)
            path = root / split / label / f"{speaker}_{split}{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = make_wav(int(rng.integers(0, 60)))  # some are copies of others
            path.write_bytes(sound if rng.random() > 0.07 else b"no sound")
    settings: dict[str, Any] = {"max_bad_audio_ratio": 1.0, "deduplicate": bool(rng.random() < 0.5)}
    if rng.random() < 0.3:
        settings["group_pattern"] = r"(\d)_"
    if rng.random() < 0.3 and layout != ["test"]:
        settings["test_split"] = "validation"
    cfg = DataConfig(dataset=str(root), **settings)
    source = load_dataset(cfg)
    labels = parse_labels(source, cfg)
    pool = build_clip_index(source, labels, cfg)
    clips = prepare_clips(source, labels, pool, make_splits(pool, cfg), 16_000, cfg)
    used = {role: set(map(str, part.ids)) for role, part in clips.items()}
    if clips.splits.test_is_validation:
        assert used.pop("test") == used["validation"] and cfg.test_split == "validation"
    sounds = {role: {(root / name).read_bytes() for name in own} for role, own in used.items()}
    for one, two in itertools.combinations(used, 2):
        assert not used[one] & used[two]
        shared = clips.check["shared"][f"{one}+{two}"]
        assert shared["audio"] == len(sounds[one] & sounds[two]) and shared["ids"] == 0
        if cfg.group_pattern:
            speakers = [{Path(name).name[0] for name in used[role]} for role in (one, two)]
            assert not speakers[0] & speakers[1]
        if cfg.deduplicate:
            assert shared["audio"] == 0
    every = set().union(*used.values(), clips.bad)
    is_bad = {name: (root / name).read_bytes() == b"no sound" for name in every}
    assert set(clips.bad) == {name for name, bad in is_bad.items() if bad}


@pytest.mark.parametrize("seed", [1, 2])
def test_random_folders_share_nothing(seed: int, tmp_path: Path) -> None:
    prepare_drawn_folder(seed, tmp_path / "set")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 130))
def test_thirty_random_folders_share_nothing(seed: int, tmp_path: Path) -> None:
    prepare_drawn_folder(seed, tmp_path / "set")
