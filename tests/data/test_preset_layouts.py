"""Each preset from its line to a card, on a repository of its data set's layout and columns."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result
from hub_datasets import TRAIN, in_data, languages, make_parquet, make_rows, seed_main
from hub_datasets import seed_script as seed_copy
from hub_server import HubServer
from tiny_runs import write_quiet_checkpoint

ROOT = Path(__file__).parents[2]
GENRES = ["blues", "classical", "country"]


def _fill(count: int, names: dict[str, list[str]], **columns: list[Any]) -> bytes:
    """Make parquet of `count` clips; `names` are the classes of the columns that have them."""
    return make_parquet(make_rows(count, **columns), **names)


def _name_actors(count: int) -> list[str]:
    """Return files named as CREMA-D's, six actors in turn."""
    return [f"AudioWAV/{1001 + n % 6}_DFA_{n}_XX.wav" for n in range(count)]


GTZAN = _fill(30, {"genre": GENRES}, file=["/x/a.wav"], genre=[0, 1, 2])
FOLDED = {"fold": [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]}
HALVES = ["train", "validation", "test"]
# Id -> how its repository is laid out, script repositories by their parquet copy.
LAYOUTS: dict[str, Callable[[HubServer, str], object]] = {
    "marsyas/gtzan": seed_copy({"all/train/0000.parquet": GTZAN}),
    "confit/gtzan-parquet": seed_main(
        {
            in_data(s): _fill(9, {"label": GENRES}, genre=GENRES, label=[0, 1, 2])
            for s in HALVES
        }
    ),
    "google/fleurs": seed_copy(languages("af_za", "am_et")),
    "speechbrain/common_language": seed_copy(
        {
            f"full/{s}/0000.parquet": _fill(
                8, {"language": ["Arabic", "Basque"]}, client_id=["a", "b"], path=["p.wav"],
                sentence=["x", "y", "z", "w"], age=["x", "y"], gender=["f", "m"], language=[0, 1],
            )
            for s in HALVES
        }
    ),
    "mteb/voxlingua107-top10": seed_main({TRAIN: _fill(20, {"label": ["en", "de"]}, label=[0, 1])}),
    "ashraq/esc50": seed_main(
        {
            TRAIN: _fill(
                20, {}, filename=[f"{n}.wav" for n in range(20)], target=[0, 36], esc10=[True],
                category=["dog", "vacuum_cleaner"], **FOLDED,
            )
        }
    ),
    "danavery/urbansound8K": seed_main(
        {
            TRAIN: _fill(
                40, {}, slice_file_name=[f"{n}.wav" for n in range(40)], classID=[3, 7],
                fold=[n // 2 % 10 + 1 for n in range(40)], **{"class": ["dog_bark", "jackhammer"]},
            )
        }
    ),
    "AbstractTTS/CREMA-D": seed_main(
        {
            TRAIN: _fill(
                36, {}, file=_name_actors(36), angry=[0.5], sad=[0.5], gender=["f", "m"],
                major_emotion=["angry", "sad", "sad", "angry", "angry", "sad", "angry", "sad"],
            )
        }
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny HuBERT."""
    return write_quiet_checkpoint(tmp_path_factory.mktemp("hubert"))


def _train(*words: object) -> Result:
    main = runpy.run_path(str(ROOT / "scripts" / "train.py"))["main"]
    return CliRunner().invoke(main, [str(word) for word in words])


class Case(NamedTuple):
    """One line of a preset."""

    preset: str
    dataset: str
    column: str  # that holds the label
    more: tuple[object, ...] = ()


SHORT = ("--min-seconds", 0.2)  # of pieces of up to 0.3 s
CASES = [
    Case("gtzan", "marsyas/gtzan", "genre"),
    Case("gtzan-strong", "marsyas/gtzan", "genre", ("--hop-seconds", 0.2)),
    Case("gtzan-fault-filtered", "confit/gtzan-parquet", "label"),
    Case("language-id", "google/fleurs", "lang_id", SHORT),
    Case("language-id", "speechbrain/common_language", "language", SHORT),
    Case("language-id", "mteb/voxlingua107-top10", "label", SHORT),
    Case("environmental-sounds", "ashraq/esc50", "category", ("--fold", 5)),
    Case("environmental-sounds", "danavery/urbansound8K", "class", ("--fold", 10)),
    Case("emotion", "AbstractTTS/CREMA-D", "major_emotion"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.preset} {case.dataset}")
def test_a_preset_runs_from_its_line_to_a_card(
    case: Case, data_hub: HubServer, checkpoint: Path, tmp_path: Path
) -> None:
    preset, dataset, column, more = case
    if ("datasets", dataset) not in data_hub.repos:
        LAYOUTS[dataset](data_hub, dataset)
    chosen = () if preset != "gtzan-strong" else ("--preset", preset)  # others go by the id
    result = _train(
        *chosen, "--dataset", dataset, "--model", checkpoint, "--max-seconds", 0.3, "--max-steps",
        2, "--batch-size", 2, "--max-train-samples", 24, "--output-dir", tmp_path / "run", *more,
    )  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    assert f"preset      {preset}: chosen " in result.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert (results["dataset"]["id"], results["dataset"]["label_column"]) == (dataset, column)
    assert 0 <= results["test"][results["metric"]] <= 1
    assert f"datasets:\n- {dataset}\n" in (tmp_path / "run" / "README.md").read_text()
    lists = [(tmp_path / "run" / "splits" / f"{r}.txt").read_text().split() for r in HALVES]
    if preset != "gtzan":  # whose test clips chose the epoch, as in the course
        assert not set(lists[0]) & set(lists[2]) and not set(lists[1]) & set(lists[2])
    if preset == "emotion":
        assert results["test"]["num_groups"] >= 1
        names = [f"group {n}" for n in range(9)]
        assert not set(results["test"]["by_group"]) & set(names)  # here they have their names


def test_five_folds_of_esc50_are_one_line(
    data_hub: HubServer, checkpoint: Path, tmp_path: Path
) -> None:
    if ("datasets", "ashraq/esc50") not in data_hub.repos:
        LAYOUTS["ashraq/esc50"](data_hub, "ashraq/esc50")
    result = _train(
        "--dataset", "ashraq/esc50", "--model", checkpoint, "--max-seconds", 0.3, "--max-steps", 1,
        "--batch-size", 2, "--output-dir", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["runs"] == [f"fold-{number}" for number in range(1, 6)]
    tested = [(tmp_path / "run" / r / "splits" / "test.txt").read_text() for r in results["runs"]]
    assert len(set("".join(tested).split())) == 20
