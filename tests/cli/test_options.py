"""The command line: flag beats preset beats default, and mistakes get one line."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.main import COMMANDS, main
from audio_cls.cli.options.base_command import HelpOption
from audio_cls.cli.options.config_options import settings_command
from audio_cls.cli.options.preset_options import LIST_PRESETS, SHOW_PRESET
from audio_cls.cli.options.setting_origins import VERBOSE, read_origins
from audio_cls.config import RunConfig, flag_name, iterate_settings
from audio_cls.errors import DatasetError
from audio_cls.presets import list_presets, load_preset

ROOT = Path(__file__).parents[2]


@pytest.fixture
def seen() -> list[RunConfig]:
    """Collects what the command was called with."""
    return []


@pytest.fixture
def command(seen: list[RunConfig]) -> click.Command:
    """A command of all settings."""

    @settings_command(options=(VERBOSE, LIST_PRESETS, SHOW_PRESET))
    def run(cfg: RunConfig) -> None:
        """Do."""
        origins = read_origins()
        click.echo(origins.explain_preset(str(cfg.data.dataset)))
        click.echo("\n".join(f"{flag} {text}" for flag, text in origins.list_changed(cfg).items()))
        if origins.is_verbose:
            every = origins.list_all(cfg)
            click.echo("\n".join(f"{flag} {text}" for flag, text in every.items()), err=True)
        seen.append(cfg)

    return run


def test_flag_beats_preset_beats_default(command: click.Command, seen: list[RunConfig]) -> None:
    result = CliRunner().invoke(command, ["--preset", "gtzan", "--epochs", "3", "--verbose"])
    assert result.exit_code == 0, result.output
    cfg = seen[0]
    assert (cfg.train.epochs, cfg.optim.learning_rate, cfg.optim.max_grad_norm) == (3, 5e-5, 1.0)
    changed, every = result.stdout.splitlines(), result.stderr.splitlines()
    assert changed[0] == "chosen with --preset"
    assert {"--epochs 3", "--normalize (preset)", "--max-seconds 30 (preset)"} <= set(changed)
    assert not any(line.startswith("--max-grad-norm") for line in changed)
    assert {
        "--epochs 3 (flag)", "--learning-rate 5e-5 (preset)", "--max-grad-norm 1",
        "--no-deduplicate ", "--group-column ''",
    } <= set(every)  # fmt: skip
    assert len(every) == len(list(iterate_settings()))


def test_the_reference_data_set_alone_picks_its_recipe_up(
    command: click.Command, seen: list[RunConfig]
) -> None:
    first = CliRunner().invoke(command, ["--dataset", "marsyas/gtzan"])
    CliRunner().invoke(command, ["--dataset", "other/data"])
    CliRunner().invoke(command, ["--dataset", "marsyas/gtzan", "--preset", "none"])
    assert first.stdout.startswith(
        "chosen because the data set is marsyas/gtzan; --preset none switches it off\n"
    )
    assert [cfg.data.test_split for cfg in seen] == ["validation", None, None]
    assert seen[2].data.dataset == "marsyas/gtzan"


def test_yaml_numbers_that_are_strings_become_numbers(
    command: click.Command, seen: list[RunConfig], tmp_path: Path
) -> None:
    preset = tmp_path / "p.yaml"
    preset.write_text("optim: {learning_rate: 1e-4}\ntrain: {report_to: [wandb, trackio]}\n")
    CliRunner().invoke(command, ["--preset", str(preset)])
    assert seen[0].optim.learning_rate == 1e-4
    assert seen[0].train.report_to == ("wandb", "trackio")


def test_an_empty_flag_takes_back_what_a_preset_set(
    command: click.Command, seen: list[RunConfig]
) -> None:
    CliRunner().invoke(command, ["--preset", "gtzan", "--test-split", ""])
    assert seen[0].data.test_split is None


def read_help(text: str) -> dict[str, list[str]]:
    """Return {heading: flags} of a help text."""
    sections: dict[str, list[str]] = {}
    heading = ""
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            heading = line[:-1]
        elif line.startswith("  -"):
            sections.setdefault(heading, []).append(line.split()[0].rstrip(","))
    return sections


def test_help_all_shows_every_setting_once_under_its_heading() -> None:
    result = CliRunner().invoke(main, ["train", "--help-all"], prog_name="audio-cls")
    sections = read_help(result.output)
    for one in iterate_settings():
        assert sections[one.group.heading].count(flag_name(one.name)) == 1
    shown = [flag for flags in sections.values() for flag in flags]
    assert len(shown) == len(set(shown))
    assert next(iter(sections)) == "Options" and list(sections)[-1] == "Presets and help"
    others = sections["Options"] + sections["Presets and help"]
    assert set(shown) == {flag_name(one.name) for one in iterate_settings()} | set(others)


def test_train_help_is_short_and_has_the_common_options_and_three_examples() -> None:
    result = CliRunner().invoke(main, ["train", "--help"], prog_name="audio-cls")
    sections = read_help(result.output)
    assert len(result.output.splitlines()) < 60
    common = {flag_name(one.name) for one in iterate_settings() if one.is_common}
    assert common < set(sections["Options"]) and len(common) == 19
    assert {"--help-all", "--list-presets", "--show-preset"} < set(sections["Presets and help"])
    assert result.output.partition("Examples:\n")[2].count(" train --") == 3
    assert "--no-overwrite" not in result.output


def test_every_option_of_train_states_whether_it_is_common() -> None:
    train = main.get_command(click.Context(main), "train")
    assert train is not None
    options = [one for one in train.params if isinstance(one, click.Option)]
    assert [one.name for one in options if not isinstance(one, HelpOption)] == []


def test_help_shows_ranges_and_whole_numbers_without_a_fraction() -> None:
    shown = CliRunner().invoke(main, ["train", "--help-all"]).output
    texts = " ".join(shown.split())
    assert "up or down; 0: off. [default: 0; from 0 to 60]" in texts
    assert "Replace the run in --output-dir. [default: off]" in texts


@pytest.mark.parametrize("name", [*COMMANDS, "cache list", "cache size", "cache clear", ""])
def test_every_help_has_at_most_60_lines_of_80_columns(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["audio-cls"])
    words = [*name.split(), "--help"]
    shown = CliRunner().invoke(main, words, prog_name="audio-cls", terminal_width=80).output
    lines = shown.splitlines()
    assert 5 < len(lines) <= 60 and max(map(len, lines)) <= 80
    assert name or "audio-cls train --list-presets" in shown


def test_inspect_and_evaluate_list_only_options_that_apply() -> None:
    for name in ("inspect", "evaluate"):
        shown = CliRunner().invoke(main, [name, "--help"]).output
        for flag in (
            "--streaming",
            "--shuffle-buffer",
            "--epochs",
            "--validation-size ",
        ):
            assert flag not in shown.replace("--validation-size of", ""), (name, flag)
        assert "--dataset TEXT" in shown and "--label-column COLUMN" in shown


def test_help_shows_the_defaults_of_the_given_preset() -> None:
    result = CliRunner().invoke(main, ["train", "--preset", "demo", "--help"])
    assert "Passes over the training clips.  [default: 50]" in " ".join(result.output.split("\n"))
    whole = CliRunner().invoke(main, ["train", "--preset", "demo", "--help-all"])
    assert "[default: 50; 1 or more]" in " ".join(whole.output.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-seconds", "0"], "--max-seconds 0.0 is not possible: it must be 0.1 or more."),
        (["--epochs", "many"], "'many' is not a valid int"),
        (["--scheduler", "step"], "'linear', 'cosine', 'constant'"),
        (["--preset", "gtzn"], "Did you mean gtzan?"),
        (["--preset", "missing.yaml"], "missing.yaml cannot be read"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_code_2(
    command: click.Command, arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.strip().splitlines()) == 1
    assert message in result.stderr


def test_errors_of_the_user_have_no_traceback_and_others_have() -> None:
    @settings_command()
    def fail(cfg: RunConfig) -> None:
        """Fail."""
        raise DatasetError("two\nlines") if cfg.train.seed else KeyError("bug")

    own = CliRunner().invoke(fail, [])
    assert (own.exit_code, own.stderr) == (2, "Error: two lines\n")
    bug = CliRunner().invoke(fail, ["--seed", "0"])
    assert isinstance(bug.exception, KeyError)


def test_help_answers_at_once() -> None:
    command = [sys.executable, "scripts/train.py", "--help"]
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        seconds.append(time.perf_counter() - started)
    assert b"--learning-rate" in done.stdout
    assert min(seconds) < 1.5


def test_messages_find_todays_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with CliRunner().isolation(), one_line_errors():  # a first command, its stream soon closed
        pass
    logging.getLogger("audio_cls").warning("still heard")
    assert capsys.readouterr().err == "still heard\n"


def test_former_flags_work_and_say_their_new_name(
    command: click.Command, seen: list[RunConfig]
) -> None:
    words = ["--prefix-cache-gb", "2", "--max-bad-share=0.5", "--freeze", "features"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    assert (seen[0].train.feature_cache_gb, seen[0].data.max_bad_audio_ratio) == (2, 0.5)
    expected = "--prefix-cache-gb is now --feature-cache-gb; release 0.3.0 removes the old name."
    assert f"Deprecated: {expected}" in result.stderr


def test_presets_are_listed_and_shown_without_a_heavy_import() -> None:
    code = (
        "import sys; sys.argv[0] = 'scripts/train.py'; import runpy\n"
        "try: runpy.run_path('scripts/train.py', run_name='__main__')\n"
        "finally: print(sorted({'torch', 'transformers', 'datasets'} & sys.modules.keys()))"
    )
    for words in (["--list-presets"], ["--show-preset", "gtzan"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert done.stdout.endswith("[]\n")
        for word in ("gtzan", "marsyas/gtzan"):
            assert word in done.stdout


def test_every_preset_has_a_line_in_the_table_and_is_shown_whole(command: click.Command) -> None:
    table = CliRunner().invoke(command, ["--list-presets"]).stdout.splitlines()
    end = table.index("")
    assert [line.split()[0] for line in table[:end]] == ["preset", *list_presets()]
    assert "--show-preset" in table[-1] and max(map(len, table)) <= 80
    for name in list_presets():
        shown = CliRunner().invoke(command, ["--show-preset", name]).stdout
        assert shown.strip() == load_preset(name).text.strip()
    lost = CliRunner().invoke(command, ["--show-preset", "gtzn"])
    assert lost.exit_code == 2 and "Did you mean gtzan?" in lost.stderr


def test_a_presets_configuration_goes_with_its_own_data_set(
    command: click.Command, seen: list[RunConfig]
) -> None:
    spot = ["--preset", "keyword-spotting"]
    for arguments in ([*spot], [*spot, "--dataset", "clips"], ["--dataset", "s3prl/superb"]):
        assert CliRunner().invoke(command, arguments).exit_code == 0
    assert [cfg.data.dataset_config for cfg in seen] == ["v0.02", None, None]
    assert all(cfg.data.silence_from == "auto" for cfg in seen)
