"""Command `listen`: detect sounds live, from a microphone, a file or raw samples on a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.inference.predict_options import SAMPLE_FORMATS
from audio_cls.cli.options import model_options
from audio_cls.cli.options.base_command import BaseCommand
from audio_cls.errors import AudioError, count_of
from audio_cls.text_table import TERMINAL_WIDTH, count_columns, pad_text, shorten, to_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from audio_cls.inference.events.event import Event
    from audio_cls.inference.prediction import WindowPrediction

OVERLAP = 0.5  # of windows, where neither overlap nor hop is given
BAR_WIDTH = 20
LABEL_WIDTH = 30  # columns of a label, at most
POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command(
    cls=BaseCommand,
    program="listen",
    examples=(
        "runs/my_run",
        "runs/my_run --threshold 0.8 --patience 3 --debounce 1",
        "runs/my_run recording.wav",
    ),
)
@click.argument("model")
@click.argument("source", required=False)
@click.option("--input", "input_device", metavar="DEVICE", help="Microphone: number or name.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Least score of a window.",
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Windows in a row that must reach the threshold.",
)
@click.option(
    "--debounce",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a label must be absent before it is detected again.",
)
@click.option(
    "--no-event", multiple=True, metavar="LABEL", help="Do not report this label. May be repeated."
)
@click.option(
    "--window-seconds",
    type=POSITIVE,
    metavar="SECONDS",
    help="Length of a window. Default: as in evaluation.",
)
@click.option(
    "--hop-seconds",
    type=POSITIVE,
    metavar="SECONDS",
    help="From the start of a window to that of the next. Default: half a window.",
)
@click.option(
    "--scores",
    is_flag=True,
    help="Print every window instead of the detections: all scores in a pipe, on a terminal the"
    " largest ones that fit the line.",
)
@click.option(
    "--raw-rate",
    type=click.IntRange(min=1),
    default=16_000,
    show_default=True,
    metavar="HZ",
    help="SOURCE -: sampling rate of the samples.",
)
@click.option(
    "--raw-format",
    type=click.Choice(SAMPLE_FORMATS),
    default="s16le",
    show_default=True,
    help="SOURCE -: their encoding.",
)
@click.option(
    "--raw-channels",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="SOURCE -: their channels.",
)
@model_options.device()
@model_options.revision()
@model_options.calibrate()
@model_options.trust_remote_code()
def main(**values: Any) -> None:  # noqa: ANN401 (click passes every option by name)
    """Detect sounds live with MODEL, a run folder or a Hub id.

    SOURCE is an audio file, or - for raw samples on standard input; without it, the microphone. One
    line per detection: start, end, label and score; in a pipe JSON lines. On a terminal the last
    line shows the present window. Ctrl-C ends.
    """
    with one_line_errors():
        check_source(values["source"])
        # Not at the top of the file, so that --help need not wait for torch.
        from audio_cls.inference.classifier import Classifier
        from audio_cls.inference.events.merge import NO_EVENT
        from audio_cls.inference.live import DetectionFilter, LiveDetector

        names = ("revision", "calibrate", "device", "trust_remote_code")
        classifier = Classifier.from_pretrained(values["model"], **{n: values[n] for n in names})
        rule = (values["threshold"], values["patience"], values["debounce"])
        detector = LiveDetector(
            classifier,
            DetectionFilter(*rule, (*NO_EVENT, *values["no_event"])),
            values["window_seconds"],
            values["hop_seconds"],
            None if values["hop_seconds"] else OVERLAP,
        )
        printer = Printer(sys.stdout, has_scores=values["scores"])
        for start, blocks, rate in open_source(values, classifier.sampling_rate):
            for window, detections in detector.run(blocks, rate, start):
                printer.show(window, detections)
        printer.close()


def check_source(source: str | None) -> None:
    """Check the source before the model is loaded.

    Raises:
        AudioClsError: The file does not exist, no pipe is connected, or there is no PortAudio.
    """
    if source is None:
        from audio_cls.inference.microphone import import_sounddevice

        import_sounddevice()
    elif source == "-" and sys.stdin.isatty():
        raise AudioError("no samples", "- reads a pipe: arecord -f S16_LE -r 16000 -t raw | ...")
    elif source != "-" and not Path(source).is_file():
        raise AudioError("missing file", source)


def open_source(
    values: dict[str, Any], sampling_rate: int
) -> Iterator[tuple[float, Iterable[NDArray[Any]], int]]:
    """Yield parts of sound without a gap: time of the first sample, blocks, their sampling rate."""
    source = values["source"]
    if source == "-":
        from audio_cls.audio.raw_samples import RawFormat, read_raw_blocks

        raw = RawFormat(values["raw_rate"], values["raw_format"], values["raw_channels"])
        yield 0.0, read_raw_blocks(sys.stdin.buffer, raw), raw.sampling_rate
    elif source is not None:
        from audio_cls.audio.blocks import read_blocks

        yield 0.0, read_blocks(source, sampling_rate), sampling_rate
    else:
        from audio_cls.inference.microphone import Microphone

        with Microphone(values["input_device"], sampling_rate) as microphone:
            click.echo(f"Listening to {microphone.name}. Ctrl-C ends.", err=True)
            for start, blocks in microphone.read():
                yield start, blocks, microphone.sampling_rate


class Printer:
    """Prints detections or windows, and the present scores on a terminal's last line."""

    def __init__(self, output: TextIO, *, has_scores: bool) -> None:
        """Print to `output`: JSON lines unless it is a terminal.

        Args:
            output: Standard output.
            has_scores: Print every window with its scores instead of the detections.
        """
        self.output = output
        self.has_scores = has_scores
        self.is_json = not output.isatty()
        # The next program of a pipe writes to the same terminal: its lines would be mixed with it.
        self.has_live_line = sys.stderr.isatty() and not self.is_json
        self.num_windows = self.num_detections = 0

    def show(self, window: WindowPrediction, detections: Sequence[Event]) -> None:
        """Print the lines of a window."""
        self.num_windows += 1
        self.num_detections += len(detections)
        for one in [window] if self.has_scores else detections:
            self._print(one)
        if self.has_live_line:
            bar = "#" * round(window.score * BAR_WIDTH)
            label = format_label(window.label)
            self._write_live(f"{window.end:10.2f} s  {label}  {window.score:.3f}  {bar}")

    def close(self) -> None:
        """Print how much was found, on standard error."""
        if self.has_live_line:
            self._write_live("")
        windows = count_of(self.num_windows, "window")
        click.echo(f"{windows}, {count_of(self.num_detections, 'detection')}.", err=True)

    def _print(self, one: WindowPrediction | Event) -> None:
        """Print a detection or a window."""
        if self.has_live_line:
            self._write_live("")
        text = to_json(one) if self.is_json else format_line(one)
        self.output.write(f"{text}\n")
        self.output.flush()

    def _write_live(self, line: str) -> None:
        """Replace the last line of the terminal."""
        sys.stderr.write(f"\r{'':{TERMINAL_WIDTH - 1}}\r{line}")
        sys.stderr.flush()


def to_json(one: WindowPrediction | Event) -> str:
    """Return a detection, or a window with its scores, as a JSON object."""
    row: dict[str, Any] = {name: getattr(one, name) for name in ("start", "end", "label", "score")}
    scores = getattr(one, "scores", None)  # a detection has none
    return json.dumps(row if scores is None else {**row, "scores": scores}, ensure_ascii=False)


def format_line(one: WindowPrediction | Event) -> str:
    """Return the line of a detection, or of a window with the largest scores that fit it."""
    times = f"{one.start:10.2f} {one.end:10.2f} s"
    scores: dict[str, float] | None = getattr(one, "scores", None)
    if scores is None:
        return f"{times}  detected  {format_label(one.label)}  {one.score:.3f}"
    line = f"{times}  window"
    for label, score in sorted(scores.items(), key=lambda pair: -pair[1]):
        more = f"  {shorten(to_line(label), LABEL_WIDTH)} {score:.3f}"
        if count_columns(line + more) > TERMINAL_WIDTH:
            break
        line += more
    return line


def format_label(label: str | None) -> str:
    """Return the cell of a label."""
    return pad_text(shorten(to_line(label or "-"), LABEL_WIDTH), LABEL_WIDTH)
