"""A leaderboard of thirty models, some with invalid cards, on the loopback Hub."""

from __future__ import annotations

import csv
import io
import json
import shutil
import time
from pathlib import Path

import huggingface_hub
import pytest
from fake_run import make_results, make_run
from hub_models import APART, CUT, DATASET, RANKED, UNUSABLE, make_card, seed_models
from hub_server import HubServer

from audio_cls.errors import HubError, RunFolderError
from audio_cls.publishing.card.card import render_card
from audio_cls.publishing.leaderboard.output import save_page, to_csv, to_json, to_text
from audio_cls.publishing.leaderboard.ranking import LeaderboardTable, build_leaderboard
from audio_cls.publishing.run_record import load_run
from audio_cls.storage import cache as storage_cache
from audio_cls.storage.inventory import list_items

pytestmark = pytest.mark.usefixtures("logged_in")


VALUES = {
    **{name: value for name, value in RANKED.items() if isinstance(value, float)},
    "ann/text-percent": 0.945,
    "ann/percent": 0.93,
    "ann/text": 0.92,
    "ann/percent-point": 0.785,
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for all caches."""
    monkeypatch.setattr(storage_cache, "cache_root", lambda: tmp_path / "caches")
    return tmp_path / "caches"


def _look(dataset: str = DATASET, **more: object) -> LeaderboardTable:
    return build_leaderboard(dataset, "accuracy", **more)  # type: ignore[arg-type]


def test_thirty_models_are_ranked_as_by_hand(hub: HubServer) -> None:
    seed_models(hub)
    standing = _look()
    ranked = [row for row in standing.rows if row.rank is not None]
    assert {row.model for row in ranked} == set(RANKED)
    assert [row.value for row in ranked] == sorted(VALUES.values(), reverse=True)
    assert all(row.value == VALUES[row.model] for row in ranked)
    by_name = {row.model: row for row in standing.rows}
    assert by_name["ann/first"].rank == 1 and by_name["ann/last"].rank == len(RANKED)
    assert by_name["ann/percent"].value == 0.93 and by_name["ann/percent"].notes == ("given as 93",)
    # Equals share a rank, however they were written.
    assert by_name["ann/share"].value == by_name["ann/percent-point"].value == 0.785
    assert by_name["ann/share"].rank == by_name["ann/percent-point"].rank
    for name, reason in APART.items():
        assert by_name[name].rank is None and reason in by_name[name].incomparable_reasons
    unusable = dict(standing.unusable)
    assert unusable.keys() == UNUSABLE.keys()
    for name, reason in UNUSABLE.items():
        assert reason in unusable[name]
    assert by_name["bob/plain-00"].num_examples == 200
    assert by_name["eve/other-split"].num_examples == 799


def test_the_hubs_own_board_joins_and_its_hidden_models_are_told(hub: HubServer) -> None:
    seed_models(hub)
    standing = _look()
    by_name = {row.model: row for row in standing.rows}
    assert by_name["eve/two-numbers"].hub_rank == 1
    assert "invalid YAML in its card" in by_name["eve/broken-yaml"].notes
    entry = [{"dataset": {"id": DATASET, "task_id": "all"}, "value": 0.4}]
    card = {"README.md": "---\nbase_model: ann/good\n---\n"}
    hub.seed("models", "zoe/tuned", {**card, ".eval_results/a.yaml": json.dumps(entry)})
    standing = _look()
    (row,) = [row for row in standing.rows if row.model == "zoe/tuned"]
    assert row.rank is None and row.incomparable_reasons == ("metric not named",)
    (told,) = [text for text in standing.sentences if "Hub's leaderboard" in text]
    assert "lists 4 models; 1 of them hidden by default" in told


def test_without_a_board_a_number_without_a_metric_has_no_rank(hub: HubServer) -> None:
    hub.seed("datasets", "ann/set", {"README.md": "# Set\n"})
    entry = [{"dataset": {"id": "ann/set", "task_id": "x"}, "value": 0.4}]
    files = {"README.md": "---\ndatasets: [ann/set]\n---\n", ".eval_results/a.yaml": str(entry)}
    hub.seed("models", "ann/one", files)
    standing = _look("ann/set")
    (row,) = standing.rows
    assert row.rank is None and row.incomparable_reasons == ("metric not named",)
    assert any("no leaderboard for this data set" in text for text in standing.sentences)


def test_a_run_takes_its_place_with_its_interval(
    hub: HubServer, cache: Path, tmp_path: Path
) -> None:
    seed_models(hub)
    run = make_run(tmp_path / "mine")  # 50 of 60: 0.8333, from 0.72 to 0.91
    standing = _look(local_run=run)
    (mine,) = [row for row in standing.rows if row.is_mine]
    above = [value for value in VALUES.values() if value > 50 / 60]
    assert mine.rank == len(above) + 1 and mine.interval == (0.72, 0.91)
    assert (mine.verification, mine.num_examples, mine.split) == ("local run", 60, "test")
    inside = [row.rank for row in standing.rows if row.rank and 0.72 <= row.value <= 0.91]
    text = standing.sentences[-1]
    assert text.startswith(f"mine has rank {mine.rank} of {len(RANKED) + 1}")
    assert text.endswith(f"covers ranks {min(inside)} to {max(inside)}.")
    text = to_text(standing)
    assert f"\n>{mine.rank:>6}  mine " in text
    assert max(map(len, text.splitlines())) <= 80
    hub.seed("models", "ntu-spml/distilhubert", {"README.md": make_card(0.5)})
    shutil.rmtree(cache)  # has the base model's old card
    (mine,) = [row for row in _look(local_run=run).rows if row.is_mine]
    assert mine.rank is None and "was trained on this data set" in mine.incomparable_reasons[0]


def test_a_number_without_a_metrics_name_is_ranked_under_no_metric(hub: HubServer) -> None:
    seed_models(hub)  # with a leaderboard that lists eve/broken-yaml at 0.5 of nobody knows what
    for metric in ("accuracy", "log_loss", "f1_macro"):
        rows = build_leaderboard(DATASET, metric).rows
        assert [row.rank for row in rows if row.model == "eve/broken-yaml"] == [None]
    rows = build_leaderboard(DATASET, "log_loss").rows
    assert [(row.model, row.value) for row in rows if row.rank] == [("eve/other-metric", 0.3)]


def test_a_run_and_its_published_copy_are_one_entry(hub: HubServer, tmp_path: Path) -> None:
    seed_models(hub)
    run, other = make_run(tmp_path / "mine"), make_results()
    other["validation"]["step"] = 45
    hub.seed("models", "tester/copy", {"README.md": render_card(load_run(run), "tester/copy")})
    twin = make_run(tmp_path / "twin", other)
    hub.seed("models", "tester/other", {"README.md": render_card(load_run(twin), "tester/other")})
    names = [row.model for row in _look(local_run=run).rows]
    assert "mine" in names and "tester/copy" not in names and "tester/other" in names
    (mine,) = [row for row in _look(local_run=run).rows if row.is_mine]
    assert mine.notes == ("published as tester/copy",) and mine.rank is not None
    assert "tester/copy" in [row.model for row in _look().rows]


def test_a_run_whose_epoch_was_chosen_on_the_test_has_no_rank_published_or_not(
    hub: HubServer, tmp_path: Path
) -> None:
    seed_models(hub)
    results = make_results()
    results["dataset"]["is_test_validation"] = True
    run = make_run(tmp_path / "mine", results)
    hub.seed("models", "tester/copy", {"README.md": render_card(load_run(run), "tester/copy")})
    (copy,) = [row for row in _look().rows if row.model == "tester/copy"]
    (mine,) = [row for row in _look(local_run=run).rows if row.is_mine]
    assert mine.notes[-1] == "published as tester/copy"
    for row in (copy, mine):
        assert row.rank is None
        assert row.incomparable_reasons == ("its epoch was chosen on the test clips",)


def test_a_data_set_without_a_result_is_one_sentence(hub: HubServer) -> None:
    hub.seed("datasets", "ann/set", {"README.md": "# Set\n"})
    text = to_text(_look("ann/set"))
    assert " ".join(text.split()) == (
        "No model on the Hub reports accuracy on ann/set: 0 models name this data set. Choose"
        " another --metric, or add a run with --mine RUN."
    )


def test_a_test_of_ones_own_is_ranked_apart_from_the_official_one(
    hub: HubServer, tmp_path: Path
) -> None:
    seed_models(hub)
    results = make_results()
    results["dataset"]["split"]["test"]["origin"] = CUT
    standing = _look(local_run=make_run(tmp_path / "mine", results))
    ranked = [(row.model, row.rank) for row in standing.rows if row.rank is not None]
    assert ranked == [("eve/old-cut", 1), ("eve/own-cut", 1), ("mine", 3)]
    assert any("clips that its own run held out" in text for text in standing.sentences)
    (row,) = [row for row in standing.rows if row.model == "ann/first"]
    assert row.incomparable_reasons == ("another split (test)",)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"id": "ann/set"}, "was tested on 'ann/set'"), ({"id": "x", "is_local": True}, "tested on")],
)
def test_a_run_on_other_data_is_refused(
    change: dict[str, object], says: str, hub: HubServer, tmp_path: Path
) -> None:
    seed_models(hub)
    results = make_results()
    results["dataset"] |= change
    with pytest.raises(RunFolderError, match=says):
        _look(local_run=make_run(tmp_path / "mine", results))


def test_what_strangers_wrote_does_nothing_in_any_form(hub: HubServer, tmp_path: Path) -> None:
    seed_models(hub)
    odd = "=HYPERLINK(<script>)\x1b[2J\n| x"
    hub.seed("models", "eve/odd", {"README.md": make_card(0.5, split=odd)})
    standing = _look()
    page = tmp_path / "standing.html"
    save_page(standing, page)
    html = page.read_text("utf-8")
    assert "<script" not in html and "&lt;script&gt;" in html
    text = to_text(standing)
    assert "\x1b" not in text and max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) < 3 * len(standing.rows)
    rows = list(csv.reader(io.StringIO(to_csv(standing))))
    assert len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if cell.startswith("=")]
    content = json.loads(to_json(standing))
    assert content["rows"][0]["model"] == "eve/other-split" and content["unusable"]


def test_a_second_look_reads_no_card_again(hub: HubServer) -> None:
    seed_models(hub)
    first = _look()
    num_cards = hub.count("GET", "/resolve/")
    assert num_cards == 30
    assert [item.kind for item in list_items()] == ["model_cards"]
    assert _look() == first and hub.count("GET", "/resolve/") == num_cards
    hub.seed("models", "ann/last", {"README.md": make_card(0.99)})
    assert _look().rows[0].model == "ann/last"
    assert hub.count("GET", "/resolve/") == num_cards + 1


def test_a_look_that_was_cut_goes_on_where_it_stood(hub: HubServer) -> None:
    seed_models(hub)
    hub.fail(path_part="/resolve/", times=None).skip = 17
    with pytest.raises(
        HubError, match=r"stopped responding after 17 cards .* same command to continue"
    ):
        _look()
    hub.faults.clear()
    hub.requests.clear()
    assert len(_look().rows) == 25
    assert hub.count("GET", "/resolve/", 200) == 13


def test_a_limit_of_requests_is_waited_for(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_models(hub)
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    hub.fail(path_part="/api/models", status=429, headers={"Retry-After": "42"})
    reset = {"RateLimit": '"resolvers";r=0;t=17', "RateLimit-Policy": '"fixed window";q=9;w=300'}
    hub.fail(path_part="/resolve/", status=429, headers=reset)
    assert len(_look().rows) == 25
    assert waits == [42.0, 17.0]


def test_a_listing_of_many_pages_is_read_to_its_end(hub: HubServer) -> None:
    seed_models(hub)
    hub.page_size = 7
    assert len(_look().rows) == 25 and hub.count("GET", "/api/models?") >= 5


def test_a_gated_card_is_read_from_the_listing(hub: HubServer) -> None:
    seed_models(hub)
    hub.seed("models", "org/gated", {"README.md": make_card(0.999)}, gated="manual")
    assert _look().rows[0].model == "org/gated"


def test_a_gated_card_is_read_as_soon_as_it_may_be(hub: HubServer) -> None:
    seed_models(hub)
    files = {"README.md": make_card(0.999)}
    hub.seed("models", "org/gated", files, gated="manual")
    _look()
    asked = hub.count("GET", "/org/gated/resolve/")
    hub.seed("models", "org/gated", files, gated=False)
    _look()
    assert hub.count("GET", "/org/gated/resolve/") == asked + 1
    _look()
    assert hub.count("GET", "/org/gated/resolve/") == asked + 1


@pytest.mark.parametrize("dataset", ["ann/absent", "../x", "a b"])
def test_a_data_set_that_is_not_there_is_told(dataset: str, hub: HubServer) -> None:
    with pytest.raises(HubError, match=r"Give .*OWNER/NAME"):
        _look(dataset)


def test_no_network_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="stopped responding after 0 cards"):
        _look()
