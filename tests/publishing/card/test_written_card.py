"""The card of a run in a second repository, after an evaluation, and after an edit by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fake_run import REPO, make_results, make_run, make_settings
from huggingface_hub import ModelCard

from audio_cls.config import HubConfig
from audio_cls.errors import RunFolderError
from audio_cls.publishing.card.card import write_card
from audio_cls.publishing.card.update import update_card
from audio_cls.publishing.card.written_card import find_repository, rename_card
from audio_cls.publishing.hub.files import gather_files

SECOND = "testers/second-place"


def _read_card(run: Path, repo_id: str, **settings: str) -> str:
    cfg = HubConfig(**settings)  # type: ignore[arg-type]
    card = gather_files(run, repo_id, cfg)["README.md"]
    return card.decode() if isinstance(card, bytes) else card.read_text("utf-8")


def _check_names(text: str, repo_id: str) -> None:
    """Check every place in which a card names its repository, read by the client."""
    name = repo_id.rpartition("/")[2]
    card = ModelCard(text)
    assert card.data.model_name == name
    assert f'model="{repo_id}"' in card.text
    sources = {one.source_url for one in card.data.eval_results or []} - {None}
    assert sources <= {f"https://huggingface.co/{repo_id}/blob/main/results.json"}
    for one in card.data.get("widget") or []:
        assert one["src"].startswith(f"https://huggingface.co/{repo_id}/resolve/main/samples/")


def _evaluate(folder: Path) -> Path:
    """Write the results of an evaluation on another data set."""
    results = make_results()
    results["dataset"] |= {"id": "ann/other", "name": "ann/other", "config": None}
    results["test"] |= {"accuracy": 0.25}
    del results["validation"]
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(results))
    return folder


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run that was trained with --push-to-hub: its card names the first repository."""
    results = make_results()
    results["samples"] = [{"file": "samples/1.wav", "label": "blues", "id": "blues/00001.wav"}]
    run = make_run(tmp_path / "my-run", results)
    (run / "samples").mkdir()
    (run / "samples" / "1.wav").write_bytes(b"sound")
    write_card(run, REPO)
    return run


def test_a_second_repository_is_named_by_its_own_card(trained: Path) -> None:
    _check_names((trained / "README.md").read_text("utf-8"), REPO)
    text = _read_card(trained, SECOND)
    _check_names(text, SECOND)
    assert REPO not in text and "/blob/main/results.json" in text and "/samples/1.wav" in text


@pytest.mark.parametrize("is_pushed", [True, False])
def test_a_card_with_a_later_evaluation_names_the_repository(
    is_pushed: bool,  # noqa: FBT001 (a case of the test)
    trained: Path,
    tmp_path: Path,
) -> None:
    if not is_pushed:
        write_card(trained)
    update_card(trained, _evaluate(tmp_path / "evaluation"))
    text = _read_card(trained, SECOND)
    _check_names(text, SECOND)
    assert "my-run" not in text and REPO not in text
    assert "ann/other" in text and "accuracy 0.250" in text


def test_a_repeated_evaluation_of_the_test_split_keeps_the_repositorys_name(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "evaluation")
    update_card(trained, tmp_path / "evaluation")
    _check_names((trained / "README.md").read_text("utf-8"), REPO)


def test_an_edit_is_kept_and_only_names_of_the_repository_change(trained: Path) -> None:
    written = (trained / "README.md").read_text("utf-8")
    edited = written.replace("## Uses", "Mine: see https://huggingface.co/tester/run/x.\n\n## Uses")
    (trained / "README.md").write_text(edited, "utf-8")
    text = _read_card(trained, SECOND)
    _check_names(text, SECOND)
    assert rename_card(text, REPO) == edited
    assert "Mine: see https://huggingface.co/tester/run/x." in text


def test_names_that_need_quotes_are_quoted(trained: Path) -> None:
    _check_names(_read_card(trained, "tester/007"), "tester/007")
    (trained / "README.md").write_text((trained / "README.md").read_text("utf-8") + "\nMine.\n")
    text = _read_card(trained, "tester/007")
    _check_names(text, "tester/007")
    assert find_repository(text) == "tester/007" and find_repository("# Mine\n") is None


def test_an_edited_card_with_the_name_of_a_group_is_refused(tmp_path: Path) -> None:
    settings = make_settings()
    settings["data"] |= {"group_column": "speaker", "test_groups": ["annabel"]}
    settings["data"]["split_files"] = "/gpfs/secret/lists"
    run = make_run(tmp_path / "run", settings=settings)
    write_card(run)
    assert "annabel" not in _read_card(run, REPO)
    (run / "README.md").write_text("# Mine\nTested on Annabel, listed at /gpfs/secret/lists.\n")
    with pytest.raises(RunFolderError, match=r"names groups \(annabel\).*--publish-ids all"):
        _read_card(run, REPO)
    text = _read_card(run, REPO, publish_ids="all")
    assert text == "# Mine\nTested on Annabel, listed at lists.\n"


FORMER_CARD = """\
---
library_name: transformers
model-index:
- name: _my run
  results:
  - task:
      type: audio-classification
    dataset:
      type: ann/other
      name: ann/other
    metrics:
    - type: accuracy
      value: 0.5
---

# &#95;my run

classifier = pipeline("audio-classification", model="_my run")

## Judged later on

- marsyas/gtzan, test: accuracy 0.750 (95 % interval 0.5 to 0.9) on 8 clips, macro F1 0.7.
- ann/other, test: accuracy 0.500 (95 % interval 0.1 to 0.9) on 4 clips, macro F1 0.5.
"""


def test_a_card_of_a_former_version_is_updated_and_renamed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "_my run")
    (run / "README.md").write_text(FORMER_CARD, "utf-8")
    update_card(run, _evaluate(tmp_path / "evaluation"))
    text = (run / "README.md").read_text("utf-8")
    assert "Judged" not in text and text.count("## Additional evaluation results\n") == 1
    assert "- marsyas/gtzan, test: accuracy 0.750" in text
    line = "accuracy 0.250, 95 % confidence interval 0.720 to 0.910, macro F1 0.828 on 60 clips."
    assert f"- ann/other, test: {line}\n" in text and "accuracy 0.500" not in text
    renamed = rename_card(text, SECOND)
    _check_names(renamed, SECOND)
    assert "\n# second-place\n" in renamed and "my run" not in renamed


def test_the_title_of_an_edited_card_is_kept(trained: Path) -> None:
    (trained / "README.md").write_text((trained / "README.md").read_text("utf-8") + "\nMine.\n")
    assert "\n# distilhubert fine-tuned on GTZAN\n" in _read_card(trained, SECOND)
    write_card(trained)
    (trained / "README.md").write_text((trained / "README.md").read_text("utf-8") + "\nMine.\n")
    text = _read_card(trained, SECOND)
    _check_names(text, SECOND)
    assert "\n# distilhubert fine-tuned on GTZAN\n" in text
