"""The Python API: train, evaluate and classify without a command line."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from tiny_runs import make_config, write_quiet_checkpoint

import audio_cls
from audio_cls.cli import train as train_command
from audio_cls.cli.options.config_options import read_config
from audio_cls.errors import SettingError
from audio_cls.presets import list_presets


@pytest.fixture(scope="module")
def run(tone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> audio_cls.Run:
    """A finished run."""
    folder = tmp_path_factory.mktemp("api")
    checkpoint = write_quiet_checkpoint(folder / "checkpoint")
    return audio_cls.train(make_config(tone_folder, checkpoint, folder / "run", epochs=2))


def test_a_run_has_its_folder_results_and_metrics(run: audio_cls.Run) -> None:
    tree = json.loads((run.path / "results.json").read_text("utf-8"))
    assert run.results.schema_version == tree["schema_version"]
    assert run.metrics["accuracy"] == tree["test"]["accuracy"]
    assert all(isinstance(value, float | int) for value in run.metrics.values())
    assert run.results.command == ""  # no command of this package was called


def test_evaluation_of_the_run_gives_its_test_results_again(
    run: audio_cls.Run, tmp_path: Path
) -> None:
    results = audio_cls.evaluate(run.path, output_dir=tmp_path / "out")
    assert results.test == run.results.test
    assert (tmp_path / "out" / "predictions.csv").is_file()


def test_another_data_set_and_split_are_settings(run: audio_cls.Run, tone_folder: Path) -> None:
    results = audio_cls.evaluate(run.path, tone_folder, split="train", max_eval_samples=6)
    assert results.dataset.split["test"].num_examples == 6


def test_a_run_classifies(run: audio_cls.Run, tone_folder: Path) -> None:
    classifier = run.load_classifier()
    path = next(tone_folder.rglob("*.wav"))
    (prediction,), alone = classifier([str(path)]), classifier(path)
    assert prediction == alone and prediction.label in run.results.labels


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"trust_remote_code": "False"}, "give True or False"),
        ({"calibrate": "no"}, "give True or False"),
        ({"lable_column": "x"}, "no setting 'lable_column'.*label_column"),
        ({"epochs": 3}, "epochs"),
    ],
)
def test_an_unknown_setting_is_refused_before_anything_is_read(
    settings: dict[str, object], expected: str
) -> None:
    with pytest.raises(SettingError, match=expected):
        audio_cls.evaluate("/nowhere", **settings)  # type: ignore[arg-type]


def test_several_runs_are_left_to_the_command(tmp_path: Path) -> None:
    cfg = make_config(tmp_path, tmp_path, tmp_path / "run", seeds=(1, 2))
    with pytest.raises(SettingError, match="seeds asks for another number"):
        audio_cls.train(cfg)
    with pytest.raises(SettingError, match="No data set"):
        audio_cls.train(audio_cls.RunConfig())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"epoch": 3}, "There is no setting 'epoch'.*epochs"),
        ({"learning-rate": 1e-3}, "There is no setting 'learning-rate'.*learning_rate"),
        ({"epochs": 1.5}, "--epochs 1.5 is not possible: it must be a whole number"),
        (
            {"batch_size": "8"},
            "--batch-size '8' is not possible: it must be a whole number or 'auto'",
        ),
        (
            {"optimizer": "sgd"},
            "--optimizer 'sgd' is not possible: it must be 'adamw' or 'adamw-8bit'",
        ),
        ({"learning_rate": "1e-3"}, "it must be a number without quotation marks"),
        ({"learning_rate": "fast"}, r"it must be a number\.$"),
        ({"preset": "demo"}, r"audio_cls\.config_from_preset\('demo', \{\.\.\.\}\)"),
        ({"output_dir": ""}, "--output-dir is empty: give a folder"),
        (["epochs", 3], "give a mapping of settings"),
        ({"push_to_hub": 1}, "it must be true or false"),
        ({"epochs": None}, "it must be a whole number"),
    ],
)
def test_settings_of_another_name_or_type_are_refused(
    values: dict[str, object], expected: str
) -> None:
    with pytest.raises(SettingError, match=expected):
        audio_cls.RunConfig.from_flat(values)


def test_lists_whole_numbers_and_former_names_are_settings() -> None:
    cfg = audio_cls.RunConfig.from_flat(
        {"keywords": ["up", "down"], "learning_rate": 1, "prefix_cache_gb": 2, "freeze": "features"}
    )
    assert (cfg.data.keywords, cfg.optim.learning_rate) == (("up", "down"), 1)
    assert cfg.train.feature_cache_gb == 2


def test_a_path_may_be_a_path_or_a_string(run: audio_cls.Run, tmp_path: Path) -> None:
    cfg = audio_cls.RunConfig.from_flat({"dataset": tmp_path, "output_dir": tmp_path / "run"})
    assert (cfg.data.dataset, cfg.train.output_dir) == (str(tmp_path), str(tmp_path / "run"))
    assert audio_cls.Run(str(run.path)) == run  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"path=3 .* give a string or a path"):
        audio_cls.Run(3)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"no option 'calibrat'.*Did you mean calibrate"):
        run.load_classifier(calibrat=True)


def test_a_preset_has_the_same_effect_as_in_the_command() -> None:
    for name in list_presets():
        with click.Context(train_command.main) as ctx:
            train_command.main.parse_args(ctx, ["--preset", name, "--seed", "3"])
            expected = read_config(ctx.params)
        assert audio_cls.config_from_preset(name, {"seed": 3}) == expected


def test_a_preset_allows_no_code(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("trust_remote_code: true\nmodel: a/b")
    with pytest.raises(SettingError, match="which runs code"):
        audio_cls.config_from_preset(tmp_path / "p.yaml")
    cfg = audio_cls.config_from_preset(tmp_path / "p.yaml", {"trust_remote_code": False})
    assert not cfg.model.trust_remote_code


def test_names_that_do_not_exist_are_attribute_errors() -> None:
    assert set(audio_cls.__all__) <= set(dir(audio_cls))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        audio_cls.nothing  # noqa: B018


def test_a_value_of_the_wrong_kind_is_a_setting_error() -> None:
    with pytest.raises(SettingError, match=r"cfg=\{'epochs': 1\} .* give RunConfig\.from_flat"):
        audio_cls.train({"epochs": 1})  # type: ignore[arg-type]
    for name in ("label_map", "compare"):
        with pytest.raises(
            SettingError, match=f"{name}=\\{{'a': 'b'\\}} .*: give a string or a path"
        ):
            audio_cls.evaluate("runs/one", **{name: {"a": "b"}})
