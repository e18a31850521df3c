"""A disk that is full at every file in turn, and folders that cannot be written.

The run folder, the caches or the temporary files are on a file system of their own (tmpfs) with
room for N files or N bytes. Afterwards it has more room, and the same command continues.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_cases import Lab, check_refusal, count_survivors

FULL = ("No space left", "full", "cannot be written")


def _mount(folder: Path, options: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[list[Path]]:
    """Return the list of what is unmounted at the end."""
    if os.geteuid() != 0:
        pytest.skip("only the superuser may mount a tmpfs")
    try:
        _mount(tmp_path / "try", "size=1m")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system, such as a container, lets nobody mount a tmpfs")
    mounted = [tmp_path / "try"]
    yield mounted
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _spread(rng: random.Random, num: int, cases: int) -> list[int]:
    """Return up to `cases` of the numbers below `num`, in order; all of them if there are few."""
    return sorted(rng.sample(range(num), min(num, cases)))


@pytest.mark.parametrize("name", ["train", "evaluate", "predict"])
@pytest.mark.parametrize("place", ["out", "hf", "tmp"])
@pytest.mark.parametrize("limit", ["nr_inodes", "size"])
def test_a_full_disk_costs_nothing(
    name: str, place: str, limit: str, lab: Lab, tmp_path: Path, mounts: list[Path]
) -> None:
    reference, _ = lab.whole(name)
    files = [path for path in (reference.root / place).rglob("*") if path.exists()]
    if place == "tmp":
        most, step = 4, 1 if limit == "nr_inodes" else 4096
    elif limit == "nr_inodes":  # temporary files, and those that are replaced, come on top
        most, step = 2 * len(files) + 6, 1
    else:
        most, step = sum(-(-path.stat().st_size // 4096) for path in files), 4096
    cases: dict[str, Callable[[], None]] = {}
    for number in _spread(random.Random(f"{name}{place}{limit}"), max(1, most), lab.num_cases):
        value = (number + 2) * step

        def run(value: int = value) -> None:
            case = lab.make_case(name, tmp_path / f"{value}")
            _mount(case.root / place, f"{limit}={value}")
            mounts.append(case.root / place)
            command = case.start()
            code = command.wait()
            if code != 0:
                check_refusal(command, *FULL)
            assert not command.wait_for_left()
            remount = f"remount,size={2**26},nr_inodes=100000"
            subprocess.run(["mount", "-o", remount, str(case.root / place)], check=True)
            right = reference.read()
            if code == 0:
                assert case.read() == right, "another result, and exit code 0"
            else:
                for file, content in case.read().items():
                    assert file == "model.safetensors" or content == right[file], f"half of {file}"
                case.check_again(right, reference=reference)

        cases[f"{limit}={value}"] = run
    count_survivors(f"full disk, {name}, {place}, {limit}", cases)


@pytest.mark.parametrize("name", ["train", "evaluate", "predict"])
@pytest.mark.parametrize("place", ["out", "hf", "tmp"])
def test_a_folder_that_cannot_be_written_is_one_line_or_no_matter(
    name: str, place: str, lab: Lab, tmp_path: Path
) -> None:
    reference, _ = lab.whole(name)
    case = lab.make_case(name, tmp_path)
    (tmp_path / place).mkdir()
    (tmp_path / place).chmod(0o555)
    command = case.start(obeys_permissions=True)
    code = command.wait()
    (tmp_path / place).chmod(0o755)
    if code != 0:
        check_refusal(command, "cannot be written", "Permission denied", "No usable temporary")
        case.check_again(reference.read(), reference=reference)
    else:
        assert case.read() == reference.read()
