"""Update of a run's card with the results of a later evaluation.

A repeated evaluation of the run's test clips replaces its numbers. Results on another data set or
split are added to the card's metadata and to one paragraph; a repetition replaces them.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard

from audio_cls.publishing.card.card import write_card
from audio_cls.publishing.card.markdown import count, to_number, to_sentence, to_text
from audio_cls.publishing.card.written_card import find_repository
from audio_cls.publishing.eval_results import (
    make_eval_results,
    write_eval_results,
)
from audio_cls.publishing.metric_names import name_metric
from audio_cls.publishing.redaction.names import choose_names_by_settings
from audio_cls.publishing.redaction.results import make_public
from audio_cls.publishing.run_record import RunRecord, load_run
from audio_cls.publishing.split_description import add_article, read_part, read_split_name
from audio_cls.runs.results import write_results

HEADING = "## Additional evaluation results"
FORMER_HEADING = "## Judged later on"
PARAGRAPH = re.compile(rf"\n*(?:{HEADING}|{FORMER_HEADING})\n\n(?P<lines>(?:- .*\n?)*)")


def update_card(run: str | Path, evaluation: Path) -> Path:
    """Add an evaluation's results to the card of RUN. Main process only.

    Args:
        run: The run folder.
        evaluation: The folder with the evaluation's results.json.

    Returns:
        RUN/README.md.

    Raises:
        RunFolderError: One of the folders has no readable results.json.
    """
    run = Path(run)
    record, evaluated = load_run(run), load_run(evaluation)
    readme = run / "README.md"
    if _identify_test(record) == _identify_test(evaluated):
        _replace_test(run, record, evaluation, evaluated)
        write_eval_results(run)
        repo_id = find_repository(readme.read_text("utf-8")) if readme.is_file() else None
        return write_card(run, repo_id)
    evaluated = make_public(evaluated, choose_names_by_settings(record))
    if not readme.is_file():
        write_card(run)
    card = ModelCard.load(readme)
    fresh = make_eval_results(evaluated)
    places = {_identify_result(result) for result in fresh}
    kept = [r for r in card.data.eval_results or [] if _identify_result(r) not in places]
    card.data.eval_results = [*kept, *fresh]
    card.text = _add_line(card.text, evaluated)
    card.save(readme)
    return readme


def _identify_test(record: RunRecord) -> tuple[object, ...]:
    """Return what identifies the clips of a test: data set, commit, origin, count."""
    dataset, test = record.results.dataset, read_part(record, "test")
    names = (dataset.id, dataset.config, dataset.revision, dataset.label_column)
    return (*names, test.origin, test.num_examples)


def _identify_result(result: EvalResult) -> tuple[object, ...]:
    """Return what identifies a result apart from its value: data set, split and metric."""
    args = json.dumps(result.metric_args, sort_keys=True)
    place = (result.dataset_type, result.dataset_config, result.dataset_split)
    return (*place, result.metric_type, result.metric_name, args)


def _replace_test(run: Path, record: RunRecord, evaluation: Path, evaluated: RunRecord) -> None:
    """Replace the test results of a run and their files by those of an evaluation."""
    results = dataclasses.replace(
        record.results,
        test=evaluated.results.test,
        calibration=evaluated.results.calibration or record.results.calibration,
        comparison=evaluated.results.comparison or record.results.comparison,
    )
    write_results(run, results)
    for name in ("predictions.csv", "clips.csv"):
        if (evaluation / name).is_file():
            shutil.copyfile(evaluation / name, run / name)
    (run / "figures").mkdir(exist_ok=True)
    for figure in (evaluation / "figures").glob("*"):
        shutil.copyfile(figure, run / "figures" / figure.name)


def _add_line(text: str, evaluated: RunRecord) -> str:
    """Return the card's text with a line about the evaluation, in place of an older one."""
    test = evaluated.results.test
    name = add_article(read_split_name(evaluated, "test"))
    place = to_sentence("- {}, {}:", evaluated.dataset_name, name)
    key = evaluated.results.headline_key
    interval = test.get(f"{key}_ci95")
    parts = [to_sentence("{} {}", name_metric(key).title.lower(), to_number(test.get(key)))]
    if interval:
        bounds = map(to_number, interval)
        parts.append(to_sentence("95 % confidence interval {} to {}", *bounds))
    parts.append(to_sentence("macro F1 {}", to_number(test.get("f1_macro"))))
    clips = to_sentence("{}", count(test.get("num_examples"), "clip"))
    remarks = [f" {to_text(text)}" for text in evaluated.results.warnings or []]
    numbers = f"{', '.join(parts)} on {clips}.{''.join(remarks)}"
    known = PARAGRAPH.search(text)
    lines = known.group("lines").splitlines() if known else []
    lines = [line for line in lines if not line.startswith(place)] + [f"{place} {numbers}"]
    paragraph = f"\n\n{HEADING}\n\n" + "\n".join(lines) + "\n"
    rest = PARAGRAPH.sub("", text) if known else text
    return rest.rstrip("\n") + paragraph
