"""Many pushes to a Hub that fails often: every one ends whole or says how to go on.

    AUDIO_CLS_PUSHES=200 python -m pytest -s -m slow tests/publishing/hub/test_many_pushes.py

prints the counts.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_run import PUBLISHED, count_commits, read_all
from hub_server import HubServer

from audio_cls.config import HubConfig
from audio_cls.publishing.hub.push import push_run

NUM_PUSHES = int(os.environ.get("AUDIO_CLS_PUSHES", "40"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["status", "lose"])
@pytest.mark.usefixtures("logged_in")
def test_pushes_with_30_percent_of_the_writes_failing_are_whole_or_told(
    kind: str, hub: HubServer, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = read_all(run)
    fault = hub.fail_randomly(0.3, seed=5)
    fault.kind = kind  # "lose": the work is done, and the answer never comes
    whole, later, repeated = 0, 0, 0
    for number in range(NUM_PUSHES):
        repo_id = f"tester/run-{number}"
        caplog.clear()
        done = push_run(run, HubConfig(), repo_id)
        repo = hub.repos.get(("models", repo_id))
        files = set(repo.resolve("main").files) - {".gitattributes"} if repo else set()
        assert files in (set(), PUBLISHED)  # no half commit
        if done:
            whole += 1
            assert files == PUBLISHED
        else:
            later += 1
            assert "publish it later" in caplog.records[-1].getMessage()
        commits = len(repo.history(repo.resolve("main"))) - 1 if repo else 0
        repeated += commits > 1
    assert read_all(run) == before
    assert repeated == 0 and whole + later == NUM_PUSHES and whole >= 0.9 * NUM_PUSHES
    print(f"\n{kind}: {whole} whole, {later} told, {count_commits(hub)} commits answered")  # noqa: T201
