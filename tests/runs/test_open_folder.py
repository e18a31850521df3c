"""Opening of a run folder: lock, empty and other folders, the table of its files."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from audio_cls.config import RunConfig
from audio_cls.errors import RunFolderError
from audio_cls.publishing.hub.files import is_public
from audio_cls.runs import open_folder
from audio_cls.runs.config_file import save_run_config
from audio_cls.runs.open_folder import (
    check_run_folder,
    clear_run_folder,
    discard_failed_start,
    has_progress,
    open_run_folder,
)
from audio_cls.runs.resolved import ResolvedRun
from audio_cls.runs.run_files import RUN_FILES

HOLD = """
import sys, time
from pathlib import Path
from audio_cls.storage.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.acquire()
print("locked", flush=True)
time.sleep(60)
"""


def _config(**changes: object) -> RunConfig:
    return RunConfig.from_flat({"dataset": "owner/name", **changes})


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Return a process that holds the lock of the run folder tmp_path/run."""
    (tmp_path / "run").mkdir()
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run" / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_with_process_and_host_of_the_first(
    tmp_path: Path, other_process: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_folder, "LOCK_SECONDS", 0.3)
    expected = rf"in use by process {other_process.pid} on {socket.gethostname()}"
    for changes in ({}, {"resume": "auto"}, {"overwrite": True}):
        with pytest.raises(RunFolderError, match=expected):
            open_run_folder(tmp_path / "run", _config(**changes))


def test_a_process_that_ends_is_waited_for(
    tmp_path: Path, other_process: subprocess.Popen[str]
) -> None:
    other_process.kill()
    folder = open_run_folder(tmp_path / "run", _config())
    folder.close()
    assert list(folder.path.iterdir()) == []


def test_a_run_that_ended_before_its_first_step_counts_as_an_empty_folder(tmp_path: Path) -> None:
    save_run_config(tmp_path, _config(learning_rate=1e-3), ResolvedRun(), {})
    (tmp_path / "logs").mkdir()
    (tmp_path / "splits").mkdir()
    assert not has_progress(tmp_path)
    for changes in ({}, {"resume": "auto"}, {"overwrite": True}):
        check_run_folder(tmp_path, _config(**changes))
    open_run_folder(tmp_path, _config(resume="auto")).close()
    assert {path.name for path in tmp_path.iterdir()} <= {"logs"}
    save_run_config(tmp_path, _config(), ResolvedRun(), {})
    (tmp_path / "checkpoints" / "step-3").mkdir(parents=True)
    with pytest.raises(RunFolderError, match="holds another run"):
        check_run_folder(tmp_path, _config())


def test_a_failed_start_removes_what_it_wrote_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "one"
    folder = open_run_folder(path, _config())
    save_run_config(path, _config(), ResolvedRun(), {})
    (path / "splits").mkdir()
    (path / "splits" / "train.txt").touch()
    discard_failed_start(folder)
    assert list(tmp_path.iterdir()) == []  # the folder `runs` is gone, too
    path.mkdir(parents=True)
    folder = open_run_folder(path, _config())
    (path / "thesis.tex").touch()
    save_run_config(path, _config(), ResolvedRun(), {})
    discard_failed_start(folder)
    assert [entry.name for entry in path.iterdir()] == ["thesis.tex"]


def test_a_replaced_run_that_fails_at_its_start_leaves_a_folder_that_can_be_used(
    tmp_path: Path,
) -> None:
    for name in ("figures", "splits"):
        (tmp_path / name).mkdir()
    for name in ("model.safetensors", "README.md", "thesis.tex"):
        (tmp_path / name).touch()
    save_run_config(tmp_path, _config(), ResolvedRun(), {})
    folder = open_run_folder(tmp_path, _config(overwrite=True))
    clear_run_folder(tmp_path)
    save_run_config(tmp_path, _config(), ResolvedRun(), {})
    (tmp_path / "figures").mkdir()
    discard_failed_start(folder)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_that_was_killed_at_its_start_leaves_a_folder_that_can_be_used(
    tmp_path: Path,
) -> None:
    save_run_config(tmp_path, _config(), ResolvedRun(), {})
    for name in ("figures", "splits"):
        (tmp_path / name).mkdir()
    discard_failed_start(open_run_folder(tmp_path, _config()))
    check_run_folder(tmp_path, _config())
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_cannot_be_a_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    for name in ("link", "loop/run", "file/run", "a" * 300):
        for check in (check_run_folder, open_run_folder):
            with pytest.raises(RunFolderError, match="cannot be written") as caught:
                check(tmp_path / name, _config())
            assert str(caught.value).endswith("). Choose another --output-dir.")
    assert {entry.name for entry in tmp_path.iterdir()} == {"link", "loop", "file"}


@pytest.mark.parametrize("trained", ["checkpoints/step-3", "logs"])
def test_a_failed_run_that_has_trained_keeps_its_files(tmp_path: Path, trained: str) -> None:
    folder = open_run_folder(tmp_path, _config())
    save_run_config(tmp_path, _config(), ResolvedRun(), {})
    (tmp_path / trained).mkdir(parents=True)
    discard_failed_start(folder)
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "run_config.yaml", trained.split("/")[0],
    }  # fmt: skip


def test_a_refused_folder_is_not_touched(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="--resume typo: there is no checkpoint"):
        open_run_folder(tmp_path / "new" / "run", _config(resume="typo"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "notes.md").touch()
    with pytest.raises(RunFolderError, match=r"is not empty \(notes\.md\)"):
        open_run_folder(tmp_path, _config())
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.md"]


def test_the_check_of_a_run_folder_imports_no_heavy_library() -> None:
    code = (
        "import sys; import audio_cls.runs.open_folder\n"
        "print({'torch', 'datasets', 'transformers', 'pyarrow'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_overwrite_removes_every_file_of_the_table_and_no_other(tmp_path: Path) -> None:
    save_run_config(tmp_path, _config(), ResolvedRun(), {})
    for one in RUN_FILES:
        file = tmp_path / one.name.replace("*", "1").replace("step-N/", "step-3/trainer_state.json")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "notes.md").touch()
    open_run_folder(tmp_path, _config(overwrite=True)).close()
    clear_run_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.md"]


def test_what_is_published_is_in_the_table_and_private_files_are_not_among_it() -> None:
    assert {one.name for one in RUN_FILES if not one.published} == {
        *("clips.csv", "splits/groups.csv", "logs/*", "streamed/*", "checkpoints/step-N/"),
        *("figures/*.csv", "eval-*/*", "candidates/NAME/*"),
        *("refit/plan.json", "refit/summary.csv", "refit/checkpoints/step-N/"),
    }
    assert is_public("splits/test.txt") and not is_public("splits/groups.csv")
    assert not is_public("checkpoints/step-3/trainer_state.json")
    assert not is_public("candidates/probe/model.safetensors")
