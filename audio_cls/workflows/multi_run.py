"""Several runs of one command: one per seed, fold and case of a sweep."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from audio_cls.command_names import format_command
from audio_cls.config import CountOrAuto, RunConfig, Setting, flag_name, iterate_settings
from audio_cls.distributed.accelerator import check_trackers
from audio_cls.distributed.precision import check_precisions
from audio_cls.distributed.processes import count_processes, is_main_process
from audio_cls.errors import SettingError, count_of, describe_error, list_names, suggest_name
from audio_cls.runs.config_file import list_other_steps
from audio_cls.runs.folder import choose_run_path
from audio_cls.runs.open_folder import check_run_folder
from audio_cls.runs.results import RESULTS_FILE, read_results
from audio_cls.training.open_run import check_settings
from audio_cls.workflows.finished_runs import check_longer, is_done

NOT_SWEPT = {  # settings of output, repetition and model selection; all of the Hub, too
    "output_dir", "overwrite", "resume", "seeds", "sweep", "dry_run", "log", "report_to", "folds",
    "fold", "metric", "metric_goal", "baseline",
}  # fmt: skip
MAX_NAME_LENGTH = 80  # characters of the folder name of a case

Case = dict[str, Any]  # setting name -> value

logger = logging.getLogger(__name__)


def plan_runs(cfg: RunConfig) -> list[RunConfig]:
    """Return the settings of each run, in order; those that were given if it is a single run.

    Several runs write to sub-folders of the run folder: `seed-0`, `fold-1-seed-0`,
    `1-learning_rate=0.001-seed-0`.

    Raises:
        SettingError: Several runs were asked for with a setting that only one can have, or the
            sweep's file names what cannot be swept.
    """
    is_folded = cfg.data.folds is not None and cfg.data.fold is None
    if not is_folded and not cfg.train.seeds and cfg.train.sweep is None:
        return [cfg]
    if cfg.hub.push_to_hub or cfg.train.resume not in ("never", "auto"):
        flag = "--push-to-hub" if cfg.hub.push_to_hub else f"--resume {cfg.train.resume}"
        raise SettingError(
            f"{flag} is for one run, and --seeds, --folds or --sweep make several. Remove it,"
            " and publish or resume one of them afterwards."
        )
    twice = [str(seed) for seed, count in Counter(cfg.train.seeds).items() if count > 1]
    if twice:
        raise SettingError(
            f"--seeds {','.join(map(str, cfg.train.seeds))} names {list_names(twice)} more than"
            " once, and equal runs are no sample. Give each seed once."
        )
    base = choose_run_path(cfg)
    cases, folds, seeds = _list_axes(cfg)
    return [
        _make_run(_set_case(cfg, case), base, _name_case(number, case), fold, seed)
        for number, case in enumerate(cases, start=1)
        for fold in folds
        for seed in seeds
    ]


def _list_axes(cfg: RunConfig) -> tuple[list[Case], Sequence[str | None], Sequence[int | None]]:
    """Return the cases of the sweep, the folds and the seeds; [{}] or [None] without them."""
    is_folded = cfg.data.folds is not None and cfg.data.fold is None
    cases = read_sweep(cfg.train.sweep) if cfg.train.sweep else [{}]
    folds = [str(number + 1) for number in range(cfg.data.folds or 0)] if is_folded else [None]
    return cases, folds, cfg.train.seeds or [None]


def title_runs(cfg: RunConfig) -> list[str]:
    """Return a title for each run of `plan_runs`; an empty one for a single run.

    >>> title_runs(RunConfig.from_flat({"dataset": "a/b", "folds": 2}))
    ['fold 1 of 2', 'fold 2 of 2']
    >>> title_runs(RunConfig.from_flat({"dataset": "a/b", "seeds": (0, 7)}))
    ['seed 0 (1 of 2)', 'seed 7 (2 of 2)']
    """
    cases, folds, seeds = _list_axes(cfg)
    titles = []
    for (number, case), fold, (place, seed) in itertools.product(
        enumerate(cases, start=1), folds, enumerate(seeds, start=1)
    ):
        values = ", ".join(f"{name}={value}" for name, value in case.items())
        parts = [
            f"case {number} of {len(cases)}: {values}" if case else "",
            f"fold {fold} of {len(folds)}" if fold is not None else "",
            f"seed {seed} ({place} of {len(seeds)})" if seed is not None else "",
        ]
        titles.append(", ".join(part for part in parts if part))
    return titles


def describe_cases(cfg: RunConfig, runs: Sequence[RunConfig]) -> list[Case]:
    """Return the settings of the sweep in each run; empty ones without a sweep."""
    names = list(dict.fromkeys(n for c in read_sweep(cfg.train.sweep) for n in c)) if (
        cfg.train.sweep) else []  # fmt: skip
    flat = [{k: v for part in run.to_nested().values() for k, v in part.items()} for run in runs]
    return [{name: values[name] for name in names} for values in flat]


def check_runs(runs: Sequence[RunConfig]) -> None:
    """Check all runs before the first one starts. Call on every process.

    Raises:
        AudioClsError: See `check_precisions`, `check_trackers` and `check_settings`.
        RunFolderError: One of the folders cannot be used, see `check_run_folder`.
    """
    check_precisions([run.train.mixed_precision for run in runs])
    for run in runs:
        check_trackers(run.train.report_to)
        check_settings(run, count_processes())
    for run in runs:
        if is_main_process():
            check_run_folder(choose_run_path(run), run)


def list_unfinished(runs: Sequence[RunConfig]) -> list[RunConfig]:
    """Check all runs, and return those that are not finished with --resume auto.

    Raises:
        SettingError, RunFolderError: See `check_runs`; a run that is done had other settings.
    """
    check_runs(runs)
    rest = [run for run in runs if not is_done(run)]
    for run in rest:
        check_longer(run)
    for run in runs:
        if run not in rest:
            logger.warning("%s", _describe_finished(choose_run_path(run), run))
    return rest


def _describe_finished(path: Path, cfg: RunConfig) -> str:
    """Return the line for a finished run: its result, and how to publish it."""
    results = read_results(path / RESULTS_FILE)
    value, clips = results.test.get(results.metric or ""), results.test.get("num_examples")
    result = ""
    if isinstance(value, int | float):
        size = f" on {count_of(clips, 'clip')}" if clips else ""
        result = f" test {str(results.metric).replace('_', ' ')} {value:.4f}{size};"
    return (
        f"The run in '{path}' is finished:{result} nothing to do.{_name_unused(path, cfg)}"
        f" To publish it: {format_command('publish', path)}"
    )


def _name_unused(path: Path, cfg: RunConfig) -> str:
    """Return a sentence with the settings that have no effect on a finished run."""
    changed = list_other_steps(path, cfg)
    return f" Without effect: {'; '.join(changed)}." if changed else ""


def read_sweep(file: str) -> list[Case]:
    """Read the cases of a sweep.

    Args:
        file: YAML: a mapping of settings to lists of values, of which every combination is a case;
            or a list of mappings, each a case.

    Raises:
        SettingError: The file cannot be read, or names settings or values that cannot be swept.
    """
    try:
        tree = yaml.safe_load(Path(file).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = describe_error(error)
        raise SettingError(f"--sweep {file} cannot be read ({reason}). Check the file.") from error
    is_grid = isinstance(tree, Mapping) and all(isinstance(v, list) and v for v in tree.values())
    if is_grid and tree:
        rows = [dict(zip(tree, row, strict=True)) for row in itertools.product(*tree.values())]
    elif isinstance(tree, list) and tree and all(isinstance(case, Mapping) for case in tree):
        rows = [dict(case) for case in tree]
    else:
        raise SettingError(
            f"--sweep {file} must be a mapping of settings to lists (`learning_rate: [1e-4, 1e-3]`)"
            " or a list of mappings (`- {learning_rate: 1e-4, epochs: 3}`)."
        )
    known = {one.name: one for one in iterate_settings()}
    _check_names(file, list(dict.fromkeys(name for row in rows for name in row)), known)
    cases = [{name: _convert(known[name], value) for name, value in row.items()} for row in rows]
    equal = [str(n) for n, case in enumerate(cases, start=1) if case in cases[: n - 1]]
    if equal:
        raise SettingError(
            f"--sweep {file}: case {list_names(equal)} equals an earlier one, and equal runs are no"
            " sample. Give each case once."
        )
    return cases


def _check_names(file: str, names: Sequence[str], known: Mapping[str, Setting]) -> None:
    """Check that the settings exist and can be swept; the error names all that do not."""
    faults = [
        f"there is no setting '{name}': docs/settings.md has all of them."
        f"{suggest_name(str(name), known)}"
        for name in names
        if name not in known
    ]
    fixed = [name for name in names if name in known
             and (name in NOT_SWEPT or known[name].section == "hub")]  # fmt: skip
    if fixed:
        single = [name for name in fixed if name in ("push_to_hub", "resume", "sweep")]
        flags = [flag_name(name) for name in fixed if name not in single]
        shared = f" {list_names(flags)} on the command line holds for all runs." if flags else ""
        faults.append(f"{list_names(fixed)} cannot be swept: remove it from the file.{shared}")
    if faults:
        raise SettingError(f"--sweep {file}: {' '.join(faults)}")


def _convert(one: Setting, value: Any) -> Any:  # noqa: ANN401 (a setting may have any type)
    """Convert a YAML value to its setting's type: there, 1e-4 is a string and a tuple a list."""
    value = one.read_yaml(value)
    text = "" if value is None else str(value)
    if value is None and one.is_optional:
        return None
    try:
        if one.type in (int, float) and not isinstance(value, bool):
            return one.type(text)
        if one.type == CountOrAuto:
            return value if value == "auto" else int(text)
    except ValueError:
        pass
    else:
        if isinstance(value, list):
            return tuple(value)
        is_word = isinstance(value, str) and one.type is str
        if is_word or value in one.choices or (one.type is bool and isinstance(value, bool)):
            return value
    kind = list_names(one.choices) or getattr(one.type, "__name__", "other")
    raise SettingError(f"--sweep: {one.name} cannot be {value!r}; it takes {kind}.")


def _set_case(cfg: RunConfig, case: Case) -> RunConfig:
    """Return the settings with a case's values."""
    sections: dict[str, Case] = {}
    for one in iterate_settings():
        if one.name in case:
            sections.setdefault(one.section, {})[one.name] = case[one.name]
    parts: dict[str, Any] = {
        name: dataclasses.replace(getattr(cfg, name), **values) for name, values in sections.items()
    }
    return dataclasses.replace(cfg, **parts)


def _name_case(number: int, case: Case) -> str:
    """Name the folder of a case.

    >>> _name_case(2, {"learning_rate": 1e-3, "model": "a/b"})
    '2-learning_rate=0.001-model=a_b'
    """
    if not case:
        return ""
    name = "-".join([str(number), *(f"{key}={value}" for key, value in case.items())])
    return re.sub(r"[^\w.=-]+", "_", name)[:MAX_NAME_LENGTH]


def _make_run(
    cfg: RunConfig, base: Path, case: str, fold: str | None, seed: int | None
) -> RunConfig:
    """Return the settings of one case, fold and seed, in a sub-folder named after them."""
    data, name = cfg.data, [case] if case else []
    train = dataclasses.replace(cfg.train, seeds=(), sweep=None)
    if fold is not None:
        data = dataclasses.replace(data, fold=fold)
        name.append(f"fold-{fold}")
    if seed is not None:
        train = dataclasses.replace(train, seed=seed)
        name.append(f"seed-{seed}")
    train = dataclasses.replace(train, output_dir=str(base / "-".join(name)))
    return dataclasses.replace(cfg, data=data, train=train)
