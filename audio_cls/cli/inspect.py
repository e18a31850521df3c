"""Command `inspect`: summarise a data set before training on it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from audio_cls.cli.options.commands import PRESET_KEY
from audio_cls.cli.options.config_options import settings_command
from audio_cls.config import RunConfig

# Settings that decide which clips and labels there are, and which columns have a use.
SETTINGS = (
    "dataset",
    "dataset_config",
    "dataset_revision",
    "allow_partial",
    "audio_root",
    "audio_column",
    "start_column",
    "end_column",
    "duration_column",
    "min_clip_seconds",
    "max_clip_seconds",
    "label_column",
    "label_columns",
    "label_level",
    "label_pattern",
    "label_separator",
    "problem_type",
    "keep_labels",
    "drop_labels",
    "min_clips_per_label",
    "merge_rare_into",
    "keywords",
    "unknown_from",
    "silence_from",
    "silence_seconds",
    "group_column",
    "group_pattern",
    "train_split",
    "validation_split",
    "test_split",
)
# Accepted, from a preset above all: a column that they use is not reported as unused.
HIDDEN = ("fold_column", "folds", "fold", "split_files", "split_method")
OPTIONS = (
    click.option(
        "--report",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE.html",
        help="Also write a web page with histograms and clips to listen to.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


@settings_command(
    SETTINGS,
    hidden=HIDDEN,
    options=OPTIONS,
    program="inspect",
    examples=("--dataset my_clips", "--dataset marsyas/gtzan --report gtzan.html"),
    settings=(*SETTINGS, *HIDDEN),
)
def main(cfg: RunConfig) -> None:
    """Summarise a data set: classes, durations, unusable files, duplicates.

    Every clip is read once; no model is used. Ends with suggested settings for training.
    """
    # Not at the top of the file, so that --help need not wait for datasets.
    from tqdm import tqdm

    from audio_cls.data.inspection.html_report import write_html_report
    from audio_cls.data.inspection.scan import FIRST_CLIPS, DatasetScan, open_scan
    from audio_cls.data.inspection.summary import summarize
    from audio_cls.data.inspection.text_report import format_summary

    ctx = click.get_current_context()
    options, preset = ctx.params, ctx.meta.get(PRESET_KEY)
    chosen = preset.choose_values(cfg.data.dataset) if preset is not None else {}
    inspection: DatasetScan = open_scan(cfg.data)
    with tqdm(total=inspection.num_clips, desc="Reading", unit=" clips", file=sys.stderr) as bar:
        for done in inspection.read():
            bar.update(done - bar.n)
            if done == FIRST_CLIPS < inspection.num_clips:
                first = format_summary(summarize(inspection, chosen))
                bar.write(f"After {done} clips, taken evenly from all:\n{first}\n", file=sys.stderr)
    summary = summarize(inspection, chosen)
    if options["report"] is not None:
        write_html_report(options["report"], summary, inspection)
        click.echo(f"Written: {options['report']}", err=True)
    if options["as_json"]:
        click.echo(json.dumps(summary, ensure_ascii=False))
    else:
        click.echo(format_summary(summary))


if __name__ == "__main__":
    main()
