"""Request of a prediction: what `audio-cls predict` was asked for, and checks of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audio_cls.config import Seconds
from audio_cls.errors import SettingError
from audio_cls.inference.files.find_files import STDIN
from audio_cls.inference.files.rows import Kind


@dataclass(frozen=True)
class PredictRequest:
    """The options of `audio-cls predict`, with its defaults."""

    model: str
    paths: tuple[str, ...] = ()
    revision: str | None = None
    trust_remote_code: bool = False
    calibrate: bool = True
    batch_size: int | None = None
    num_workers: int | None = None
    device: str | None = None
    dtype: str | None = None
    files_from: str | None = None  # file with a list of paths, or "-"
    watch: str | None = None  # folder
    raw_rate: int | None = None
    raw_format: str | None = None
    raw_channels: int | None = None
    format: str | None = None  # one of FORMATS; None: by the output
    output: Path | None = None
    overwrite: bool = False
    top_k: int | None = None
    threshold: float | None = None
    embeddings: Path | None = None
    has_rows: bool = True  # False: embeddings alone
    strict: bool = False
    timeline: bool = False
    window_seconds: Seconds | None = None
    hop_seconds: Seconds | None = None
    overlap: float | None = None
    merge: bool = False
    max_gap: Seconds | None = None
    min_duration: Seconds | None = None
    no_event: tuple[str, ...] = ()  # labels besides `NO_EVENT` that are no events
    labels_format: str | None = None  # audacity or raven
    output_dir: Path | None = None
    cut_segments: Path | None = None

    @property
    def first_output(self) -> Path | None:
        """Return the file that is named when an interrupted call continues; None without files."""
        return self.embeddings if self.output is None else self.output

    @property
    def has_events(self) -> bool:
        """Return whether windows are merged to events, for rows or for files."""
        given = (self.labels_format, self.cut_segments)
        return self.merge or self.format == "raven" or any(one is not None for one in given)

    @property
    def kind(self) -> Kind:
        """Return what a row is for."""
        if self.merge or self.format == "raven" or (self.has_events and not self.timeline):
            return "event"
        return "window" if self.timeline else "file"

    @property
    def window_options(self) -> dict[str, float | None]:
        """Return the arguments of `Classifier.windows`."""
        return {
            "window_seconds": self.window_seconds,
            "hop_seconds": self.hop_seconds,
            "overlap": self.overlap,
        }

    def choose_format(self, *, is_terminal: bool) -> str:
        """Return the format of the rows: as given, or by the name of the output, or by its kind."""
        if self.format is not None:
            return self.format
        if self.output is not None:
            suffix = self.output.suffix[1:].lower()
            return suffix if suffix in ("csv", "parquet") else "jsonl"
        return "table" if is_terminal else "jsonl"

    def check(self) -> None:
        """Check that the options fit together.

        Raises:
            SettingError: They do not.
        """
        self._check_inputs()
        self._check_output()
        self._check_timeline()

    def _check_inputs(self) -> None:
        """Check where the files are from."""
        sources = [bool(self.paths), self.files_from is not None, self.watch is not None]
        if not any(sources):
            raise SettingError(
                "There is nothing to classify: give files or folders, - for sound on standard"
                " input, --files-from FILE or --watch FOLDER."
            )
        if self.watch is not None and sum(sources) > 1:
            raise SettingError("--watch takes its files from the folder: give no other files.")
        has_sound = STDIN in self.paths
        if has_sound and self.files_from == "-":
            raise SettingError(
                "Standard input cannot have both sound (-) and a list of files (--files-from -):"
                " give one of them."
            )
        is_raw = any(v is not None for v in (self.raw_rate, self.raw_format, self.raw_channels))
        if is_raw and (self.raw_rate is None or not has_sound):
            raise SettingError(
                "Raw samples are read from standard input: give - as the file, and their sampling"
                " rate by --raw-rate."
            )
        if has_sound and (self.labels_format or self.cut_segments):
            raise SettingError(
                "--labels-format and --cut-segments need recordings in files: give files instead"
                " of -."
            )

    def _check_output(self) -> None:
        """Check where the rows are written."""
        wanted = self.choose_format(is_terminal=False)
        if wanted == "parquet" and self.output is None:
            raise SettingError("parquet is not written to standard output: give --output FILE.")
        if wanted in ("parquet", "raven") and self.watch is not None:
            raise SettingError(
                f"--watch adds rows as files arrive, which {wanted} cannot: write csv or jsonl."
            )
        if wanted == "table" and self.output is not None:
            raise SettingError("The table is for terminals: write csv, jsonl or parquet to a file.")
        if self.embeddings is not None and (self.kind != "file" or self.watch is not None):
            raise SettingError(
                "--embeddings has one embedding per file: give it without --timeline, --merge and"
                " --watch."
            )
        if self.embeddings is not None and self.embeddings == self.output:
            raise SettingError("--embeddings and --output are the same file: give two names.")
        if self.embeddings is not None and self.output is None and self.has_rows:
            raise SettingError("--embeddings is written together with rows: add --output FILE.")

    def _check_timeline(self) -> None:
        """Check the options of windows and events."""
        windows = self._list_given("window_seconds", "hop_seconds", "overlap")
        if windows and self.kind == "file":
            raise SettingError(
                f"{windows[0]} is for a row per window: add --timeline, or --merge for a row per"
                " event. Files are scored with the windows of evaluation."
            )
        events = self._list_given("max_gap", "min_duration")
        events += ["--no-event"] if self.no_event else []
        if events and not self.has_events:
            raise SettingError(f"{events[0]} is for events: add --merge.")
        if self.output_dir is not None and self.labels_format is None:
            raise SettingError("--output-dir is for label files: add --labels-format.")
        if self.labels_format is not None and self.watch is not None and self.output_dir is None:
            raise SettingError("--watch writes label files to another folder: add --output-dir.")
        writes_files = self.labels_format is not None or self.cut_segments is not None
        if self.watch is not None and writes_files and self.output is None:
            raise SettingError(
                "--watch with --labels-format or --cut-segments needs --output FILE: after a"
                " restart, recordings that have rows there keep their files."
            )
        self._check_segments()

    def _check_segments(self) -> None:
        """Check that segments are not among the files that are searched for recordings."""
        if self.cut_segments is None:
            return
        target = self.cut_segments.resolve()
        for folder in (*self.paths, *([] if self.watch is None else [self.watch])):
            if Path(folder).is_dir() and target.is_relative_to(Path(folder).resolve()):
                raise SettingError(
                    f"--cut-segments '{self.cut_segments}' is inside '{folder}': the segments would"
                    " be recordings themselves. Give a folder outside of it."
                )

    def _list_given(self, *names: str) -> list[str]:
        """Return the flags among some options that were given."""
        return [f"--{n.replace('_', '-')}" for n in names if getattr(self, n) is not None]
