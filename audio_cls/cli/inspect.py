"""Command `inspect`: summarise a data set before training on it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from audio_cls.cli.options.commands import PRESET_KEY
from audio_cls.cli.options.config_options import settings_command
from audio_cls.config import RunConfig


@settings_command("data")
def main(cfg: RunConfig) -> None:
    """Read a whole data set and say what is in it; no model, no training."""
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


main.params += [
    click.Option(
        ["--json", "as_json"], is_flag=True, help="Write one JSON object on standard output."
    ),
    click.Option(
        ["--report"],
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write a web page with histograms and clips to listen to.",
    ),
]


if __name__ == "__main__":
    main()
