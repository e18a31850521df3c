"""Several runs of one command."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_cls.config import RunConfig
from audio_cls.errors import RunFolderError, SettingError
from audio_cls.presets import parse_preset
from audio_cls.runs.config_file import save_run_config
from audio_cls.runs.open_folder import open_run_folder
from audio_cls.runs.resolved import ResolvedRun
from audio_cls.workflows.multi_run import describe_cases, list_unfinished, plan_runs, title_runs


def test_a_single_run_keeps_its_settings() -> None:
    cfg = RunConfig.from_flat({"dataset": "a/b", "folds": 5, "fold": "2"})
    assert plan_runs(cfg) == [cfg]


def test_every_fold_has_every_seed_and_a_folder() -> None:
    cfg = RunConfig.from_flat({"dataset": "a/b", "folds": 2, "seeds": (0, 7), "output_dir": "r"})
    runs = plan_runs(cfg)
    found = [(run.data.fold, run.train.seed, run.train.output_dir) for run in runs]
    assert found == [
        ("1", 0, "r/fold-1-seed-0"),
        ("1", 7, "r/fold-1-seed-7"),
        ("2", 0, "r/fold-2-seed-0"),
        ("2", 7, "r/fold-2-seed-7"),
    ]
    assert all(plan_runs(run) == [run] for run in runs)
    assert title_runs(cfg) == [
        "fold 1 of 2, seed 0 (1 of 2)",
        "fold 1 of 2, seed 7 (2 of 2)",
        "fold 2 of 2, seed 0 (1 of 2)",
        "fold 2 of 2, seed 7 (2 of 2)",
    ]
    assert title_runs(runs[0]) == [""]


@pytest.mark.parametrize("other", [{"push_to_hub": True}, {"resume": "some/checkpoint"}])
def test_settings_of_a_single_run_are_refused_with_several(other: dict[str, object]) -> None:
    cfg = RunConfig.from_flat({"dataset": "a/b", "seeds": (0, 1), **other})
    with pytest.raises(SettingError, match="is for one run"):
        plan_runs(cfg)


def _sweep(folder: Path, text: str, **changes: object) -> RunConfig:
    """Return the settings of a sweep with a file of that text."""
    (folder / "sweep.yaml").write_text(text)
    values = {"dataset": "a/b", "output_dir": "r", "sweep": str(folder / "sweep.yaml")}
    return RunConfig.from_flat({**values, **changes})


def test_a_grid_has_all_combinations_with_all_seeds(tmp_path: Path) -> None:
    text = "learning_rate: [1e-4, 0.001]\nbatch_size: [4, auto]"
    cfg = _sweep(tmp_path, text, seeds=(0, 1))
    runs = plan_runs(cfg)
    assert len(runs) == 8
    assert [run.optim.learning_rate for run in runs] == [1e-4] * 4 + [1e-3] * 4
    assert [run.train.batch_size for run in runs[::2]] == [4, "auto", 4, "auto"]
    assert runs[3].train.output_dir == "r/2-learning_rate=0.0001-batch_size=auto-seed-1"
    assert title_runs(cfg)[3] == (
        "case 2 of 4: learning_rate=0.0001, batch_size=auto, seed 1 (2 of 2)"
    )
    assert describe_cases(cfg, runs)[2] == {"learning_rate": 1e-4, "batch_size": "auto"}
    assert all(plan_runs(run) == [run] for run in runs)


def test_listed_cases_are_used_as_they_are(tmp_path: Path) -> None:
    runs = plan_runs(_sweep(tmp_path, "- {epochs: 2}\n- {epochs: 3, scheduler: cosine}"))
    assert [(run.train.epochs, run.optim.scheduler) for run in runs] == [
        (2, "linear"), (3, "cosine"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: [1]", r"no setting 'learning_rat'.*learning_rate"),
        ("seeds: [[0, 1]]", r"seeds cannot be swept"),
        ("push_to_hub: [true]", r"push_to_hub cannot be swept"),
        ("learning_rate: [fast]", r"learning_rate cannot be 'fast'; it takes float"),
        ("scheduler: [lineal]", r"scheduler cannot be 'lineal'; it takes linear, cosine"),
        ("learning_rate: 3", r"mapping of settings to lists"),
        ("learning_rate: [1e-3, 0.01, 0.001]", r"case 3 equals an earlier one"),
        ("epochs: [0]", r"--epochs 0 is not possible"),
        ("a: [", r"cannot be read"),
    ],
)
def test_settings_that_cannot_be_swept_are_refused_before_the_first_run(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        plan_runs(_sweep(tmp_path, text))


def _finish_run(path: Path, cfg: RunConfig) -> None:
    """Write the files of a finished run."""
    open_run_folder(path, cfg).close()
    save_run_config(path, cfg, ResolvedRun(), {})
    (path / "model.safetensors").touch()
    (path / "results.json").write_text('{"test": {"accuracy": 1.0}}')
    (path / "README.md").touch()


def test_a_resumed_sweep_does_not_repeat_finished_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = str(tmp_path / "r")
    runs = plan_runs(_sweep(tmp_path, "epochs: [1, 2]", output_dir=out, resume="auto"))
    done = Path(str(runs[0].train.output_dir))
    assert list_unfinished(runs) == runs
    _finish_run(done, runs[0])
    assert list_unfinished(runs) == runs[1:]
    assert f"The run in '{done}' is finished: nothing to do." in caplog.text


@pytest.mark.parametrize(
    ("name", "text"),
    [("results.json", ""), ("results.json", '{"test": {"accu'), ("README.md", None)],
)
def test_a_run_without_whole_results_or_card_is_not_finished(
    tmp_path: Path, name: str, text: str | None
) -> None:
    run = RunConfig.from_flat({"dataset": "a/b", "output_dir": str(tmp_path), "resume": "auto"})
    _finish_run(tmp_path, run)
    assert list_unfinished([run]) == []
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text)
    assert list_unfinished([run]) == [run]


def test_the_result_of_a_finished_run_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunConfig.from_flat({"dataset": "a/b", "output_dir": str(tmp_path), "resume": "auto"})
    _finish_run(tmp_path, run)
    results = '{"metric": "f1_macro", "test": {"f1_macro": 0.51234, "num_examples": 30}}'
    (tmp_path / "results.json").write_text(results)
    assert list_unfinished([run]) == []
    assert "is finished: test f1 macro 0.5123 on 30 clips; nothing to do." in caplog.text
    assert f"publish {tmp_path}" in caplog.text


def test_a_finished_run_is_resumed_to_be_longer(tmp_path: Path) -> None:
    values = {"dataset": "a/b", "output_dir": str(tmp_path), "resume": "auto", "epochs": 3}
    _finish_run(tmp_path, RunConfig.from_flat(values))
    (tmp_path / "checkpoints" / "step-3").mkdir(parents=True)
    longer = RunConfig.from_flat({**values, "epochs": 4})
    assert list_unfinished([longer]) == [longer]
    assert list_unfinished([RunConfig.from_flat({**values, "limitations": "None known."})]) == []


def test_a_finished_run_without_checkpoints_cannot_be_longer(tmp_path: Path) -> None:
    """It would start again from the beginning, and replace its model."""
    values = {"dataset": "a/b", "output_dir": str(tmp_path), "resume": "auto", "epochs": 3}
    _finish_run(tmp_path, RunConfig.from_flat(values))
    assert list_unfinished([RunConfig.from_flat(values)]) == []
    longer = RunConfig.from_flat({**values, "epochs": 4})
    with pytest.raises(RunFolderError, match=r"no checkpoints .*--epochs 3 is now 4.*--model "):
        list_unfinished([longer])


def test_settings_without_effect_on_a_finished_run_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = {"dataset": "a/b", "output_dir": str(tmp_path), "resume": "auto", "batch_size": 8}
    _finish_run(tmp_path, RunConfig.from_flat(values))
    assert list_unfinished([RunConfig.from_flat({**values, "batch_size": "auto"})]) == []
    assert "Without effect" not in caplog.text  # 8 is what it came to
    assert list_unfinished([RunConfig.from_flat({**values, "batch_size": 4})]) == []
    assert "Without effect: --batch-size 8 is now 4. To publish" in caplog.text


def test_a_seed_that_is_given_twice_is_refused() -> None:
    cfg = RunConfig.from_flat({"dataset": "a/b", "seeds": (0, 1, 0)})
    with pytest.raises(SettingError, match=r"--seeds 0,1,0 names 0 more than once"):
        plan_runs(cfg)


def test_seeds_may_come_in_any_order() -> None:
    cfg = RunConfig.from_flat({"dataset": "a/b", "seeds": (1, 0), "output_dir": "r"})
    assert [run.train.seed for run in plan_runs(cfg)] == [1, 0]
    with pytest.raises(SettingError, match="give the lower number first"):
        RunConfig.from_flat({"speed_range": (1.1, 0.9)})


def test_an_unquoted_no_of_a_yaml_file_is_the_choice_no(tmp_path: Path) -> None:
    runs = plan_runs(_sweep(tmp_path, "mixed_precision: [no, bf16]"))
    assert [run.train.mixed_precision for run in runs] == ["no", "bf16"]
    preset = parse_preset("own", "train: {mixed_precision: no}")
    assert RunConfig.from_flat(preset.values).train.mixed_precision == "no"


def test_no_run_starts_if_a_later_one_cannot(tmp_path: Path) -> None:
    out = tmp_path / "r"
    runs = plan_runs(_sweep(tmp_path, "effective_batch_size: [8, 12]", output_dir=str(out)))
    with pytest.raises(SettingError, match="--effective-batch-size 12 is not a multiple of 8"):
        list_unfinished(runs)
    runs = plan_runs(_sweep(tmp_path, "epochs: [1, 2]", output_dir=str(out)))
    taken = Path(str(runs[1].train.output_dir))
    taken.mkdir(parents=True)
    (taken / "thesis.tex").touch()
    with pytest.raises(RunFolderError, match=r"2-epochs=2.*thesis\.tex"):
        list_unfinished(runs)
