"""The model card: valid for the Hub, readable, and not changed in structure by odd names."""

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

from audio_cls.config import HubConfig
from audio_cls.errors import RunFolderError
from audio_cls.publishing.card import provenance
from audio_cls.publishing.card.card import write_card
from audio_cls.publishing.card.figures import list_figures
from audio_cls.publishing.card.written_card import choose_card
from audio_cls.publishing.redaction.names import NameMasker
from audio_cls.publishing.run_record import load_run, single_line
from audio_cls.workflows.summary import describe_classes

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
    """Write a run's card and read it back; the loopback Hub's validation must find no error."""
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


def test_the_most_frequent_confusions_are_listed(tmp_path: Path) -> None:
    results = make_results()
    row = {"label": "blues", "prediction": "rock", "count": 7}
    results["test"]["top_confusions"] = [row, {**row, "label": "jazz", "count": 5}]
    card = read_card(make_run(tmp_path / "run", results))
    for text in ("- blues predicted as rock (7 clips)", "- jazz predicted as rock (5 clips)"):
        assert text in card.body.split("### Most frequent confusions")[1]
    older = read_card(make_run(tmp_path / "older"))
    assert "### Most frequent confusions\n\n- jazz predicted as rock (1 clip)\n" in older.body


def test_the_main_metrics_are_in_the_index_with_config_split_and_revision(tmp_path: Path) -> None:
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


def test_the_card_warns_if_validation_and_test_are_the_same_clips(tmp_path: Path) -> None:
    results = make_results()
    results["dataset"]["is_test_validation"] = True
    card = read_card(make_run(tmp_path / "run", results))
    assert "> **Validation and test are the same clips.**" in card.text
    assert card.text.count("same clips") == 2 and "all results are optimistic" in card.text


def test_a_cut_of_the_training_split_is_called_neither_train_nor_test(tmp_path: Path) -> None:
    results = make_results()
    for part in results["dataset"]["split"].values():
        part["name"] = "train"
    card = read_card(make_run(tmp_path / "run", results))
    (first, *_) = card.results
    assert first.dataset_split == "held-out part of train"
    assert first.dataset_args["origin"] == "cut from 'train' (stratified, seed 42)"
    assert "The run made the test split: cut from 'train' (stratified, seed 42)." in card.text
    assert "**Accuracy 0.833** on 60 clips of a held-out part of train" in card.text
    assert "| test | `held-out part of train` | 60 |" in card.text
    assert "Splits were not grouped" in card.text


def test_a_hash_split_has_no_seed(tmp_path: Path) -> None:
    settings = make_settings()
    settings["data"]["split_method"] = "hash"
    results = make_results()
    for part in results["dataset"]["split"].values():
        part["name"] = "train"
    card = read_card(make_run(tmp_path / "run", results, settings=settings))
    assert "The run made the test split: cut from 'train' (hash)." in card.text


CUT = "cut from 'test' (stratified, 0.1, seed 42)"
GROUPED = "cut from 'train' (by group, 0.1, seed 42)"
LISTED = "listed at gtzan-fault-filtered (sha256 404c6ae0693d)"
DEALT = "fold 2 of 5, dealt by seed 42"


@pytest.mark.parametrize(
    ("part", "is_given", "name", "is_ungrouped"),
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
    is_ungrouped: bool,  # noqa: FBT001 (a case of the test)
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
    assert ("Splits were not grouped" in card.text) is is_ungrouped


def test_classes_without_a_test_clip_come_last_with_dashes(tmp_path: Path) -> None:
    results = make_results()
    nothing = {"precision": None, "recall": None, "f1": None, "support": 0}
    results["test"]["per_class"]["blues"] = nothing
    card = read_card(make_run(tmp_path / "run", results))
    rows = [line for line in card.text.splitlines() if line.startswith(("| blues", "| rock"))]
    assert [row.split(" | ")[0] for row in rows] == ["| rock", "| blues"]
    assert rows[1] == "| blues | - | - | - | 0 |"
    assert "Not tested (no test clips): blues." in card.text


def test_warnings_of_the_run_and_the_most_frequent_class_are_shown(tmp_path: Path) -> None:
    results = make_results()
    results["warnings"] = ["2 clips are <silent>.", "Test is `small`."]
    results["test"]["majority_accuracy"] = 1 / 3
    results["baseline"] = {
        "name": "log-mel", "metric": "accuracy", "test": 0.8, "difference": 1 / 30,
        "difference_ci95": [-0.05, 0.12], "num_train": 100, "num_available": 120,
    }  # fmt: skip
    card = read_card(make_run(tmp_path / "run", results))
    warned = card.text.split("### Warnings of the training run\n\n")[1].split("\n\n##")[0]
    assert warned == "- 2 clips are \\<silent>.\n- Test is \\`small\\`."
    assert (
        "\n- Always predicting the most frequent class of training: accuracy 0.333.\n" in card.text
    )
    assert (
        "- Plain baseline, logistic regression on log-mel statistics of the same clips (fitted on"
        " 100 of 120 training clips): accuracy 0.800. Difference of the model: +0.033 (95 %"
        " interval -0.050 to +0.120).\n"
    ) in card.text
    assert "majority" not in card.text.split("\n---\n")[0]
    assert "Warnings" not in read_card(make_run(tmp_path / "other")).text


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
def test_odd_names_do_not_change_the_structure_of_the_card(name: str, tmp_path: Path) -> None:
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
    """Parse the body as Markdown: no HTML, known headings only, and the whole name in its cell."""
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    tokens = markdown.parse(body)
    inlines = [child for token in tokens for child in token.children or []]
    assert not [t for t in [*tokens, *inlines] if t.type.startswith("html")]
    headings = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]
    assert headings[1:] == [
        *("Model details", "Uses", "Direct use", "Out-of-scope use"),
        "Bias, risks and limitations",
        "How to get started with the model",
        *("Training details", "Training data", "Training procedure"),
        "Settings that differ from the defaults",
        *(["Command"] if "Command" in headings else []),
        *("Training log", "Hardware and time"),
        *("Evaluation", "Results", "Results by class"),
        *("Most frequent confusions", "Confusion matrix", "Citation", "Licences"),
    ]
    links = [t.attrGet("href") for t in inlines if t.type == "link_open"]
    assert all(str(link).startswith("https://huggingface.co/") for link in links)
    cells = [
        "".join(child.content for child in tokens[i + 1].children or [])
        for i, t in enumerate(tokens)
        if t.type == "td_open"
    ]
    assert single_line(name, 80) in cells


def test_the_title_names_base_model_and_data_set_and_the_index_the_repository(
    tmp_path: Path,
) -> None:
    run, title = make_run(tmp_path / "run"), "distilhubert fine-tuned on GTZAN"
    card = read_card(run)
    assert card.name == title and card.body.startswith(f"\n# {title}\n")
    published = ModelCard(write_card(run, "ann/genres").read_text("utf-8"))
    assert published.data.model_name == "genres" and f"\n# {title}\n" in published.text
    results, settings = make_results(), make_settings()
    results["model"]["id"], results["dataset"]["id"] = "builtin:tiny_model", "/data/my clips/"
    results["dataset"]["name"], settings["model"]["from_scratch"] = None, True
    scratch = read_card(make_run(tmp_path / "scratch", results, settings))
    assert scratch.name == "tiny_model trained from scratch on my clips"


def test_an_odd_model_name_is_escaped_in_the_title(tmp_path: Path) -> None:
    results = make_results()
    results["model"] = {"id": 'a: "b" # <c> {{ d }} \n---', "is_local": True}
    card = read_card(make_run(tmp_path / "run", results))
    assert card.name == 'a: "b" # <c> {{ d }} --- fine-tuned on GTZAN'
    assert "\\<c>" in card.body.split("## Model details")[0]


def test_a_metric_without_a_value_is_left_out(tmp_path: Path) -> None:
    results = make_results()
    results["test"]["ece"] = math.nan
    results["test"]["map"] = None
    card = read_card(make_run(tmp_path / "run", results))
    assert {r.metric_type for r in card.results} == {"accuracy", "f1"}
    assert (
        ".nan" not in card.text
        and "nan" not in card.text.split("## Evaluation")[1].lower().split("## Citation")[0]
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


def test_the_log_has_no_baselines_and_switches_are_yes_or_no(tmp_path: Path) -> None:
    settings = make_settings()
    settings["model"]["from_scratch"] = True
    run = make_run(tmp_path / "run", settings=settings)
    (run / "summary.csv").write_text("epoch,step,accuracy,majority_accuracy\n2,30,0.8,0.4\n")
    text = read_card(run).text
    assert "| epoch | step | accuracy |\n" in text
    assert "| `--from-scratch` | `yes` | `no` |" in text


def test_a_long_log_is_thinned_and_keeps_the_saved_row(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    lines = ["epoch,step,accuracy"] + [f"{n},{n},0.5" for n in range(1, 501)]
    (run / "summary.csv").write_text("\n".join(lines))
    card = read_card(run)
    log = card.text.split("### Training log")[1].split("###")[0]
    assert "| **30** | **30** | **0.5** |" in log and "| 500 | 500 | 0.5 |" in log
    assert log.count("\n|") < 36 and "of 500 evaluations" in log


@pytest.mark.parametrize(("is_dropped", "fate"), [(False, "kept"), (True, "left out")])
def test_the_card_counts_duplicates_and_warns_of_leaks(
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
    assert f"- 2 duplicate clips, {fate}; 1 pair across splits (`duplicates.csv`)." in card.text
    assert ("1 clip of the test set is also in training" in card.text) is not is_dropped


def test_limitations_of_the_user_are_added_to_the_found_ones(tmp_path: Path) -> None:
    settings = make_settings()
    settings["hub"]["limitations"] = "Not for <b>sirens</b>:\n# at night"
    card = read_card(make_run(tmp_path / "run", settings=settings))
    limitations = card.text.split("## Bias, risks and limitations")[1].split("\n## ")[0]
    assert "- Not for \\<b>sirens\\</b>:" in limitations
    assert "\n# at night" not in card.text


@pytest.mark.parametrize("is_multilabel", [False, True])
def test_the_weakest_classes_are_ranked_as_in_the_closing_lines(
    tmp_path: Path, *, is_multilabel: bool
) -> None:
    key = "average_precision" if is_multilabel else "recall"
    table = {  # ranked by F1, the order would be a, b, c, d
        "a": {"f1": 0.1, key: 0.9, "support": 20}, "b": {"f1": 0.2, key: 0.5, "support": 20},
        "c": {"f1": 0.3, key: 0.5, "support": 30}, "d": {"f1": 0.4, key: 0.2, "support": 20},
        "e": {"f1": 0.9, key: 1.0, "support": 20}, "f": {"f1": None, "support": 0},
    }  # fmt: skip
    results = make_results()
    results["labels"], results["test"]["per_class"] = list(table), table
    if is_multilabel:
        results["dataset"]["problem_type"] = "multi-label"
    run = make_run(tmp_path / "run", results)
    title = key.replace("_", " ")
    shown = f"- Weakest classes: d ({title} 0.200), c ({title} 0.500), b ({title} 0.500)."
    assert shown in read_card(run).text
    lines = describe_classes(load_run(run).results)
    assert [line.split()[0] for line in lines[1:4]] == ["d", "c", "b"]


def test_many_classes_show_the_weakest(tmp_path: Path) -> None:
    results = make_results()
    names = [f"class {n}" for n in range(200)]
    scores = [{"precision": 1, "recall": 1, "f1": n / 200, "support": 3} for n in range(200)]
    results["labels"] = names
    results["test"]["per_class"] = dict(zip(names, scores, strict=True))
    card = read_card(make_run(tmp_path / "run", results))
    assert "| class 0 |" in card.text and "| class 199 |" not in card.text
    assert "The 60 classes with the lowest F1; `results.json` has all." in card.text
    assert "and 170 more" in card.text


def test_results_alone_make_a_card(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"labels": ["a"], "test": {"accuracy": 1.0}}')
    card = read_card(tmp_path)
    assert card.results[0].metric_value == 1.0
    assert "## Bias, risks and limitations" in card.text


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
def test_the_example_of_a_pooled_head_runs_with_the_classifier(
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
    assert "`pipeline` cannot load the model" in card.text
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
            "Romance": {"labels": ["gl", "pt"], "num_examples": 24, "accuracy": 0.5,
                        "family_accuracy": 0.875, "taken_for": {"Basque": 2, "Greek": 1, "Tai": 1}},
            "Basque": {"labels": ["eu", *"abcdefg"], "num_examples": 9, "accuracy": 1.0,
                       "family_accuracy": 1.0, "taken_for": {}},
        },
    }  # fmt: skip
    run = make_run(tmp_path / "run", results)
    (run / "figures" / "families.png").write_text("not really a picture")
    body = read_card(run).body
    assert "### Weakest classes" in body
    assert "| gl_es | 0.250 (0.100 to 0.500) | 12 | pt_br \\| x (7) |" in body
    assert "### Results by language family" in body and "(figures/families.png)" in body
    assert "Errors within the family: 30 of 40; it would be 3.5 if" in body
    assert "| Romance | 2 | 24 | 0.500 | 0.875 | Basque (2), Greek (1) |" in body
    assert "| Basque | 8 | 9 | 1.000 | 1.000 |  |" in body
    results["test"]["families"]["by_family"]["Basque"]["labels"].pop()  # nine languages
    (run / "results.json").write_text(json.dumps(results))
    body = read_card(run).body
    assert "language family" not in body and "families.png" not in body


def test_the_card_explains_an_interval_over_few_groups(tmp_path: Path) -> None:
    results = make_results()
    note = "Only 2 groups were tested: the interval is over clips, other groups may differ."
    results["test"]["intervals"] = {"drawn": "clips", "num_drawn": 60, "note": note}
    body = read_card(make_run(tmp_path / "run", results)).body
    assert f"\n- {note}\n" in body.split("### Results")[1]


def test_a_multi_label_model_has_its_metrics_and_an_example_for_all_labels(tmp_path: Path) -> None:
    results = make_results() | {"metric": "map"}
    results["test"] |= {"map": 0.8, "map_ci95": [0.7, 0.9], "baseline_map": 0.25}
    results["test"] |= {"f1_micro": 0.7, "hamming_loss": 0.1, "log_loss": 0.3, "map_micro": 0.6}
    mistake = {"id": "a.wav", "label": "", "prediction": "rock", "confidence": 0.9}
    results["test"]["confident_mistakes"] = [mistake]
    run = make_run(tmp_path / "run", results)
    config = json.loads((run / "config.json").read_text())
    config["problem_type"] = "multi_label_classification"
    (run / "config.json").write_text(json.dumps(config))
    card = read_card(run)
    assert "top_k=None" in card.body  # the default of the pipeline is the best five
    assert "- Equal scores for all clips: mean average precision 0.250.\n" in card.body
    assert "| Mean average precision | 0.800 (0.700 to 0.900) |  |" in card.body
    assert "- The threshold of each label maximises its F1 on validation" in card.body
    assert [one.metric_name for one in card.results] == [
        "Mean average precision", "Macro F1", "Micro F1", "Hamming loss", "Log loss",
    ]  # fmt: skip
    assert "| a.wav |  |  | rock | 0.900 |" in card.body  # of a version without rows


TEXTS = {
    "model_description": "Trained on *studio* recordings.\n\n- Two lines.",
    "intended_use": "- Tagging of music archives.",
    "citation": "@misc{me,\n  title={Genres},\n  url={https://openreview.net/forum?id=x1}\n}",
    "language": ["en", "de"],
    "license": "cc-by-4.0",
}


def test_texts_of_the_user_are_in_the_card(tmp_path: Path) -> None:
    plain = read_card(make_run(tmp_path / "plain")).text
    for name in ("model-description", "intended-use", "citation", "language"):
        assert f"not recorded (`--{name}`)" in plain.replace("(for speech: ", "(")
    settings = make_settings()
    settings["hub"] = TEXTS
    card = read_card(make_run(tmp_path / "run", settings=settings))
    assert "not recorded (" not in card.text
    assert card.front["language"] == ["en", "de"] and card.front["license"] == "cc-by-4.0"
    assert f"`audio_cls`.\n\n{TEXTS['model_description']}\n\n**Accuracy" in card.text
    assert "### Direct use\n\n- Tagging of music archives.\n\n### Out" in card.text
    assert f"## Citation\n\n```bibtex\n{TEXTS['citation']}\n```\n" in card.text
    assert "--citation" not in card.text and "- Language: en, de\n" in card.text


def test_texts_can_be_given_after_the_training_unless_the_card_was_edited(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    write_card(run)
    cfg = HubConfig(citation="@misc{me}", language=("en",))
    published = choose_card(load_run(run), NameMasker(), "ann/genres", cfg)
    assert "```bibtex\n@misc{me}\n```" in published and "- Language: en\n" in published
    (run / "README.md").write_text("# Mine\n")
    with pytest.raises(RunFolderError, match=r"--language --citation cannot be added to .*edited"):
        choose_card(load_run(run), NameMasker(), "ann/genres", cfg)
    assert choose_card(load_run(run), NameMasker(), "ann/genres", HubConfig()) == "# Mine\n"


@pytest.mark.parametrize("publish_ids", ["clips", "none"])
def test_the_most_confident_errors_are_listed_with_the_ids_that_are_published(
    publish_ids: str, tmp_path: Path
) -> None:
    results, settings = make_results(), make_settings()
    names = ["jazz/00002.wav", *(f"jazz/9{n}.wav" for n in range(14))]
    results["test"]["confident_mistakes"] = [
        {"id": name, "row": n, "label": "jazz", "prediction": "_rock_", "confidence": 0.9}
        for n, name in enumerate(names, start=7)
    ]
    settings["hub"]["publish_ids"] = publish_ids
    card = read_card(make_run(tmp_path / "run", results, settings))
    table = card.body.split("### Most confident errors")[1].split("###")[0]
    assert table.count("\n|") == 2 + 10 and "| jazz | \\_rock\\_ | 0.900 |" in table
    assert ("jazz/" in card.text) is (publish_ids == "clips")
    assert ("| clip 2 | 7 | jazz |" in table) is (publish_ids == "none")


def test_figures_have_titles_and_captions_and_only_existing_ones_are_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for name in ("curves", "reliability", "mine_too"):
        (run / "figures" / f"{name}.png").write_text("not really a picture")
    body = read_card(run).body
    assert body.count("](figures/") == 4
    training, evaluation = body.split("## Evaluation")
    caption = "*Loss and validation metrics by epoch.*"
    figure = f"#### Training curves\n\n![Training curves](figures/curves.png)\n\n{caption}\n"
    assert figure in training
    titles = ["### Confusion matrix", "### Calibration", "### Mine too"]
    assert [line for line in evaluation.splitlines() if line in titles] == titles
    assert "*Accuracy by predicted probability" in evaluation


def test_the_reliability_of_labels_is_the_share_of_clips_with_them(tmp_path: Path) -> None:
    results = make_results()
    results["dataset"]["problem_type"] = "multi-label"
    run = make_run(tmp_path / "run", results)
    (run / "figures" / "reliability.png").write_text("not really a picture")
    (figure,) = list_figures(load_run(run), ["reliability"])
    assert "*Share of test clips with a label by its predicted probability" in figure.image


def test_the_code_is_linked_with_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    settings["record"]["commit"] = "5" * 40
    run = make_run(tmp_path / "run", settings=settings)
    assert f"- Code: audio_cls 0.1.0, commit `{'5' * 40}`\n" in read_card(run).body
    monkeypatch.setattr(provenance, "find_code_url", lambda: "https://host.example/a/b")
    body = read_card(run).body
    assert f"- Code: [audio_cls](https://host.example/a/b/tree/{'5' * 40}) 0.1.0" in body
    assert "\n  url = {https://host.example/a/b},\n" in body


def test_no_sentence_is_cut_and_no_character_reference_is_written(tmp_path: Path) -> None:
    results = make_results()
    origin = "keywords with unknown words by share, of group " + "theo, george, " * 8 + "end"
    results["dataset"]["split"]["test"] |= {"origin": origin, "is_given": False}
    results["test"]["intervals"] = {"note": "Few groups. " * 20 + "Last word."}
    results["labels"] = ["_silence_", "it's", "R&B"]
    card = read_card(make_run(tmp_path / "run", results))
    assert "…" not in card.body and "Last word." in card.body
    assert "&#" not in card.text and "&amp;" not in card.text
    assert "3 classes: \\_silence\\_, it's, R&B." in card.body


def test_accuracy_by_group_is_a_limitation(tmp_path: Path) -> None:
    results = make_results()
    groups = {"ann": {"num_examples": 2, "accuracy": 0.5}, "bo": {"accuracy": 1.0}}
    results["test"] |= {"by_group": groups, "num_groups": 2}
    card = read_card(make_run(tmp_path / "run", results))
    assert "Accuracy differs between groups of clips: 0.500 to 1.000 over 2 groups" in card.body
    assert "ann" not in card.body.split("## Bias")[1].split("##")[0].split()
    results["test"]["by_group"]["ann"]["accuracy"] = 1.0
    assert "between groups" not in read_card(make_run(tmp_path / "equal", results)).body
    results["test"]["by_group"]["ann"]["accuracy"] = 0.5
    results["test"]["num_groups"] = 200  # the table has the worst ones only
    assert "between groups" not in read_card(make_run(tmp_path / "many", results)).body


def test_sentences_of_the_limitations_are_whole_and_lists_are_clear(tmp_path: Path) -> None:
    results = make_results()
    results["calibration"] = {"temperature": 20.0, "reached_limit": "highest"}
    results["labels"][0] = "drums, percussion"
    body = read_card(make_run(tmp_path / "run", results)).body
    assert "its calibrated scores are nearly equal." in body and "…" not in body
    assert "'drums, percussion'" in body.split("## Model details")[0]


def test_a_keyword_spotter_lists_other_words_as_out_of_scope(tmp_path: Path) -> None:
    results = make_results()
    results["labels"] = ["yes", "_unknown_", "_silence_"]
    point = {"allowed_false_rejects": 0.01, "threshold": None, "false_accepts_per_hour": None}
    results["test"]["detection"] = {
        "keyword_clips": 90, "other_clips": 45, "other_seconds": 45.0, "points": [point],
    }  # fmt: skip
    body = read_card(make_run(tmp_path / "run", results)).body
    assert "unlike the training clips of `_unknown_` and `_silence_`" in body
    assert "### Keyword detection" in body and "| 1 % |  | not reached |" in body
    assert "on 45 clips (45 s) without keywords" in body and "The sample is small" in body


def test_the_precision_in_the_table_of_settings_is_the_one_in_use(tmp_path: Path) -> None:
    results, settings = make_results(), make_settings()
    settings.setdefault("train", {})["mixed_precision"] = "fp16"
    results["hardware"]["mixed_precision"] = "bf16"
    card = read_card(make_run(tmp_path / "run", results, settings))
    assert "| `--mixed-precision` | `bf16` |" in card.body
