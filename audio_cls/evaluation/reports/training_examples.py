"""Figure of six training examples as the model receives them, with their labels.

The examples are the first of epoch 0, after crop, augmentation, feature extraction and SpecAugment,
without the padding of their batch. They depend on seed and settings alone, so that a resumed run
draws the same figure. Where the output of frozen layers is cached, the input of these layers is
drawn. The figure has no ids; `--publish-ids none` does not publish it, as it shows single clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from audio_cls.data.clips.clips import Clips, Label
from audio_cls.data.loading.batch import Batch
from audio_cls.data.loading.sampler import DistributedBatchSampler
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.data.training_loader import DrawnExample, read_first_examples
from audio_cls.errors import quote_comma
from audio_cls.evaluation.reports.figure_style import (
    BLUE,
    FONT_SIZE,
    MAX_WIDTH,
    SMALL_SIZE,
    TEXT,
    TITLE_SIZE,
    label_axes,
    make_figure,
    save_figure,
)
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.processor import InputSpec, WaveProcessor
from audio_cls.runs.run_files import EXAMPLES_FIGURE
from audio_cls.text_table import shorten, to_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUM_EXAMPLES, NUM_COLUMNS = 6, 3
NUM_POINTS = 600  # of a drawn waveform: pairs of its lowest and highest sample
MAX_TITLE = 32  # characters of a label above its example
MIN_SHARE = 0.005  # of a label of a mixed example that is named


def save_training_examples(
    folder: Path,
    loader: DataLoader[list[Batch]],
    sampler: DistributedBatchSampler,
    clips: Clips | StreamClips,
    audio_model: AudioModel,
    *,
    is_resumed: bool = False,
) -> None:
    """Draw the first training examples into the run folder; main process only.

    No random state changes, nor that of loader and sampler. Nothing is written if no clip can be
    used.

    Args:
        folder: The run folder.
        loader: Of the training.
        sampler: Of the loader.
        clips: The training clips, as waveforms.
        audio_model: The model, before cached features replace its input.
        is_resumed: The figure of the first start is kept: it would be the same.
    """
    path = folder / EXAMPLES_FIGURE
    if is_resumed and path.exists():
        return
    processor = audio_model.processor
    examples = read_first_examples(loader, sampler, clips, processor, NUM_EXAMPLES)
    if examples:
        path.parent.mkdir(exist_ok=True)
        save_figure(draw_examples(examples, audio_model.labels, processor), path)


def draw_examples(
    examples: Sequence[DrawnExample], names: Sequence[str], processor: WaveProcessor
) -> Figure:
    """Draw at least one example: waveforms, or features by time."""
    spec, extractor = processor.input_spec, processor.extractor
    num_rows = -(-len(examples) // NUM_COLUMNS)
    figure = make_figure(MAX_WIDTH, 0.9 + 1.75 * num_rows)
    grid = figure.subplots(num_rows, NUM_COLUMNS, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(examples):
            axes.remove()
            continue
        values = examples[place].inputs[spec.input_name][0].float().numpy()
        if values.ndim == 1:
            y_label = "amplitude"
            _draw_wave(axes, values, spec)
        else:
            num_bands = _draw_features(axes, values, len(examples[place].wave), spec)
            sizes = {getattr(extractor, name, 0) for name in ("num_mel_bins", "feature_size")}
            y_label = "mel band" if num_bands in sizes else "feature"  # such as stacked frames
        title = shorten(to_line(describe_label(examples[place].label, names)), MAX_TITLE)
        is_left, is_lowest = place % NUM_COLUMNS == 0, place + NUM_COLUMNS >= len(examples)
        label_axes(axes, title, "time (s)" if is_lowest else "", y_label if is_left else "")
        axes.title.set_fontsize(FONT_SIZE)
    style: dict[str, Any] = {"fontsize": TITLE_SIZE, "color": TEXT}
    figure.suptitle("Training examples as the model receives them", **style)
    return figure


def describe_label(label: Label, names: Sequence[str]) -> str:
    """Return a label as text: several of a multi-label clip, shares of a mixed one.

    >>> describe_label(1, ["drums", "piano"])
    'piano'
    >>> describe_label(np.array([1, 1]), ["drums", "piano"])
    'drums, piano'
    >>> describe_label(np.array([0.25, 0.75]), ["drums", "piano"])
    'piano 0.75, drums 0.25'
    """
    if isinstance(label, int | np.integer):
        return names[int(label)]
    shown = [int(n) for n in np.argsort(-label, kind="stable") if label[n] >= MIN_SHARE]
    if all(label[number] == 1 for number in shown):
        return ", ".join(quote_comma(names[number]) for number in shown) or "no label"
    return ", ".join(f"{quote_comma(names[number])} {label[number]:.2f}" for number in shown)


def _draw_wave(axes: Axes, wave: NDArray[np.float32], spec: InputSpec) -> None:
    """Draw a waveform (T,), a long one by its lowest and highest samples."""
    step = -(-len(wave) // NUM_POINTS)
    starts = np.arange(0, len(wave), step)
    times = starts / spec.sampling_rate
    low, high = np.minimum.reduceat(wave, starts), np.maximum.reduceat(wave, starts)
    axes.fill_between(times, low, high, color=BLUE, linewidth=0.6)
    axes.set_xlim(0, len(wave) / spec.sampling_rate)


def _draw_features(
    axes: Axes, features: NDArray[np.float32], num_samples: int, spec: InputSpec
) -> int:
    """Draw the features of a clip of `num_samples` without padding; return their number M."""
    while features.ndim > 2:  # channels
        features = features[0]
    layout, seconds = spec.feature_layout, num_samples / spec.sampling_rate
    time_axis = int(np.argmax(features.shape)) if layout is None else layout.time_axis - 1
    frames = features if time_axis == 0 else features.T  # (F, M)
    if layout is not None:
        padded = len(frames) / layout.frames_per_second
        frames = frames[: max(1, int(seconds * layout.frames_per_second))]
        seconds = len(frames) / layout.frames_per_second
        if padded > 1.05 * seconds:
            note = f"padded to {padded:.3g} s"
            style: dict[str, Any] = {"color": "#ffffff", "fontsize": SMALL_SIZE - 1}
            style["bbox"] = {"facecolor": "#00204d", "edgecolor": "none", "alpha": 0.7, "pad": 2}
            axes.text(0.98, 0.95, note, transform=axes.transAxes, ha="right", va="top", **style)
    extent = (0.0, seconds, 0.0, float(frames.shape[1]))
    axes.imshow(frames.T, aspect="auto", origin="lower", cmap="cividis", extent=extent)
    return int(frames.shape[1])
