"""The model card: right for the Hub, right for people, and unmoved by hostile names."""

from __future__ import annotations

import json
import math
import wave
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fake_run import DATASET_SHA, make_results, make_run, make_settings
from hub_cards import check_card, read_front_matter
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from audio_cls.errors import RunFolderError
from audio_cls.publishing.card.card import ModelCardExtra, write_card
from audio_cls.publishing.card.written_card import choose_card
from audio_cls.publishing.redaction.names import NameMasker
from audio_cls.publishing.run_record import load_run, single_line

HERE = Path(__file__).parent
ODD_NAMES = {
    "yaml": "a: b # yaml",
    "jinja": "{{ x }} {% raw %} {# y #}",
    "script": "<script>alert(1)</script>",
    "dots": "../../etc",
    "emoji": "\N{GUITAR} rock \N{ZERO WIDTH JOINER}",
    "quotes": 'it\'s "so" `they` ``say``',
    "newlines": "one\n---\ntwo\r\n# three\n\n| four |",
    "pipes": "a | b || c \\| d",
    "markup": "**bold** _low_ [x](javascript:alert(1)) ![y](z) ~~no~~ $$m$$ www.x.org me@x.org",
    "list": "- - 1. > item",
    "entity": "&lt;b&gt; &#60;",
    "long": "x" * 10_000,
    "surrogate": "bad \udc80 byte",
    "nul": "nul \x00 \x1b[31m bell \x07",
    "bidi": "abc \u202egnp.exe",
    "empty": "",
    "tag": "!!python/object/apply:os.system [ls]",
    "braces": "{0} {name} %s",
}


class Read(NamedTuple):
    """A card read back."""

    text: str
    body: str
    front: dict[str, Any]
    name: str | None
    results: list[EvalResult]


def read_card(run: Path) -> Read:
    """Write a run's card and read it back; the loopback Hub's validation must find no fault."""
    path = write_card(run)
    text = path.read_text("utf-8")
    assert check_card(text, "models") == ([], [])
    card = ModelCard.load(path)
    assert isinstance(card.data, ModelCardData)
    front = read_front_matter(text) or {}
    return Read(text, card.text, front, card.data.model_name, card.data.eval_results or [])


def test_the_whole_card_is_as_agreed(tmp_path: Path) -> None:
    card = read_card(make_run(tmp_path / "gtzan-distilhubert"))
    assert card.text == (HERE / "golden_card.md").read_text("utf-8")


def test_confusions_are_those_of_results_json_else_counted_in_predictions_csv(
    tmp_path: Path,
) -> None:
    results = make_results()
    row = {"label": "blues", "prediction": "rock", "count": 7}
    results["test"]["top_confusions"] = [row, {**row, "label": "jazz", "count": 5}]
    card = read_card(make_run(tmp_path / "run", results))
    for text in ("Most frequent mistakes: blues taken for rock (7)", "jazz taken for rock (5)"):
        assert text in card.body
    older = read_card(make_run(tmp_path / "older"))
    assert "Most frequent mistakes: jazz taken for rock (1)." in older.body


def test_every_metric_is_in_the_index_with_config_split_and_revision(tmp_path: Path) -> None:
    card = read_card(make_run(tmp_path / "run"))
    test = make_results()["test"]
    found = {result.metric_name: result for result in card.results}
    assert {name: result.metric_value for name, result in found.items()} == {
        "Accuracy": test["accuracy"],
        "Macro F1": test["f1_macro"],
        "Expected calibration error": test["ece"],
    }
    for result in found.values():
        assert (result.dataset_type, result.dataset_name) == ("marsyas/gtzan", "GTZAN")
        assert (result.dataset_config, result.dataset_split) == ("all", "test")
        assert result.dataset_revision == DATASET_SHA


def test_the_front_matter_names_the_base_model_and_the_data_set(tmp_path: Path) -> None:
    card = read_card(make_run(tmp_path / "run"))
    data = card.front
    assert data["base_model"] == "ntu-spml/distilhubert"
    assert data["base_model_relation"] == "finetune"
    assert data["datasets"] == ["marsyas/gtzan"]
    assert data["metrics"] == ["accuracy", "f1", "ece"]
    assert (data["library_name"], data["pipeline_tag"]) == ("transformers", "audio-classification")


def test_a_model_from_random_weights_has_no_base_model(tmp_path: Path) -> None:
    settings = make_settings()
    settings["model"]["from_scratch"] = True
    card = read_card(make_run(tmp_path / "run", settings=settings))
    assert "base_model" not in card.front
    assert "base_model_relation" not in card.front
    assert "random weights" in card.text


def test_validation_and_test_on_the_same_clips_are_told_loudly(tmp_path: Path) -> None:
    results = make_results()
    results["dataset"]["is_test_validation"] = True
    card = read_card(make_run(tmp_path / "run", results))
    assert "> **Validation and test are the same clips.**" in card.text
    assert card.text.count("same clips") == 2 and "no result here is unbiased" in card.text


def test_a_cut_of_the_training_split_is_called_neither_train_nor_test(tmp_path: Path) -> None:
    results = make_results()
    for part in results["dataset"]["split"].values():
        part["name"] = "train"
    card = read_card(make_run(tmp_path / "run", results))
    (first, *_) = card.results
    assert first.dataset_split == "held-out part of train"
    assert first.dataset_args["origin"] == "cut from 'train' (stratified, seed 42)"
    assert "no split of their own: cut from 'train' (stratified, seed 42)." in card.text
    assert "Accuracy 0.833 on 60 clips of a held-out part of train" in card.text
    assert "| test | `held-out part of train` | 60 |" in card.text
    assert "knew nothing of speakers" in card.text


CUT = "cut from 'test' (stratified, 0.1, seed 42)"
GROUPED = "cut from 'train' (by group, 0.1, seed 42)"
LISTED = "listed at gtzan-fault-filtered (sha256 404c6ae0693d)"
DEALT = "fold 2 of 5, dealt by seed 42"


@pytest.mark.parametrize(
    ("part", "is_given", "name", "knew_nothing"),
    [
        ({"name": "test", "origin": "split 'test'"}, None, "test", False),
        ({"name": "test", "origin": CUT}, None, "held-out part of test", True),
        ({"name": "train", "origin": GROUPED}, None, "held-out part of train", False),
        ({"name": "train", "origin": "fold 1 of column 'fold'"}, None, "fold 1", False),
        ({"name": "train", "origin": DEALT}, None, "held-out part of train", True),
        ({"name": "train", "origin": LISTED}, None, "test list of gtzan-fault-filtered", False),
        ({"name": "test", "origin": "split 'test'"}, False, "part of test", False),
        ({"name": "test", "origin": "split 'test'"}, True, "test", False),
        ({"name": "validation", "origin": "the validation clips again"}, None, "validation", False),
    ],
)
def test_the_test_clips_are_named_for_what_they_are(
    part: dict[str, Any],
    is_given: bool | None,  # noqa: FBT001 (a case of the test)
    name: str,
    knew_nothing: bool,  # noqa: FBT001 (a case of the test)
    tmp_path: Path,
) -> None:
    results = make_results()
    results["dataset"]["split"]["train"]["name"] = part["name"] if part["name"] != name else "train"
    results["dataset"]["split"]["validation"]["origin"] = "split 'validation'"
    results["dataset"]["split"]["test"] |= part
    if is_given is not None:
        results["dataset"]["split"]["test"]["is_given"] = is_given
    card = read_card(make_run(tmp_path / "run", results))
    assert {result.dataset_split for result in card.results} == {name}
    assert ("knew nothing of speakers" in card.text) is knew_nothing


def test_classes_without_a_test_clip_come_last_with_dashes(tmp_path: Path) -> None:
    results = make_results()
    nothing = {"precision": None, "recall": None, "f1": None, "support": 0}
    results["test"]["per_class"]["blues"] = nothing
    card = read_card(make_run(tmp_path / "run", results))
    rows = [line for line in card.text.splitlines() if line.startswith(("| blues", "| rock"))]
    assert [row.split(" | ")[0] for row in rows] == ["| rock", "| blues"]
    assert rows[1] == "| blues | - | - | - | 0 |"
    assert "Not tested at all, for want of clips: blues." in card.text


def test_warnings_of_the_run_and_the_most_frequent_class_are_shown(tmp_path: Path) -> None:
    results = make_results()
    results["warnings"] = ["2 clips are <silent>.", "Test is `small`."]
    results["test"]["majority_accuracy"] = 1 / 3
    card = read_card(make_run(tmp_path / "run", results))
    warned = card.text.split("## Warnings\n\n")[1].split("\n\n##")[0]
    assert warned == "- 2 clips are &#60;silent&#62;.\n- Test is &#96;small&#96;."
    rows = card.text.split("| Accuracy | 0.833")[1].splitlines()
    assert rows[1] == "| Accuracy of always naming what is most frequent | 0.333 | - |"
    assert "majority" not in card.text.split("\n---\n")[0]
    assert "## Warnings" not in read_card(make_run(tmp_path / "other")).text


def test_a_folder_is_shown_by_its_base_name_and_never_as_a_hub_id(tmp_path: Path) -> None:
    results, settings = make_results(), make_settings()
    results["dataset"] |= {"id": "/home/ann/clips/my music", "revision": None, "config": None}
    results["model"] |= {"id": "/home/ann/models/small", "revision": None}
    results["command"] = "python /home/ann/x/train.py --dataset='/home/ann/clips/my music'"
    settings["data"]["dataset"] = "/home/ann/clips/my music"
    card = read_card(make_run(tmp_path / "run", results, settings))
    data = card.front
    assert "datasets" not in data and "base_model" not in data
    assert card.results[0].dataset_type == "my music (local folder)"
    assert card.results[0].dataset_revision is None
    assert "/home" not in card.text and str(tmp_path) not in card.text and "my music" in card.text


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())
def test_odd_names_neither_break_the_card_nor_run_nor_leave_the_folder(
    name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    make_run(folder, *_make_odd(name))
    before = {path for path in tmp_path.rglob("*")}
    card = read_card(folder)
    assert {path for path in tmp_path.rglob("*")} - before == {folder / "README.md"}
    assert len(card.results) == 3
    assert len(card.text) < 20_000
    _check_structure(card.body, name)


def _make_odd(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Put one name wherever a data set, a user or a machine could have put it."""
    results, settings = make_results(), make_settings()
    results["labels"] = [name, "jazz", "rock"]
    per_class = results["test"]["per_class"]
    results["test"]["per_class"] = {name: per_class["blues"], "rock": per_class["rock"]}
    results["dataset"] |= {"name": name, "config": name, "label_column": name, "license": name}
    results["dataset"]["split"]["test"]["name"] = name
    results["model"] |= {"id": name, "revision": name}
    results["hardware"]["device"] = name
    results["command"] = name
    settings["data"] |= {"group_column": name, "dataset": name, "label_column": name}
    settings["hub"] = {"license": name}
    settings["record"] = {"versions": {name: name}, "commit": name}
    results = json.loads(json.dumps(results))
    return results, json.loads(json.dumps(settings))


def _check_structure(body: str, name: str) -> None:
    """Parse the body as Markdown: no HTML, our headings only, and the name whole in its cell."""
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    tokens = markdown.parse(body)
    inlines = [child for token in tokens for child in token.children or []]
    assert not [t for t in [*tokens, *inlines] if t.type.startswith("html")]
    headings = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]
    assert headings[1:] == [
        *("How to use it", "Results", "By class", "Data", "Training"),
        *("Log", "Hardware and time", "Limits", "Licences"),
    ]
    links = [t.attrGet("href") for t in inlines if t.type == "link_open"]
    assert all(str(link).startswith("https://huggingface.co/") for link in links)
    cells = [
        "".join(child.content for child in tokens[i + 1].children or [])
        for i, t in enumerate(tokens)
        if t.type == "td_open"
    ]
    assert single_line(name, 80) in cells


def test_an_odd_run_folder_names_the_model_harmlessly(tmp_path: Path) -> None:
    card = read_card(make_run(tmp_path / 'a: "b" # <c> {{ d }} \n---'))
    assert card.name == 'a: "b" # <c> {{ d }} ---'
    assert "<c>" not in card.body.split("## How to use it")[0]


def test_a_metric_without_a_value_is_a_dash_and_not_in_the_index(tmp_path: Path) -> None:
    results = make_results()
    results["test"]["ece"] = math.nan
    results["test"]["map"] = None
    card = read_card(make_run(tmp_path / "run", results))
    assert {r.metric_type for r in card.results} == {"accuracy", "f1"}
    assert (
        ".nan" not in card.text
        and "nan" not in card.text.split("## Results")[1].lower().split("## Data")[0]
    )


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ("cc-by-4.0", {"license": "cc-by-4.0"}),
        ("My terms: v1", {"license": "other", "license_name": "my-terms-v1"}),
        (None, {}),
    ],
)
def test_a_licence_is_named_only_when_known(
    given: str | None, keys: dict[str, str], tmp_path: Path
) -> None:
    settings = make_settings()
    settings["hub"]["license"] = given
    card = read_card(make_run(tmp_path / "run", settings=settings))
    data = card.front
    assert {key: data[key] for key in data if key.startswith("license")} == keys


def test_the_base_models_licence_is_inherited(tmp_path: Path) -> None:
    settings, results = make_settings(), make_results()
    settings["hub"]["license"], results["model"]["license"] = None, "mit"
    card = read_card(make_run(tmp_path / "run", results, settings))
    assert card.front["license"] == "mit"


def test_a_long_log_is_thinned_and_keeps_the_saved_row(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    lines = ["epoch,step,accuracy"] + [f"{n},{n},0.5" for n in range(1, 501)]
    (run / "summary.csv").write_text("\n".join(lines))
    card = read_card(run)
    log = card.text.split("### Log")[1].split("###")[0]
    assert "| **30** | **30** | **0.5** |" in log and "| 500 | 500 | 0.5 |" in log
    assert log.count("\n|") < 36 and "of 500 evaluations" in log


@pytest.mark.parametrize(("is_dropped", "fate"), [(False, "were kept"), (True, "were left out")])
def test_duplicates_are_told_and_leaks_limit_the_result(
    is_dropped: bool,  # noqa: FBT001 (a case of the test)
    fate: str,
    tmp_path: Path,
) -> None:
    settings = make_settings()
    settings["data"]["deduplicate"] = is_dropped
    run = make_run(tmp_path / "run", settings=settings)
    rows = ["id,split,same_as,same_as_split,same_label", "a,test,b,train,yes", "c,train,d,train,no"]
    (run / "duplicates.csv").write_text("\n".join(rows))
    card = read_card(run)
    assert f"2 clips have the sound of another one and {fate}; 1 of the pairs" in card.text
    assert ("1 clips sound the same in training and in test" in card.text) is not is_dropped


def test_limits_that_were_given_stand_with_those_that_were_found(tmp_path: Path) -> None:
    settings = make_settings()
    settings["hub"]["limitations"] = "Not for <b>sirens</b>:\n# at night"
    card = read_card(make_run(tmp_path / "run", settings=settings))
    assert "- Not for &#60;b&#62;sirens&#60;/b&#62;:" in card.text.split("## Limits")[1]
    assert "\n# at night" not in card.text


def test_many_classes_show_the_weakest(tmp_path: Path) -> None:
    results = make_results()
    names = [f"class {n}" for n in range(200)]
    scores = [{"precision": 1, "recall": 1, "f1": n / 200, "support": 3} for n in range(200)]
    results["labels"] = names
    results["test"]["per_class"] = dict(zip(names, scores, strict=True))
    card = read_card(make_run(tmp_path / "run", results))
    assert "| class 0 |" in card.text and "| class 199 |" not in card.text
    assert "The 60 weakest are shown" in card.text and "and 170 more" in card.text


def test_results_alone_make_a_card(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"labels": ["a"], "test": {"accuracy": 1.0}}')
    card = read_card(tmp_path)
    assert card.results[0].metric_value == 1.0
    assert "## Limits" in card.text


@pytest.mark.parametrize("content", [None, "{", "[]", "\udcff"])
def test_a_folder_without_results_is_refused_with_a_way_out(
    content: str | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content, "utf-8", errors="surrogateescape")
    with pytest.raises(RunFolderError, match=r"results\.json"):
        write_card(tmp_path)


def test_a_token_in_the_record_never_reaches_the_card(tmp_path: Path) -> None:
    results, token = make_results(), "hf_" + "Ab1" * 12
    results["command"] = f"HF_TOKEN={token} train.py"
    results["hardware"]["device"] = f"cpu {token}"
    card = read_card(make_run(tmp_path / "run", results))
    assert token not in card.text


@pytest.mark.slow
def test_the_example_runs_with_stock_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tiny_models import write_tiny_checkpoint

    run = make_run(tmp_path / "my run")
    write_tiny_checkpoint("wav2vec2", run)
    with wave.open(str(tmp_path / "clip.wav"), "wb") as file:
        file.setparams((2, 2, 8_000, 0, "NONE", ""))
        file.writeframes(bytes(4 * 8_000))
    monkeypatch.chdir(tmp_path)
    code = read_card(run).text.split("```python\n")[1].split("\n```")[0]
    exec(code, {})
    assert "'score'" in capsys.readouterr().out


@pytest.mark.slow
def test_the_example_of_a_pooled_head_runs_with_our_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tiny_outside import write_tiny_outside

    from audio_cls.config import AudioConfig, ModelConfig
    from audio_cls.models.checkpoint import open_checkpoint
    from audio_cls.models.load import load_for_training

    run = make_run(tmp_path / "my run")
    cfg = ModelConfig(model=str(write_tiny_outside("moonshine", tmp_path / "base")))
    load_for_training(
        open_checkpoint(cfg), AudioConfig(max_seconds=1.0), ["blues", "jazz", "rock"]
    ).save(run)
    with wave.open(str(tmp_path / "clip.wav"), "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8_000))
    monkeypatch.chdir(tmp_path)
    card = read_card(run)
    assert card.front["library_name"] == "audio_cls"
    assert "`pipeline` cannot load it" in card.text
    assert "from transformers import pipeline" not in card.text
    code = card.text.split("```python\n")[1].split("\n```")[0]
    exec(code, {})
    assert "'score'" in capsys.readouterr().out


def test_the_example_of_a_model_with_code_says_that_it_runs_it(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    config = {"pooled_head": {"code": ["mine.py"]}, "auto_map": {"AutoModel": "mine.Model"}}
    (run / "config.json").write_text(json.dumps(config))
    text = read_card(run).text
    assert "trust_remote_code=True" in text
    assert "read it first" in text


def test_the_card_shows_the_weakest_classes_and_the_language_families(tmp_path: Path) -> None:
    results = make_results()
    results["test"]["weakest_classes"] = [
        {"label": "gl_es", "recall": 0.25, "recall_ci95": [0.1, 0.5], "support": 12,
         "taken_for": "pt_br | x", "taken_for_count": 7},
    ]  # fmt: skip
    results["test"]["families"] = {
        "family_accuracy": 0.9, "num_mistakes": 40, "num_within_family": 30,
        "num_within_by_chance": 3.5,
        "by_family": {
            "Romance": {"labels": ["gl_es", "pt_br"], "num_examples": 24, "accuracy": 0.5,
                        "family_accuracy": 0.875, "taken_for": {"Basque": 2, "Greek": 1, "Tai": 1}},
            "Basque": {"labels": ["eu_es"], "num_examples": 9, "accuracy": 1.0,
                       "family_accuracy": 1.0, "taken_for": {}},
        },
    }  # fmt: skip
    body = read_card(make_run(tmp_path / "run", results)).body
    assert "### The weakest classes" in body
    assert "| gl_es | 0.250 (0.100 to 0.500) | 12 | pt_br &#124; x (7) |" in body
    assert "### By language family" in body
    assert "Of 40 wrong answers 30 name a language of the same family; 3.5 would" in body
    assert "| Romance | 2 | 24 | 0.500 | 0.875 | Basque (2), Greek (1) |" in body
    assert "| Basque | 1 | 9 | 1.000 | 1.000 | - |" in body


def test_too_few_groups_are_told_beside_the_interval(tmp_path: Path) -> None:
    results = make_results()
    note = "Only 2 groups were tested: the interval is over clips, other groups may differ."
    results["test"]["intervals"] = {"drawn": "clips", "num_drawn": 60, "note": note}
    body = read_card(make_run(tmp_path / "run", results)).body
    assert f"The 95 % interval of the accuracy is 0.720 to 0.910. {note}" in body


def test_several_labels_are_asked_for_all_of_them_and_told_in_whole_sentences(
    tmp_path: Path,
) -> None:
    results = make_results() | {"metric": "map"}
    results["test"] |= {"map": 0.8, "map_ci95": [0.7, 0.9], "baseline_map": 0.25}
    run = make_run(tmp_path / "run", results)
    config = json.loads((run / "config.json").read_text())
    config["problem_type"] = "multi_label_classification"
    (run / "config.json").write_text(json.dumps(config))
    body = read_card(run).body
    assert "top_k=None" in body  # the pipeline's own default is the best five
    assert "| Mean average precision of equal scores for all clips | 0.250 | - |" in body
    assert "(95 % interval 0.700 to 0.900). A label counts as there" in body


def test_texts_of_the_user_join_the_card(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    plain = read_card(run)
    extra = ModelCardExtra(
        description="Trained on *studio* recordings.",
        intended_uses="- Tagging of music archives.",
        citation="@misc{me,\n  title={Genres}\n}\n",
        language=("en", "de"),
    )
    write_card(run, extra=extra)
    text = (run / "README.md").read_text("utf-8")
    assert check_card(text, "models") == ([], [])
    assert (read_front_matter(text) or {})["language"] == ["en", "de"]
    assert "`audio_cls`.\n\nTrained on *studio* recordings.\n\n**Accuracy" in text
    assert "## Intended uses\n\n- Tagging of music archives.\n\n## How to use it" in text
    assert text.endswith("## Citation\n\n```bibtex\n@misc{me,\n  title={Genres}\n}\n```\n")
    published = choose_card(load_run(run), NameMasker(), "ann/genres")
    assert "studio" in published and 'model="ann/genres"' in published
    write_card(run, extra=ModelCardExtra())
    assert (run / "README.md").read_text("utf-8") == plain.text
