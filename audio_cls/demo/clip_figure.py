"""Figure of a clip: waveform, spectrogram and, for a long clip, the scores of its windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audio_cls.audio.waveform import Wave
from audio_cls.config import Hertz
from audio_cls.evaluation.reports.figure_style import (
    BLUE,
    DPI,
    label_axes,
    make_figure,
    set_fonts,
    shorten_name,
)
from audio_cls.inference.prediction import WindowPrediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 4.6  # inches: on a phone, 8-point text is then about 8 pixels high
NUM_POINTS = 800  # of the drawn waveform: pairs of its lowest and highest sample
NUM_FRAMES = 600  # columns of the spectrogram
FFT_SIZE = 512  # samples of a frame
RANGE_DECIBEL = 80  # below the largest value of the spectrogram
MAX_LABELS = 8  # rows of the timeline


def draw_clip(wave: Wave, sampling_rate: Hertz, windows: Sequence[WindowPrediction] = ()) -> Figure:
    """Draw a clip.

    Args:
        wave: Mono, shape (T,), at least one sample.
        sampling_rate: In Hz.
        windows: Of the clip, by their starts; the timeline is drawn for two or more.
    """
    num_rows = 3 if len(windows) > 1 else 2
    figure = make_figure(WIDTH, 1.4 * num_rows)
    figure.set_dpi(DPI)
    axes = figure.subplots(num_rows, 1, sharex=True)
    _draw_wave(axes[0], wave, sampling_rate)
    _draw_spectrogram(axes[1], wave, sampling_rate)
    if num_rows == 3:
        _draw_timeline(axes[2], windows, sampling_rate)
    axes[-1].set_xlabel("time (s)")
    axes[0].set_xlim(0, len(wave) / sampling_rate)
    set_fonts(figure)
    return figure


def compute_spectrogram(wave: Wave) -> NDArray[np.float64]:
    """Return the power spectrum of frames at equal distances, in dB below the largest value.

    Args:
        wave: Shape (T,); a wave shorter than a frame is padded with zeros.

    Returns:
        Shape (FFT_SIZE / 2 + 1, at most NUM_FRAMES), from -RANGE_DECIBEL to 0.
    """
    wave = np.pad(wave, (0, max(0, FFT_SIZE - len(wave))))
    num_frames = min(NUM_FRAMES, 1 + (len(wave) - FFT_SIZE) // (FFT_SIZE // 4))
    starts = np.linspace(0, len(wave) - FFT_SIZE, num_frames).astype(np.int64)
    frames = wave[starts[:, None] + np.arange(FFT_SIZE)] * np.hanning(FFT_SIZE)
    power = np.abs(np.fft.rfft(frames)) ** 2
    floor = max(float(power.max()) * 10 ** (-RANGE_DECIBEL / 10), np.finfo(np.float64).tiny)
    decibel = 10 * np.log10(np.maximum(power, floor))
    return np.asarray((decibel - decibel.max()).T)


def select_labels(windows: Sequence[WindowPrediction]) -> list[str]:
    """Return the labels of the timeline: those with the largest scores in any window."""
    best: dict[str, float] = {}
    for window in windows:
        for label, score in window.scores.items():
            best[label] = max(score, best.get(label, 0.0))
    return sorted(best, key=lambda label: -best[label])[:MAX_LABELS]


def _draw_wave(axes: Axes, wave: Wave, sampling_rate: Hertz) -> None:
    """Draw the waveform, a long one by its lowest and highest samples."""
    starts = np.arange(0, len(wave), -(-len(wave) // NUM_POINTS))
    low, high = np.minimum.reduceat(wave, starts), np.maximum.reduceat(wave, starts)
    axes.fill_between(starts / sampling_rate, low, high, color=BLUE, linewidth=0.6)
    label_axes(axes, "", "", "amplitude")


def _draw_spectrogram(axes: Axes, wave: Wave, sampling_rate: Hertz) -> None:
    """Draw the spectrogram; frequencies in kHz."""
    extent = (0.0, len(wave) / sampling_rate, 0.0, sampling_rate / 2000)
    values = compute_spectrogram(wave)
    axes.imshow(
        values, aspect="auto", origin="lower", cmap="magma", extent=extent, vmin=-RANGE_DECIBEL
    )
    label_axes(axes, "", "", "frequency (kHz)")


def _draw_timeline(axes: Axes, windows: Sequence[WindowPrediction], sampling_rate: Hertz) -> None:
    """Draw the scores of the windows, a row per label; a window is drawn up to the next start."""
    labels = select_labels(windows)
    edges = [*(window.start for window in windows), windows[-1].end]
    values = np.array([[window.scores[label] for window in windows] for label in labels])
    rows = np.arange(len(labels) + 1)
    mesh = axes.pcolormesh(edges, rows, values, cmap="cividis", vmin=0, vmax=1)
    axes.set_yticks(rows[:-1] + 0.5, [shorten_name(label) for label in labels], parse_math=False)
    axes.invert_yaxis()
    label_axes(axes, "", "", "")
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01)
    label_axes(bar.ax, "", "", "score")
