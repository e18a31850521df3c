"""What `--dataset` may name, and which column holds the sound."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Audio, Value
from hub_datasets import load, make_parquet, make_sounds, write_clips
from hub_server import HubServer

from audio_cls.config import DataConfig, flag_name
from audio_cls.data.load import load_dataset
from audio_cls.data.sources.columns.audio_column import find_audio_column
from audio_cls.data.sources.url import HubPath, parse_hub_url
from audio_cls.errors import AudioClsError, DatasetError, SettingError
from audio_cls.storage.short_names import name_dataset

FILE = make_parquet({"audio": make_sounds(4), "label": ["x", "y", "x", "y"]})
CSV = "path,kind\na.wav,x\nb.wav,y\n"


def test_no_data_set_names_the_flag() -> None:
    with pytest.raises(SettingError, match="--dataset"):
        load_dataset(DataConfig())


@pytest.mark.parametrize(
    "name",
    [
        *("./missing", "/missing/set", "~/missing-set", "a/b/c", "clips.csv"),
        *("no clips", "rate=16k", "data/no clips", "a/b=c", "klänge", "-clips"),
    ],
)
def test_a_path_that_is_not_there_is_not_asked_of_the_hub(name: str) -> None:
    with pytest.raises(DatasetError, match="no folder or file"):
        load(name)


@pytest.mark.parametrize("name", ["a=b", "my clips", "owner/set", "klänge", "x.csv", "sub/x, y"])
def test_a_folder_that_exists_is_loaded_whatever_its_name_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clips(tmp_path / name, ["x/a.wav", "y/b.wav"])
    assert len(load(name).ids) == 2 and load(name).is_local


def test_the_nearest_name_of_the_folder_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "my clips").mkdir()
    with pytest.raises(DatasetError, match=r"no folder or file .*Did you mean my clips\?"):
        load(str(tmp_path / "my clisp"))


def test_the_shipped_data_set_is_there() -> None:
    source = load("builtin:tiny_speech")
    assert set(source.splits) == {"train", "validation", "test"} and source.is_local
    with pytest.raises(AudioClsError, match="tiny_speech"):
        load("builtin:nothing")


def test_nothing_is_decoded(tmp_path: Path) -> None:
    write_clips(tmp_path, ["cat/1.wav", "dog/2.wav"])
    (tmp_path / "cat/1.wav").write_bytes(b"no sound at all")
    features = load(tmp_path).splits["train"].features
    assert features["audio"] == Audio(decode=False)


STRUCT = {"bytes": Value("binary"), "path": Value("string")}


def test_the_only_audio_column_is_found_also_as_plain_bytes_and_path() -> None:
    assert find_audio_column({"id": Value("string"), "sound": Audio()}, None) == "sound"
    assert find_audio_column({"id": Value("string"), "sound": STRUCT}, None) == "sound"


def test_several_audio_columns_must_be_chosen_from() -> None:
    features = {"left": Audio(), "right": Audio()}
    with pytest.raises(DatasetError, match=r"left, right.*Choose one with --audio-column"):
        find_audio_column(features, None)
    assert find_audio_column(features, "right") == "right"


def test_a_wrong_audio_column_is_met_with_the_right_one() -> None:
    with pytest.raises(DatasetError, match="Did you mean --audio-column audio"):
        find_audio_column({"audio": Audio(), "label": Value("int64")}, "label")


def test_no_audio_column_lists_the_columns() -> None:
    with pytest.raises(DatasetError, match="the columns are a, b"):
        find_audio_column({"a": Value("string"), "b": Value("int64")}, None)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("hf://datasets/a/b", HubPath("a/b", None, None)),
        ("hf://datasets/a/b@v1/en/x.parquet", HubPath("a/b", "v1", "en/x.parquet")),
        (
            "hf://datasets/a/b@refs%2Fconvert%2Fparquet/all/train",
            HubPath("a/b", "refs/convert/parquet", "all/train"),
        ),
        ("https://huggingface.co/datasets/a/b", HubPath("a/b", None, None)),
        ("https://huggingface.co/datasets/a/b/viewer/en/train", HubPath("a/b", None, None)),
        ("https://huggingface.co/datasets/a/b/tree/main/data/", HubPath("a/b", "main", "data")),
        (
            "https://hf.co/datasets/a/b/resolve/v1/x.csv?download=true",
            HubPath("a/b", "v1", "x.csv"),
        ),
        ("https://example.org/datasets/a/b/x.csv", None),
    ],
)
def test_addresses_of_the_hub_are_understood(address: str, place: HubPath | None) -> None:
    assert parse_hub_url(address) == place


def test_an_hf_address_of_no_data_set_is_refused() -> None:
    with pytest.raises(DatasetError, match="hf://datasets/OWNER/NAME"):
        load("hf://buckets/a/b")


def test_a_page_of_the_hub_is_its_data_set(data_hub: HubServer) -> None:
    sha = data_hub.seed("datasets", "page/set", {"data/train-0.parquet": FILE})
    for address in ("hf://datasets/page/set", f"{data_hub.url}/datasets/page/set"):
        source = load(address)
        assert source.revision == sha and source.id == "page/set" and not source.is_local


def test_a_folder_or_file_of_a_repository_is_a_data_set(data_hub: HubServer) -> None:
    files = {f"{name}/train-0.parquet": FILE for name in ("en", "de")}
    sha = data_hub.seed("datasets", "part/set", files)
    folder, file = (load(f"hf://datasets/part/set{p}") for p in ("/en", "@main/de/train-0.parquet"))
    assert len(folder.splits["train"]) == len(file.splits["train"]) == 4
    assert folder.revision == file.revision == sha
    assert folder.content_key != file.content_key
    with pytest.raises(DatasetError, match=r"no file or folder 'fr': it has .*de, en"):
        load("hf://datasets/part/set/fr")


def test_a_table_of_any_server_is_fetched(data_hub: HubServer, tmp_path: Path) -> None:
    files = {"x.parquet": FILE, "x.csv": CSV}
    data_hub.seed("models", "other/server", files)
    base = f"{data_hub.url}/other/server/resolve/main"
    source = load(f"{base}/x.parquet")
    assert len(source.splits["train"]) == 4 and source.is_local and source.name == "x"
    with pytest.raises(DatasetError, match="--audio-root"):
        load(f"{base}/x.csv")
    write_clips(tmp_path, ["a.wav", "b.wav"])
    table = load(f"{base}/x.csv", audio_root=str(tmp_path)).splits["train"]
    assert table["kind"][:] == ["x", "y"] and table[0]["audio"]["path"] == str(tmp_path / "a.wav")
    with pytest.raises(DatasetError, match="cannot be fetched"):
        load(f"{base}/missing.parquet")
    with pytest.raises(DatasetError, match="is not a table"):
        load(f"{base}/all.zip")


@pytest.mark.parametrize(
    "name", [r"D:\clips", "D:/clips", r"\\server\share\clips", r"clips\train", "C:", r"..\x"]
)
def test_a_path_of_windows_is_not_asked_of_the_hub(name: str) -> None:
    with pytest.raises(DatasetError, match="no folder or file"):
        load(name)
    with pytest.raises(DatasetError, match="no folder or file"):
        load(name, streaming=True)


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("owner/set", "set"),
        ("data/emodb.csv", "emodb"),
        ("data/set.v2/", "set.v2"),
        (r"D:\sound\emodb.CSV", "emodb"),
        (r"\\server\share\clips" + "\\", "clips"),
        ("builtin:tiny_speech", "tiny_speech"),
        ("https://host/a/x.parquet?signature=s/3", "x"),
        ("hf://datasets/owner/set/en", "en"),
        (".", Path.cwd().name),
        ("./../", Path.cwd().parent.name),
    ],
)
def test_a_data_set_has_a_short_name(dataset: str, name: str) -> None:
    assert name_dataset(dataset) == name


@pytest.mark.parametrize(
    "settings",
    [{"dataset_config": "all"}, {"dataset_revision": "main"}, {"audio_root": "/sounds"}],
)
def test_a_setting_for_another_kind_of_data_set_is_refused(
    settings: dict[str, str], tmp_path: Path
) -> None:
    write_clips(tmp_path / "set", ["a/1.wav", "b/1.wav"])
    flag = flag_name(next(iter(settings)))
    with pytest.raises(DatasetError, match=f"{flag}.* has no effect.*Remove it"):
        load(tmp_path / "set", **settings)
