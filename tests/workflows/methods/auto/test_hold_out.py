"""Choice on held-out training clips, and training of the kept candidate on all clips."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import make_config, write_quiet_checkpoint

from audio_cls.config import RunConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.prepare import PreparedClips
from audio_cls.data.splits.split_check import SHARED_GROUPS
from audio_cls.evaluation.candidates import choose_candidate
from audio_cls.evaluation.scorer import Scorer
from audio_cls.runs.results import read_results
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.workflows.methods.auto import retrain
from audio_cls.workflows.methods.auto.candidate import train_candidate
from audio_cls.workflows.methods.auto.hold_out import Choice, plan_choice
from audio_cls.workflows.summary import summarize_training
from audio_cls.workflows.train import run_training

AUTO = "audio_cls.workflows.methods.auto.auto"


def _choose(
    num_validation: int = 0,
    verdict: str = "disjoint",
    groups: list[str] | None = None,
    folds: list[str] | None = None,
    **changes: Any,  # noqa: ANN401
) -> Choice:
    """Plan the choice for 40 training clips of two classes, and some validation clips."""
    ids = np.array([f"clip-{number}" for number in range(40 + num_validation)])
    clips = Clips(
        table=None,  # type: ignore[arg-type]
        rows=np.arange(len(ids)),
        labels=np.arange(len(ids)) % 2,
        ids=ids,
        lengths=np.full(len(ids), 100),
        sampling_rate=16000,
        groups=None if groups is None else np.array(groups),
    )
    parts = [np.arange(40), np.arange(40, len(ids))]
    train, validation = (
        dataclasses.replace(
            clips,
            **{name: getattr(clips, name)[part] for name in ("rows", "labels", "ids", "lengths")},
            groups=None if clips.groups is None else clips.groups[part],
        )
        for part in parts
    )
    prepared = PreparedClips(
        *(train, validation, validation),
        splits=None,  # type: ignore[arg-type]
        num_available={},
        check={"verdict": verdict},
        bad={},
        duplicates=[],
        are_duplicates_dropped=False,
        near_duplicates=[],
        groups=[(clip, "", fold) for clip, fold in zip(ids, folds or [""] * len(ids), strict=True)],
    )
    given = MethodInputs(
        cfg=RunConfig.from_flat({"method": "auto", **changes}),
        clips=prepared,
        labels=SimpleNamespace(names=("a", "b")),  # type: ignore[arg-type]
        epoch_labels=train.labels,
        **dict.fromkeys(("accelerator", "folder", "dataset", "audio_model", "clock")),  # type: ignore[arg-type]
        load_model=None,  # type: ignore[arg-type]
    )
    return plan_choice(given)


def _read_ids(clips: Any) -> set[str]:  # noqa: ANN401
    return set(clips.ids.tolist())


def test_validation_clips_choose_where_they_can() -> None:
    choice = _choose(10)
    assert (choice.again, choice.held_out, len(choice.inputs.clips.train)) == (None, None, 40)
    choice = _choose(10, refit=True)
    assert choice.held_out is None and len(choice.inputs.clips.validation) == 10
    assert choice.again is not None
    assert (len(choice.again.train), len(choice.again.validation)) == (50, 0)


def test_a_stratified_fifth_is_held_out_without_validation_clips() -> None:
    choice = _choose(max_train_minutes=10.0)
    held, rest = choice.inputs.clips.validation, choice.inputs.clips.train
    assert np.bincount(held.labels).tolist() == [4, 4]
    assert len(rest) == len(choice.inputs.epoch_labels) == 32
    assert not _read_ids(held) & _read_ids(rest)
    assert choice.held_out == "8 held-out training clips"
    assert choice.again is not None and len(choice.again.train) == 40
    assert _read_ids(_choose().inputs.clips.validation) == _read_ids(held)
    assert _read_ids(_choose(split_seed=1).inputs.clips.validation) != _read_ids(held)
    assert choice.inputs.cfg.train.max_train_minutes == 5  # the other half is for all clips


def test_groups_that_validation_shares_are_held_out_of_training() -> None:
    groups = [f"speaker {number // 4}" for number in range(40)]
    options: dict[str, Any] = {"verdict": SHARED_GROUPS, "groups": [*groups, *groups[:10]]}
    for refit, total in ((False, 40), (True, 50)):
        choice = _choose(10, refit=refit, **options)
        rest, held = choice.inputs.clips.train, choice.inputs.clips.validation
        assert isinstance(rest, Clips) and rest.groups is not None and held.groups is not None
        assert not set(rest.groups) & set(held.groups)
        assert len(rest) + len(held) == total
        of = "clips of training and validation" if refit else "training clips"
        assert choice.held_out == f"{len(held)} held-out {of} (by group)"
        assert choice.inputs.clips.check["verdict"] == "disjoint"
        assert choice.again is not None and len(choice.again.train) == total


def test_a_fold_is_held_out_where_there_are_no_groups() -> None:
    folds = [str(number // 10) for number in range(40)]
    choice = _choose(folds=folds)
    held = {folds[int(clip.split("-")[1])] for clip in choice.inputs.clips.validation.ids}
    assert len(held) == 1 and len(choice.inputs.clips.validation) == 10
    assert choice.held_out == "10 held-out training clips (by fold)"


def test_classes_of_one_group_are_not_held_out_as_a_whole() -> None:
    choice = _choose(groups=["a", "b"] * 20)  # the two classes alternate, too
    assert choice.held_out == "8 held-out training clips"
    assert np.bincount(choice.inputs.clips.validation.labels).tolist() == [4, 4]


@pytest.fixture(scope="module")
def run(
    tone_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[tuple[str, ...]]]:
    """Do a run without validation that keeps an interpolation, interrupted in its second training.

    Returns:
        Its folder with the weights of the candidates, and the clips of each call of the scorer.
    """
    root = tmp_path_factory.mktemp("auto")
    cfg = make_config(
        *(tone_folder, write_quiet_checkpoint(root / "model"), root / "run"),
        method="auto", epochs=2, folds=2, fold_validation="none", fold="1", log="quiet",
    )  # fmt: skip
    again = dataclasses.replace(cfg, train=dataclasses.replace(cfg.train, resume="auto"))
    score, scored = Scorer.score, list[tuple[str, ...]]()

    def record(self: Scorer, model: torch.nn.Module, clips: Clips) -> Any:  # noqa: ANN401
        scored.append(tuple(clips.ids))
        return score(self, model, clips)

    def choose(candidates: Any, groups: Any) -> Any:  # noqa: ANN401
        names = [one.name for one in candidates]
        return names.index("interpolation"), *choose_candidate(candidates, groups)[1:]

    def interrupt(*args: Any, **options: Any) -> None:  # noqa: ANN401
        train_candidate(*args, **options)
        raise KeyboardInterrupt

    with (
        mock.patch("audio_cls.workflows.train.draw_figures"),
        mock.patch(f"{AUTO}.choose_candidate", choose),
        mock.patch(f"{AUTO}.discard_training"),
        mock.patch(f"{AUTO}.remove_weights"),
        mock.patch.object(Scorer, "score", record),
    ):
        with (
            mock.patch.object(retrain, "train_candidate", interrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            run_training(cfg)
        run_training(again)
    return root / "run", scored


def _list_ids(folder: Path, role: str) -> list[str]:
    return (folder / "splits" / f"{role}.txt").read_text().split()


def test_the_saved_model_is_made_again_of_all_training_clips(
    run: tuple[Path, list[tuple[str, ...]]], tone_folder: Path, tmp_path: Path
) -> None:
    """The fine-tuning is that of an ordinary run on these clips, from the start of all clips."""
    base, train = run[0] / "candidates", _list_ids(run[0], "train")
    tree = json.loads((base / "interpolation" / "validation.json").read_text())
    first = _list_ids(base / "fine-tune-1", "train")
    assert {*first, *_list_ids(base / "fine-tune-1", "validation")} == {*train}
    test = _list_ids(run[0], "test")
    (tmp_path / "lists").mkdir()
    for role, names in {"train": train, "validation": test[:1], "test": test[1:]}.items():
        (tmp_path / "lists" / f"{role}.txt").write_text("\n".join(names))
    num_steps = 2 * -(-len(first) // 4)
    cfg = make_config(
        *(tone_folder, base / "start-refit", tmp_path / "run"),
        split_files=str(tmp_path / "lists"), layer_decay=0.75, max_steps=num_steps,
        save_every_steps=1, keep_checkpoints=99, log="quiet",
    )  # fmt: skip
    with mock.patch("audio_cls.workflows.train.draw_figures"):
        run_training(cfg)
    checkpoint = tmp_path / "run" / "checkpoints" / f"step-{tree['steps'][0]}"
    start, tuned, saved = (
        load_file(folder / "model.safetensors")
        for folder in (base / "start-refit", checkpoint, run[0])
    )
    for name, weight in saved.items():
        expected = (1 - tree["share"]) * start[name].double() + tree["share"] * tuned[name].double()
        assert torch.equal(weight, expected.float()), name


def test_results_output_and_card_say_what_was_done(
    run: tuple[Path, list[tuple[str, ...]]],
) -> None:
    folder, scored = run
    results = read_results(folder / "results.json")
    train = _list_ids(folder, "train")
    assert results.candidates is not None
    text = results.candidates.chosen_on
    assert text == "6 held-out training clips"
    assert results.validation["num_examples"] == 6
    tree = json.loads((folder / "candidates/interpolation/validation.json").read_text())
    assert results.refit == {"num_examples": len(train), "step": tree["steps"][0]}
    assert results.calibration["fitted_on"] == "held-out training clips"
    assert scored.count(tuple(_list_ids(folder, "test"))) == 1
    lines = summarize_training(results, folder)
    assert lines[0].endswith(" on 6 held-out training clips")
    assert results.candidates.rows[-1].is_baseline
    assert lines[1].startswith(f"Refit on {len(train)} clips of training for {tree['steps'][0]} st")
    card = (folder / "README.md").read_text("utf-8")
    assert (
        "on 6 held-out training clips), the saved model was trained from the start on all" in card
    )
    assert "Validation: of the selected checkpoint, on 6 held-out training clips, before" in card
