"""Python API: train a classifier, evaluate one, and read the results.

    import audio_cls

    cfg = audio_cls.RunConfig.from_flat({"dataset": "marsyas/gtzan", "epochs": 10})
    run = audio_cls.train(cfg)
    print(run.metrics["accuracy"], run.path)
    results = audio_cls.evaluate(run.path, "my_clips", label_column="genre")
    classifier = audio_cls.Classifier.from_pretrained(run.path)

The names of settings are those of `audio-cls train --help` with `_` for `-`. Several processes need
a launcher: `accelerate launch script.py`, where the script calls `train`.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_cls.config import RunConfig, drop_unused
from audio_cls.config.evaluation import EVALUATE_SETTINGS
from audio_cls.errors import SettingError, list_names, suggest_name
from audio_cls.inference.classifier import Classifier
from audio_cls.presets import load_preset
from audio_cls.runs.results import RESULTS_FILE, RunResults, read_results
from audio_cls.versions import warn_other_versions
from audio_cls.workflows.evaluate import EvaluateRequest, run_evaluation
from audio_cls.workflows.train import run_all


@dataclass(frozen=True)
class Run:
    """A finished training run: its folder, and what it holds."""

    path: Path

    def __post_init__(self) -> None:
        """Accept the path as a string, too.

        Raises:
            SettingError: It is neither.
        """
        object.__setattr__(self, "path", Path(_check_text("path", self.path)))

    @property
    def results(self) -> RunResults:
        """The content of results.json."""
        return read_results(self.path / RESULTS_FILE)

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics on the test split, by name."""
        return self.results.metrics

    def load_classifier(self, **options: Any) -> Classifier:  # noqa: ANN401 (see from_pretrained)
        """Load the model for inference; `options` are those of `Classifier.from_pretrained`.

        Raises:
            SettingError: An unknown option.
        """
        known = list(inspect.signature(Classifier.from_pretrained).parameters)[1:]
        for name in options:
            if name not in known:
                raise SettingError(
                    f"load_classifier has no option '{name}': it takes {list_names(known)}."
                    f"{suggest_name(name, known)}"
                )
        return Classifier.from_pretrained(str(self.path), **options)


def config_from_preset(preset: str | Path, values: Mapping[str, Any] | None = None) -> RunConfig:
    """Return the settings of a preset with some of your own, as `audio-cls train --preset` has.

    Args:
        preset: Name of a shipped preset, or a YAML file.
        values: `{setting name: value}`; they take precedence over those of the preset.

    Raises:
        SettingError: There is no such preset, a setting cannot be used, or the preset runs code
            that `values` does not allow.
    """
    given = dict(values or {})
    found = load_preset(str(_check_text("preset", preset)))
    dataset = None if given.get("dataset") is None else str(given["dataset"])
    chosen = found.choose_values(dataset) | found.choose_folder(given.get("resume"))
    if given.get("resume", "never") == "never":
        warn_other_versions(found.record)
    own = {n: v for n, v in chosen.items() if n not in found.list_unrelated(dataset)}
    code = ["trust_remote_code", *(["augment"] if found.comes_with_model else [])]
    for name in code:
        if own.get(name) and name not in given:
            raise SettingError(
                f"{preset} sets {name}, which runs code; a preset cannot allow that. Read the code,"
                f" then give {name} here."
            )
    return RunConfig.from_flat(drop_unused({**own, **given}, keep=given))


def train(cfg: RunConfig) -> Run:
    """Train a classifier, evaluate it on the test split and write its model card.

    Args:
        cfg: All settings; `RunConfig.from_flat({name: value})` takes them by their names alone.

    Returns:
        The finished run.

    Raises:
        SettingError: The settings ask for several runs or for a dry run, which the command does.
        AudioClsError: The data set, the model or a setting cannot be used; the text has the reason.
    """
    if not isinstance(cfg, RunConfig):
        raise SettingError(f"cfg={cfg!r} is not possible: give RunConfig.from_flat({{...}}).")
    cfg.data.require_dataset()
    several = {"seeds": cfg.train.seeds, "sweep": cfg.train.sweep, "dry_run": cfg.train.dry_run}
    wanted = [name for name, value in several.items() if value]
    if wanted or (cfg.data.folds is not None and cfg.data.fold is None):
        raise SettingError(
            f"audio_cls.train does one run, and {list_names(wanted or ['folds'])} asks for another"
            " number: use the command `audio-cls train`, or call audio_cls.train in a loop."
        )
    (path,) = run_all(cfg)
    return Run(path)


def evaluate(
    model: str | Path,
    dataset: str | Path | None = None,
    *,
    split: str = "test",
    output_dir: str | Path | None = None,
    **settings: Any,  # noqa: ANN401 (a setting may have any type)
) -> RunResults:
    """Evaluate a trained classifier on one split of a data set.

    Args:
        model: A run folder, or the Hub id of an audio classifier.
        dataset: Hub id or folder; default: the data set of the model's run.
        split: Name of the split: `test`, `validation`, `train` or one of the data set's names.
        output_dir: Where results.json, predictions.csv and the figures go; default: nowhere.
        settings: Settings of the data set and of the evaluation, such as `label_column`, and the
            options of `audio-cls evaluate`, such as `label_map` or `calibrate`.

    Returns:
        The content of results.json.

    Raises:
        SettingError: An unknown setting.
        AudioClsError: The model or the data set cannot be used; the text has the reason.
    """
    options: dict[str, Any] = {"model_revision": None, "label_map": None, "compare": None}
    flags = ("trust_remote_code", "calibrate", "update_card", "overwrite")
    options |= dict.fromkeys(flags, False)
    known = [*EVALUATE_SETTINGS, *options]
    for name in settings:
        if name not in known:
            raise SettingError(
                f"audio_cls.evaluate has no setting '{name}': it takes {list_names(known)}."
                f"{suggest_name(name, known)}"
            )
    options |= {name: settings.pop(name) for name in list(settings) if name in options}
    for name in ("label_map", "compare"):
        if options[name] is not None:
            options[name] = Path(_check_text(name, options[name]))
    for name in flags:
        if not isinstance(options[name], bool):
            raise SettingError(f"{name}={options[name]!r} is not possible: give True or False.")
    _check_text("model", model)
    _check_text("split", split)
    typed = dict(settings)
    if dataset is not None:
        typed = {"dataset": str(_check_text("dataset", dataset)), **settings}
    if output_dir is not None:
        _check_text("output_dir", output_dir)
    if options["model_revision"] is not None:
        _check_text("model_revision", options["model_revision"])
    with tempfile.TemporaryDirectory(prefix="audio_cls_evaluate_") as temporary:
        folder = Path(output_dir or temporary)
        request = EvaluateRequest(
            output_dir=folder,
            model=str(model),
            split=split,
            predictions=None,
            aggregate=(),
            **options,
        )
        run_evaluation(request, typed, {})
        return read_results(folder / RESULTS_FILE)


def _check_text(name: str, value: Any) -> Any:  # noqa: ANN401 (what a caller gave)
    """Return a name or path as it is.

    Raises:
        SettingError: It is neither text nor a path.
    """
    if not isinstance(value, str | Path):
        raise SettingError(f"{name}={value!r} is not possible: give a string or a path.")
    return value
