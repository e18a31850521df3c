"""Lists of clip ids: spelled with or without folder and suffix, from a folder or an address."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hub_server import HubServer

from audio_cls.data.splits import split_files as room
from audio_cls.data.splits.split_files import (
    PUBLISHED_SPLITS,
    PublishedSplit,
    load_split_files,
    match_ids,
    name_gtzan_clip,
)
from audio_cls.errors import DatasetError
from audio_cls.run_warnings import collect_warnings

LISTS = {"train": "a.wav\nb.wav\n", "validation": "c.wav\n", "test": "d.wav\n\n"}
SHA256 = hashlib.sha256(b"a.wav\nb.wav\nc.wav\nd.wav\n").hexdigest()


def write(folder: Path, names: dict[str, str]) -> Path:
    """Write one list a name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in names.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


@pytest.mark.parametrize("place", [".", "splits"])
def test_lists_are_read_from_a_folder_or_a_run(tmp_path: Path, place: str) -> None:
    write(tmp_path / place, LISTS)
    lists = load_split_files(str(tmp_path), SHA256)
    assert lists.ids == {"train": ["a.wav", "b.wav"], "validation": ["c.wav"], "test": ["d.wav"]}
    assert lists.sha256 == SHA256


def test_lists_may_be_named_as_gtzans_are(tmp_path: Path) -> None:
    names = {f"{k}_filtered": LISTS[r] for k, r in (("train", "train"), ("valid", "validation"))}
    assert set(load_split_files(str(write(tmp_path, names)), None).ids) == {"train", "validation"}


def test_any_word_of_a_lists_name_may_be_its_split_and_other_files_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The list of validation was passed over, and validation was cut from train."""
    names = {
        "train": "a.wav\n",
        "my_validation": "b.wav\n",
        "fold1-test": "c.wav\n",
        "notes": "x\n",
    }
    texts = collect_warnings()
    lists = load_split_files(str(write(tmp_path, names)), None)
    assert lists.ids == {"train": ["a.wav"], "validation": ["b.wav"], "test": ["c.wav"]}
    assert "not used: 1 .txt file whose name" in texts[0] and "notes.txt" in caplog.text


def test_other_lists_are_refused_by_their_hash(tmp_path: Path) -> None:
    write(tmp_path, {**LISTS, "test": "e.wav\n"})
    with pytest.raises(DatasetError, match=f"not {SHA256}"):
        load_split_files(str(tmp_path), SHA256)


@pytest.mark.parametrize("names", [{}, {"test": "a.wav\n"}, {"train": "\n"}, {"notes": "a.wav\n"}])
def test_a_place_without_a_training_list_is_refused(tmp_path: Path, names: dict[str, str]) -> None:
    with pytest.raises(DatasetError, match=r"no train\.txt"):
        load_split_files(str(write(tmp_path, names)), None)


def test_two_lists_for_one_split_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {**LISTS, "valid_filtered": "e.wav\n"})
    with pytest.raises(DatasetError, match="two lists for validation"):
        load_split_files(str(tmp_path), None)


def test_lists_are_fetched_by_address(one_hub: HubServer) -> None:
    one_hub.seed("models", "lists/plain", {f"{k}.txt": v for k, v in LISTS.items()})
    base = f"{one_hub.url}/lists/plain/resolve/main"
    assert load_split_files(base, SHA256).ids["validation"] == ["c.wav"]
    names = {f"x/{k}_filtered.txt": v for k, v in {**LISTS, "valid": LISTS["validation"]}.items()}
    names.pop("x/validation_filtered.txt")
    one_hub.seed("models", "lists/gtzan", names)
    address = f"{one_hub.url}/lists/gtzan/resolve/main/x/{{split}}_filtered.txt"
    assert load_split_files(address, SHA256).sha256 == SHA256


def test_an_address_that_fails_is_one_line(one_hub: HubServer) -> None:
    one_hub.seed("models", "lists/nothing", {})
    with pytest.raises(DatasetError, match=r"no train\.txt"):
        load_split_files(f"{one_hub.url}/lists/nothing/resolve/main", None)
    with pytest.raises(DatasetError, match="cannot be fetched"):
        load_split_files("http://127.0.0.1:9/lists", None)
    one_hub.fail(method="GET", path_part="lists/busy", status=503)
    with pytest.raises(DatasetError, match="503"):
        load_split_files(f"{one_hub.url}/lists/busy", None)


@pytest.mark.parametrize(
    ("ids", "listed"),
    [
        (["blues.00000.wav", "blues.00029.wav"], "blues.00029.wav"),
        (["blues.00000.wav", "blues.00029.wav"], "blues/blues.00029.wav"),
        (["blues.00000", "blues.00029"], "blues/blues.00029.wav"),
        (["blues/blues.00000.wav", "blues/blues.00029.wav"], "blues.00029"),
        (["blues/blues.00000.flac", "blues/blues.00029.flac"], "blues\\blues.00029.wav"),
        (["train/0", "train/1"], "train/1"),
    ],
)
def test_ids_are_found_whatever_their_folder_and_suffix(ids: list[str], listed: str) -> None:
    assert match_ids({"train": [listed]}, np.array(ids))["train"].tolist() == [1]


def test_clips_of_one_base_name_are_told_apart_by_their_folder() -> None:
    ids = np.array(["no/a.wav", "yes/a.wav"])
    rows = match_ids({"train": ["yes/a"], "test": ["no/a"]}, ids)
    assert rows["train"].tolist() == [1] and rows["test"].tolist() == [0]
    with pytest.raises(DatasetError, match="none of the 1 listed clip "):
        match_ids({"train": ["a.wav"]}, ids)


def test_the_order_of_a_list_is_kept() -> None:
    assert match_ids({"train": ["c", "a"]}, np.array(["a", "b", "c"]))["train"].tolist() == [2, 0]


def test_listed_clips_that_are_not_there_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    rows = match_ids({"train": ["a", "jazz.00054"], "test": ["b"]}, np.array(["a", "b"]))
    assert rows["train"].tolist() == [0]
    assert "1 of 3 listed clips is not in the data set: jazz.00054" in caplog.text


def test_a_clip_in_two_lists_is_refused() -> None:
    with pytest.raises(DatasetError, match="'a' is listed twice, in train and in test"):
        match_ids({"train": ["a", "b"], "test": ["a"]}, np.array(["a", "b"]))


def test_gtzans_lists_have_a_name_and_are_checked(
    one_hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"train": "      30\n     555\n", "valid": "     1\n", "test": "    13\n  1000"}
    one_hub.seed("models", "lists/faults", {f"{k}_filtered.txt": v for k, v in names.items()})
    address = f"{one_hub.url}/lists/faults/resolve/main/{{split}}_filtered.txt"
    sha256 = hashlib.sha256(b"30\n555\n1\n13\n1000\n").hexdigest()
    known = PublishedSplit(address, sha256, name_gtzan_clip)
    monkeypatch.setattr(room, "PUBLISHED_SPLITS", {"gtzan-fault-filtered": known})
    lists = load_split_files("gtzan-fault-filtered", None)
    assert lists.ids == {
        "train": ["blues.00029", "jazz.00054"],
        "validation": ["blues.00000"],
        "test": ["blues.00012", "rock.00099"],
    }
    ids = np.array(["blues.00012.wav", "blues.00029.wav", "blues.00000.wav", "rock.00099.wav"])
    assert match_ids(lists.ids, ids)["test"].tolist() == [0, 3]
    one_hub.seed("models", "lists/faults", {"test_filtered.txt": "14\n"})
    with pytest.raises(DatasetError, match=f"not {sha256}"):
        load_split_files("gtzan-fault-filtered", None)


def test_known_lists_are_pinned() -> None:
    for known in PUBLISHED_SPLITS.values():
        assert len(known.sha256) == 64 and "/master/" not in known.address
