"""Only what is on a list is published: every text of a run has a marker of its own."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_run import MODEL_SHA, make_results, make_run

from audio_cls.config import HubConfig, RunConfig, iterate_settings
from audio_cls.publishing.card.card import write_card
from audio_cls.publishing.eval_results import write_eval_results
from audio_cls.publishing.hub.files import gather_early_files, gather_files
from audio_cls.publishing.redaction import settings as public_settings
from audio_cls.publishing.redaction.settings import publish_command, split_command
from audio_cls.publishing.redaction.text import redact_paths, redact_text, to_base_name
from audio_cls.runs.provenance import describe_command
from audio_cls.runs.run_files import EXAMPLES_FIGURE

REPO = "tester/run"
MOUNTS = (
    "/gpfs/{}/x", "/nfs/{}/x", "/lustre/{}/x", "/Volumes/{} disk/x", "/storage/{}/x", "D:\\{}\\x",
    "\\\\server\\{}\\x", "~/{}/x", "/{}/x", "https://{0}:{0}@{0}.org/{0}/x?X-Amz-Signature={0}#{0}",
    "s3://{0}/{0}/x",
)  # fmt: skip


LISTS = ("TEXTS", "CARD_TEXTS", "PATTERNS", "BASE_NAMES", "GROUPS")
_ALLOWED = public_settings.TEXTS | public_settings.CARD_TEXTS | public_settings.PATTERNS


def _mark(number: int) -> str:
    """Return a word that stands nowhere by chance."""
    return f"zq{number:03d}secret"


def _set_all() -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return settings with a marker in every text, and marker -> setting's name."""
    settings, owners = RunConfig().to_nested(), {}
    for number, one in enumerate(iterate_settings()):
        mark = _mark(number)
        if one.type is str:
            value: Any = mark
        elif one.type == tuple[str, ...]:
            value = [mark]
        else:
            continue
        if one.name in (*public_settings.BASE_NAMES, *public_settings.WITHHELD, "dataset", "model"):
            value = MOUNTS[number % len(MOUNTS)].format(mark)
        owners[mark], settings[one.section][one.name] = one.name, value
    settings["hub"]["publish_ids"] = "clips"
    return settings, owners


def _to_words(settings: dict[str, dict[str, Any]]) -> list[str]:
    """Return the settings as they would be typed, some as `--flag=value`."""
    words = []
    for number, (name, value) in enumerate(
        (name, value) for section in settings.values() for name, value in section.items()
    ):
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-"))
        elif value is not None:
            shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [f"{flag}={shown}"] if number % 2 else [flag, shown]
    return words


@pytest.fixture
def marked(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A run in which every setting, clip, group and path has a marker, and who owns each."""
    settings, owners = _set_all()
    results = make_results()
    group, clip, place, note = (_mark(900 + n) for n in range(4))
    owners |= {group: "a group", clip: "a clip", place: "a path", note: "an unknown field"}
    test_group = settings["data"]["test_groups"][0]
    results["dataset"] |= {"id": f"/gpfs/{place}/x.csv", "name": f"/gpfs/{place}/x.csv"}
    results["dataset"] |= {"revision": "0" * 40, "is_local": True, "note": note}
    results["dataset"]["near_duplicates"] = {"found": 1, "first": [[clip, clip]]}
    origin = f"group {test_group} of column 'speaker'"
    results["dataset"]["split"]["test"] |= {"name": "train", "origin": origin, "note": note}
    results["dataset"]["split"]["train"]["origin"] = f"fold {group}, 2 of column 'speaker'"
    results["split_check"] = {
        "verdict": "disjoint", "checked": ["ids"], "not_checked": {"groups": "none was given"},
        "shared": {"train+test": {"ids": 0}}, "note": note,
    }  # fmt: skip
    listed = f"listed at /nfs/{place}/lists (sha256 0123456789ab)"
    results["dataset"]["split"]["validation"]["origin"] = listed
    results["model"] |= {"id": f"\\\\host\\{place}\\m", "is_local": True}
    row = {"num_examples": 1, "accuracy": 0.5, "note": note}
    results["test"] |= {
        "by_group": {group: row, f"{group}-2": row},
        "by_speaker": {group: row},
        "num_groups": 2,
        "confident_mistakes": [{"id": f"{clip}.wav", "label": "jazz", "note": note}],
        "note": note,
    }
    results["samples"] = [{"file": "samples/1.wav", "label": "jazz", "id": f"{clip}.wav"}]
    results["comparison"] = {"other": note, "mcnemar_p": 0.5}
    results["warnings"] = [f"Read from /lustre/{place}/x and https://u:{place}@host/y?z={place}."]
    results["hardware"]["hostname"] = note
    results[note] = {note: note}
    command = ["accelerate", "launch", f"/gpfs/{place}/scripts/train.py", *_to_words(settings)]
    results["command"] = shlex.join([*command, f"--{note}", note, note])
    record = {"command": results["command"], "versions": {"torch": "2"}, "note": note}
    run = make_run(tmp_path / place / "run", results, {**settings, "record": record})
    config = {"model_type": "hubert", "_name_or_path": f"/gpfs/{place}", "a": {"b": [f"~/{place}"]}}
    (run / "config.json").write_text(json.dumps(config | {"id2label": {"0": "/m/04rlf"}}))
    (run / "clips.csv").write_text(f"id,seconds,group\n{clip}.wav,1,{group}\n")
    (run / "splits" / "groups.csv").write_text(f"id,group,fold\n{clip}.wav,{group},{group}\n")
    (run / "predictions.csv").write_text(f"id,label,prediction,blues\n{clip}.wav,blues,blues,1\n")
    (run / "summary.csv").write_text(f"epoch,step,accuracy,note\n1,1,0.5,{note}\n")
    (run / "bad_audio.csv").write_text(f"id,reason,more\n{clip}.wav,broken: {place},{note}\n")
    pair = f"id,split,like,like_split,likeness,more\n{clip}.wav,train,{clip}2.wav,test,0.9,{note}\n"
    (run / "near_duplicates.csv").write_text(pair)
    (run / "duplicates.csv").write_text(pair.replace("like", "same_as"))
    (run / "splits" / "test.txt").write_text(f"{clip}.wav\n/Volumes/{place}/{clip}3.wav\n")
    write_card(run)
    write_eval_results(run)
    return run, owners


def _find_marks(files: dict[str, bytes | Path], owners: dict[str, str]) -> set[str]:
    """Return whose markers the files hold."""
    everything = b"\n".join(
        content if isinstance(content, bytes) else content.read_bytes()
        for content in files.values()
    )
    names = "\n".join(files).encode()
    return {owner for mark, owner in owners.items() if mark.encode() in everything + names}


def test_only_what_is_listed_is_published(marked: tuple[Path, dict[str, str]]) -> None:
    run, owners = marked
    allowed = _ALLOWED & set(owners.values())
    found = _find_marks(gather_files(run, REPO, HubConfig()), owners)
    assert found == allowed | {"a clip"}
    found = _find_marks(gather_files(run, REPO, HubConfig(publish_ids="none")), owners)
    assert found == allowed
    found = _find_marks(gather_files(run, REPO, HubConfig(publish_ids="all")), owners)
    assert found == allowed | {"a clip", "a group", "fold", *public_settings.GROUPS}


def test_training_examples_are_published_unless_no_ids_are(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / EXAMPLES_FIGURE).write_bytes(b"picture")
    write_card(run, REPO)
    for ids in ("clips", "all", "none"):
        files = gather_files(run, REPO, HubConfig(publish_ids=ids))  # type: ignore[arg-type]
        assert (EXAMPLES_FIGURE in files) == (ids != "none"), ids
        assert (EXAMPLES_FIGURE in _read(files["README.md"])) == (ids != "none"), ids
        assert "figures/confusion_matrix.png" in files


def test_a_run_that_goes_on_publishes_no_more(marked: tuple[Path, dict[str, str]]) -> None:
    run, owners = marked
    (run / "results.json").unlink()
    found = _find_marks(gather_early_files(run, REPO, HubConfig()), owners)
    assert found == _ALLOWED & set(owners.values())


def test_what_is_published_of_a_path_is_its_last_part(marked: tuple[Path, dict[str, str]]) -> None:
    run, _ = marked
    files = gather_files(run, REPO, HubConfig())
    tree = yaml.safe_load(_read(files["run_config.yaml"]))
    assert (tree["data"]["dataset"], tree["data"]["split_files"]) == ("x", "x")
    assert tree["augment"]["noise_dir"] == tree["data"]["audio_root"] == "x"
    assert not {"output_dir", "resume"} & tree["train"].keys()
    results = json.loads(_read(files["results.json"]))
    assert results["dataset"]["id"] == "x.csv" and results["model"]["id"] == "m"
    splits = results["dataset"]["split"]
    assert splits["test"]["origin"] == "1 group of column 'speaker'"
    assert splits["train"]["origin"] == "fold \"not named\" of column 'speaker'"
    check = {**results["split_check"]}
    assert check["shared"] == {"train+test": {"ids": 0}} and check["verdict"] == "disjoint"
    assert check["not_checked"] == {"groups": "none was given"} and "note" not in check
    assert splits["validation"]["origin"] == "listed at lists (sha256 0123456789ab)"
    assert results["test"]["by_group"].keys() == {"group 1", "group 2"}
    assert results["warnings"] == ["Read from x and https://host/y."]
    assert json.loads(_read(files["config.json"]))["id2label"] == {"0": "/m/04rlf"}


def _read(content: bytes | Path) -> str:
    return content.decode() if isinstance(content, bytes) else content.read_text("utf-8")


def test_every_setting_that_takes_a_text_is_on_one_list() -> None:
    lists = [getattr(public_settings, name) for name in LISTS]
    listed = [*public_settings.SOURCES, *public_settings.WITHHELD, "fold"]
    listed += [name for one in lists for name in one]
    texts = [one.name for one in iterate_settings() if one.type in (str, tuple[str, ...])]
    assert sorted(listed) == sorted(texts), "list it in publishing/redaction/settings.py"


@pytest.mark.parametrize("place", MOUNTS)
def test_places_are_cut_wherever_they_lie(place: str) -> None:
    assert to_base_name(place.format("ann")) == redact_paths(place.format("ann")) == "x"
    shown = redact_text(f"from {place.format('ann')} today")
    if place.startswith("https"):
        assert shown == "from https://ann.org/ann/x today"
    elif " " not in place:
        assert shown == "from x today"


def test_ids_on_the_hub_and_plain_texts_stay() -> None:
    for text in ("marsyas/gtzan", "blues/00001.wav", "and/or", "1/2", "see https://hf.co/a/b."):
        assert redact_text(text) == text
    assert to_base_name("marsyas/gtzan") == "gtzan" and redact_paths("marsyas/gtzan") != "gtzan"


def test_a_hub_id_is_told_from_a_folder_of_that_shape(tmp_path: Path) -> None:
    settings = {
        "data": {"dataset": "ann/clips", "dataset_revision": None},
        "model": {"model": "ntu-spml/distilhubert", "model_revision": MODEL_SHA},
    }
    show = public_settings.publish_settings
    public = show(settings, (None, None), with_groups=False)
    assert public["data"]["dataset"] == "clips"
    assert public["model"]["model"] == "ntu-spml/distilhubert"
    public = show(settings, ("ann/clips", None), with_groups=False)
    assert public["data"]["dataset"] == "ann/clips"


@pytest.mark.parametrize(
    ("pattern", "is_public"),
    [
        (r"(?:^|/)([^/_]+)_", True),
        (r"^(\w+?)[-_]\d+", True),
        (r"(?P<speaker>[a-z]+)_", True),
        (r"(ann\d+)_", False),
        (r"(ann|bob)", False),
        (r"(7)_", False),
        (r"(\[ann\])", False),
    ],
)
def test_a_group_pattern_without_literal_names_is_public(pattern: str, is_public: bool) -> None:  # noqa: FBT001
    settings = {"data": {"dataset": "a/b", "group_pattern": pattern}}
    public = public_settings.publish_settings(settings, (None, None), with_groups=False)
    assert public["data"].get("group_pattern") == (pattern if is_public else None)


WORDS = [
    "--group-pattern",
    r"(ann\d+)_",
    "--limitations",
    'it\'s "so", a\tb',
    "--keywords",
    "a b,c",
]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/usr/bin/audio-cls", "train", "--epochs", "3"], "audio-cls train --epochs 3"),
        (
            ["/x/site-packages/audio_cls/__main__.py", "train", "--epochs", "3"],
            "python -m audio_cls train --epochs 3",
        ),
        (
            ["/x/site-packages/audio_cls/cli/train.py", "--epochs", "3"],
            "accelerate launch -m audio_cls.cli.train --epochs 3",
        ),
        (["/home/ann/notebook.py"], ""),
    ],
)
def test_every_way_to_start_a_run_is_published_as_it_was(
    argv: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert describe_command() == expected
    assert publish_command(describe_command(), {}, with_groups=False) == expected


def test_the_launch_line_comes_back_word_by_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/home/ann/scripts/train.py", *WORDS])
    line = describe_command()
    expected = ["accelerate", "launch", "scripts/train.py", *WORDS]
    assert shlex.split(line) == expected and split_command(line) == expected
    assert shlex.split(yaml.safe_load(yaml.safe_dump({"a": line}, width=100))["a"]) == expected
    public = publish_command(line, {}, with_groups=True)
    assert shlex.split(public)[3:5] == WORDS[:2] and shlex.split(public)[-2:] == WORDS[-2:]
    assert "group-pattern" not in publish_command(line, {}, with_groups=False)


def test_a_line_of_an_earlier_version_keeps_its_backslashes() -> None:
    line = r"accelerate launch scripts/train.py --group-pattern (ann\d+)_ --dataset 'my clips'"
    assert split_command(line)[3:] == ["--group-pattern", r"(ann\d+)_", "--dataset", "my clips"]
    assert split_command("train.py --limitations it's") == ["train.py", "--limitations", "it's"]
