"""Repositories of the Hub, laid out like the real ones: the right one is read, or the error helps.

hub_table.py has the table of audio data sets people name today.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import huggingface_hub
import pytest
from datasets import Dataset
from hub_datasets import CONVERT, TRAIN, languages, load, make_wav, one_file, seed_main, seed_script
from hub_layouts import COMMON_VOICE, GENRES, GTZAN_FILE, LAYOUTS, MINDS, VOICE_CARD
from hub_server import HubServer
from hub_table import CASES, Case

from audio_cls.config import DataConfig
from audio_cls.data.labels.find_column import find_label_column
from audio_cls.data.labels.labels import UNUSABLE, parse_labels
from audio_cls.data.sources.parquet.hub_copy import KNOWN_COPIES, suggest_copy
from audio_cls.data.splits.clip_index import build_clip_index
from audio_cls.data.splits.splits import make_splits
from audio_cls.errors import DatasetError

pytestmark = pytest.mark.usefixtures("data_hub")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_one_line_call_works_or_says_what_to_call(data_hub: HubServer, case: Case) -> None:
    LAYOUTS[case.id](data_hub, case.id)
    if case.advice:
        with pytest.raises(DatasetError, match=re.escape(case.advice)):
            parse_labels(load(case.id, **case.settings), DataConfig(**case.settings))
        return
    source = load(case.id, **case.settings)
    labels = parse_labels(source, DataConfig(**case.settings))
    assert labels.column == case.column and labels.names == case.names
    assert all((ids != UNUSABLE).all() for ids in labels.ids.values())
    assert len(source.revision) == 40 and not source.is_local
    cell = next(iter(source.splits.values()))[0][source.audio_column]
    assert cell["bytes"] or cell["path"]
    splits = make_splits(
        build_clip_index(source, labels, DataConfig(test_size=0.34, validation_size=0.34)),
        DataConfig(test_size=0.34, validation_size=0.34),
    )
    assert all(len(rows) for _, rows in splits.items())


def test_every_row_of_the_table_is_a_case() -> None:
    assert len(CASES) >= 35 and {case.id for case in CASES} == set(LAYOUTS)


def test_a_script_repository_is_pinned_to_the_copy_and_can_be_read_again(
    data_hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    files = {"all/train/0000.parquet": GTZAN_FILE}
    seed_script(files)(data_hub, "pin/gtzan")
    with caplog.at_level(logging.INFO):
        first = load("pin/gtzan")
    assert "script repository" in caplog.text and first.revision in caplog.text
    other = one_file(genre=([0, 1], ["new", "newer"]))
    data_hub.seed("datasets", "pin/gtzan", {"all/train/0000.parquet": other}, branch=CONVERT)
    again = load("pin/gtzan", dataset_revision=first.revision)
    assert again.revision == first.revision
    assert again.splits["train"].features["genre"].names == GENRES
    assert load("pin/gtzan").splits["train"].features["genre"].names == ["new", "newer"]


def test_configurations_are_never_merged_silently(data_hub: HubServer) -> None:
    seed_script(languages("aa", "bb"))(data_hub, "never/fleurs")
    assert load("never/fleurs", dataset_config="bb").splits["train"].num_rows == 6
    with pytest.raises(DatasetError, match="several configurations"):
        load("never/fleurs")
    merged = load("never/fleurs", dataset_config="all")
    assert merged.splits["train"].num_rows == 12
    assert merged.splits["train"]["config"][:] == ["aa"] * 6 + ["bb"] * 6


def test_all_reads_every_configuration_of_a_parquet_repository(data_hub: HubServer) -> None:
    seed_main({**VOICE_CARD, **COMMON_VOICE})(data_hub, "all/voices")
    source = load("all/voices", dataset_config="all")
    assert source.splits["train"]["config"][:] == ["en"] * 6 + ["de"] * 6
    assert source.content_key != load("all/voices", dataset_config="en").content_key


def test_columns_in_which_configurations_differ_are_left_out_and_named(
    data_hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    files = {
        "a/train/0000.parquet": one_file(label=["x", "y"], only_here=[1]),
        "b/train/0000.parquet": one_file(label=["x", "z"]),
    }
    seed_script(files)(data_hub, "differ/set")
    source = load("differ/set", dataset_config="all")
    assert set(source.splits["train"].column_names) == {"audio", "label", "config"}
    assert "only_here" in caplog.text


def test_a_copy_that_was_cut_is_refused_unless_a_part_is_allowed(
    data_hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    files = {
        "en/partial-train/0000.parquet": one_file(label=["x", "y"]),
        "en/test/0000.parquet": one_file(label=["x", "y"]),
    }
    seed_script(files)(data_hub, "cut/set")
    with pytest.raises(DatasetError, match=r"en/partial-train.*--allow-partial"):
        load("cut/set")
    source = load("cut/set", allow_partial=True)
    assert set(source.splits) == {"train", "test"} and "Only a part" in caplog.text


def test_archives_are_read_through_their_copy(data_hub: HubServer) -> None:
    data_hub.seed("datasets", "tar/set", {"train-000.tar": b"1", "README.md": "# Shards"})
    with pytest.raises(DatasetError, match=r"made of archives.*no parquet copy"):
        load("tar/set")
    files = {"default/train/0000.parquet": one_file(label=["x", "y"])}
    data_hub.seed("datasets", "tar/set", files, branch=CONVERT)
    assert load("tar/set").splits["train"].num_rows == 6


def test_several_shards_of_a_split_are_one_table(data_hub: HubServer) -> None:
    files = {f"all/train/000{n}.parquet": one_file(label=["x", "y"]) for n in range(3)}
    seed_script(files)(data_hub, "shards/set")
    assert load("shards/set").splits["train"].num_rows == 18


@pytest.mark.parametrize("is_script", [False, True])
def test_a_gated_set_names_the_page_and_the_login(data_hub: HubServer, *, is_script: bool) -> None:
    name = f"gated/set{is_script:d}"
    (seed_script if is_script else seed_main)({"all/train/0000.parquet": GTZAN_FILE})(
        data_hub, name
    )
    data_hub.repos["datasets", name].gated = "manual"
    with pytest.raises(
        DatasetError, match=rf"https://huggingface.co/datasets/{name}.*hf auth login"
    ):
        load(name)


def test_who_was_let_in_reads_a_gated_set(
    data_hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_hub.seed("datasets", "testers/set", {TRAIN: GTZAN_FILE}, gated="auto")
    monkeypatch.setenv("HF_TOKEN", data_hub.read_token)
    assert load("testers/set").splits["train"].num_rows == 6


def test_a_private_set_looks_like_none_and_names_the_login(data_hub: HubServer) -> None:
    data_hub.seed("datasets", "secret/set", {"a.parquet": GTZAN_FILE}, private=True)
    with pytest.raises(DatasetError, match=r"no data set 'secret/set'.*hf auth login"):
        load("secret/set")


def test_a_revision_that_is_not_there_is_named(data_hub: HubServer) -> None:
    data_hub.seed("datasets", "rev/set", {TRAIN: GTZAN_FILE})
    with pytest.raises(DatasetError, match="no revision 'v9'"):
        load("rev/set", dataset_revision="v9")


def test_a_wrong_configuration_is_met_with_the_nearest(data_hub: HubServer) -> None:
    seed_main({**VOICE_CARD, **COMMON_VOICE})(data_hub, "near/voices")
    with pytest.raises(DatasetError, match=r"no configuration 'enn'. Choose.*Did you mean en"):
        load("near/voices", dataset_config="enn")


def test_a_hub_that_cannot_be_reached_is_no_traceback(
    data_hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DatasetError, match=r"Hub cannot be reached.*Check the network"):
        load("any/set")


def test_a_folder_with_a_similar_name_is_suggested(
    data_hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_clips").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=r"no data set 'my_clip'.*Did you mean my_clips\?"):
        load("my_clip")


@pytest.mark.parametrize("form", ["absolute", "parent", "parquet"])
def test_a_repository_that_lists_files_of_this_computer_is_refused(
    form: str, data_hub: HubServer, tmp_path: Path
) -> None:
    private = tmp_path / "private.wav"
    private.write_bytes(make_wav(9))
    paths = {
        "absolute": str(private),
        "parent": "../" * 40 + str(private)[1:],
        "parquet": str(private),
    }
    if form == "parquet":
        table = Dataset.from_dict(
            {"audio": [{"bytes": None, "path": str(private)}], "label": ["a"]}
        )
        table.to_parquet(tmp_path / "0.parquet")
        seed_main({"train.parquet": tmp_path / "0.parquet"})(data_hub, f"bad/{form}")
    else:
        rows = f"file,label\nown.wav,a\n{paths[form]},b\n"
        files = {"metadata.csv": rows, "own.wav": make_wav(1)}
        seed_main(files)(data_hub, f"bad/{form}")
    with pytest.raises(DatasetError, match="a file of this computer: it is not read"):
        load(f"bad/{form}")
    if form == "absolute":  # the reader allows it
        assert len(load(f"bad/{form}", audio_root=str(tmp_path)).splits["train"]) == 2


@pytest.mark.parametrize("name", ["a b", "owner/na me", "-x-/--"])
def test_what_can_be_no_id_is_refused_as_such(name: str) -> None:
    with pytest.raises(DatasetError, match=r"There is no folder or file .* or a Hub id"):
        load(name)


def test_a_copy_is_never_suggested_for_itself() -> None:
    for copy in KNOWN_COPIES.values():
        assert copy.split(" ")[0] not in suggest_copy(copy.split(" ")[0])
    assert suggest_copy("nobody/knows") == ""


def test_the_label_that_was_not_asked_for_is_told(
    data_hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    seed_main({TRAIN: MINDS})(data_hub, "told/minds")
    with caplog.at_level(logging.INFO):
        assert find_label_column(load("told/minds").splits, None) == "intent_class"
    assert "--label-column could also be lang_id" in caplog.text


@pytest.mark.parametrize("kind", ["status", "drop", "cut"])
def test_a_download_of_clips_goes_on_where_the_hub_failed(
    data_hub: HubServer, quick_retries: None, kind: str
) -> None:
    clips = {f"{label}/{n}.wav": make_wav(n) for n, label in enumerate(["dog", "cat"] * 2)}
    data_hub.seed("datasets", f"fails/{kind}", clips)
    data_hub.fail(method="GET", path_part="resolve", status=412, times=2).kind = kind
    try:
        assert load(f"fails/{kind}").splits["train"].num_rows == 4
    finally:
        data_hub.faults.clear()


@pytest.mark.parametrize("kind", ["status", "drop"])
def test_a_hub_that_fails_at_every_download_is_one_line(
    data_hub: HubServer, quick_retries: None, kind: str
) -> None:
    seed_main({TRAIN: one_file(label=["x", "y"])})(data_hub, f"down/table-{kind}")
    data_hub.seed("datasets", f"down/clips-{kind}", {"dog/0.wav": make_wav(0)})
    for name in ("table", "clips"):
        fault = data_hub.fail(path_part="/resolve/", status=409, times=None)
        fault.kind = kind
        try:
            with pytest.raises(DatasetError, match=r"from the Hub: .*repeat the command"):
                load(f"down/{name}-{kind}")
        finally:
            data_hub.faults.clear()
        assert load(f"down/{name}-{kind}").splits["train"].num_rows
