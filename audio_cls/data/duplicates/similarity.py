"""Fingerprints of sound: what stays when a clip is encoded again, scaled, resampled or trimmed.

A fingerprint is a small picture: the level of `BANDS` bands between 150 and 3400 Hz every 16 ms of
the middle of the clip, on a scale that ends 50 dB below the loudest point. Whom to compare is found
by a k-d tree over summaries of the pictures, so that N clips take about N log N. Where two
pictures, one moved along the other in time, correlate by `ALIKE`, the waves themselves must
correlate by `SAME`: two takes of one word have one picture, but not one wave.

Measured with this version: copies of some clips were put beside all originals of their set, and the
share that was found is told. The thresholds were chosen on digits (3,000 takes by six speakers of
0.4 s; 150 copies) and music (80 pieces of 30 s; 20 copies); these two therefore flatter. Speech
(180 clips of 1.3 s; 45 copies) and mixtures (400 of tones, noise and pieces of that speech, 1 to
6 s; 50 copies) were never looked at before:

    copy                              digits    music     speech    mixtures
    mp3, ogg, a quarter as loud       100 %     100 %     100 %     100 %
    by way of 8 kHz                   100 %     100 %     100 %     100 %
    first 10 % (at most 0.25 s) off    97 %     100 %      98 %      96 %
    last 10 % (at most 0.25 s) off    100 %     100 %     100 %      98 %
    22 kHz, mp3, half as loud, cut     99 %     100 %      98 %      96 %

No copy was taken for one of another original. Two pairs of originals were, both of mixtures, which
may hold one piece of speech in common; no digit, piece of music or clip of speech was.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft  # type: ignore[import-untyped]
from sklearn.decomposition import PCA
from sklearn.neighbors import KDTree

from audio_cls.audio.fingerprint import BANDS, LOW_RATE, Fingerprint, _take_middle
from audio_cls.config import Hertz

Pairs = NDArray[np.int64]  # (P, 2) places of two clips

SKIP = 2  # when two pictures are laid upon each other, of so many frames one is looked at
ALIKE = 0.9  # correlation of pictures from which waves are compared
SAME = 0.95  # correlation of waves from which two clips are near duplicates
MAX_LAG = 16  # of these, that one picture is moved along the other: half a second
NEIGHBOURS = 8  # compared with each clip
SUMMARY_SIZE = 12  # dimensions of the tree
MAX_FITTED = 2**16  # pictures whose summaries choose these dimensions
ROWS_AT_ONCE = 2**14  # of summaries: 3 MB
CELLS_AT_ONCE = 2**18  # of products of frames: 2 MB
PAIRS_AT_ONCE = 16  # of waves; 3 seconds of each take 25 MB
MIN_FRAMES = 5  # 0.13 s: of a shorter sound there is no picture to speak of


def find_near_duplicates(
    prints: Sequence[Fingerprint], compare: Callable[[Pairs], NDArray[np.float64]]
) -> list[tuple[int, int, float]]:
    """List the pairs of near duplicates.

    Args:
        prints: A picture a clip; one of fewer than MIN_FRAMES frames is like no other.
        compare: Gives the correlation of the waves of each pair of places, as
            `waveform_correlation` does.

    Returns:
        Two places in `prints`, the smaller first, and the correlation of their waves.
    """
    rows = np.flatnonzero([len(own) >= MIN_FRAMES for own in prints])
    if len(rows) < 2:
        return []
    places = rows[find_neighbours(_place_prints(prints, rows))]
    places = places[fingerprint_similarity(prints, places) >= ALIKE]
    likeness = compare(places)
    same = likeness >= SAME
    found = zip(places[same].tolist(), likeness[same].tolist(), strict=True)
    return [(one, two, own) for (one, two), own in found]


def _place_prints(prints: Sequence[Fingerprint], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Place pictures so that like ones are near: their summaries' main directions, (R, D)."""
    summaries = np.empty((len(rows), 3 * BANDS), np.float32)
    for summary, row in zip(summaries, rows.tolist(), strict=True):
        summary[:] = summarize_print(prints[row])
    size = min(SUMMARY_SIZE, *summaries.shape)
    main = PCA(size, random_state=0).fit(summaries[:: -(-len(rows) // MAX_FITTED)])
    blocks = np.array_split(summaries, -(-len(rows) // ROWS_AT_ONCE))
    return np.concatenate([main.transform(block) for block in blocks])


def find_neighbours(points: NDArray[np.float32]) -> Pairs:
    """Pair each of (R, D) points with its nearest ones; a pair once, the smaller place first."""
    tree, count = KDTree(points), len(points)
    blocks = []
    for first in range(0, count, ROWS_AT_ONCE):
        own = np.arange(first, min(first + ROWS_AT_ONCE, count))[:, None]
        near = tree.query(points[own[:, 0]], k=min(NEIGHBOURS + 1, count), return_distance=False)
        pairs = np.minimum(own, near) * count + np.maximum(own, near)
        blocks.append(np.unique(pairs[own != near]))
    return np.stack(np.divmod(np.unique(np.concatenate(blocks)), count), axis=1)


def summarize_print(own: Fingerprint) -> NDArray[np.float32]:
    """Return means, spreads and changes of the bands, loud frames counting most: (3 * BANDS,)."""
    levels = own.astype(np.float32) / 255
    weights = levels.mean(axis=1) ** 2 + 1e-6
    weights /= weights.sum()
    mean = weights @ levels
    spread = np.sqrt(weights @ (levels - mean) ** 2)
    change = weights[1:] @ np.abs(np.diff(levels, axis=0))
    return np.concatenate([mean - mean.mean(), spread, change])


def fingerprint_similarity(prints: Sequence[Fingerprint], pairs: Pairs) -> NDArray[np.float64]:
    """Return the largest correlation of two pictures over shifts in time, -1 to 1, of each pair.

    At each shift at least two thirds of the shorter picture lie upon the other. Pairs of the same
    two lengths go together: where all have the same, as in a set of words, in less than half the
    time (measured).

    Args:
        prints: The pictures.
        pairs: Places of two of them, (P, 2).
    """
    lengths = np.array([len(own) for own in prints])
    is_turned = lengths[pairs[:, 0]] > lengths[pairs[:, 1]]
    pairs = np.where(is_turned[:, None], pairs[:, ::-1], pairs)  # the shorter one first
    shapes, kinds = np.unique(lengths[pairs], axis=0, return_inverse=True)
    kinds = kinds.ravel()
    order = np.argsort(kinds, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1)
    found = np.empty(len(pairs))
    for (height, width), own in zip(shapes, groups, strict=True):
        at_once = max(1, CELLS_AT_ONCE * SKIP**2 // (height * width))
        for some in np.split(own, range(at_once, len(own), at_once)):
            one, two = (np.stack([prints[n][::SKIP] for n in side]) for side in pairs[some].T)
            found[some] = _compare_stacks(one.astype(np.float64), two.astype(np.float64))
    return found


def _compare_stacks(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compare pictures pair by pair: (P, F, BANDS) and (P, F', BANDS) -> (P,); F <= F'."""
    height, width = one.shape[1], two.shape[1]
    slack = (width - height) // 2
    lags = np.arange(slack - MAX_LAG, 2 * slack + MAX_LAG + 1)
    starts, stops = np.maximum(0, -lags), np.minimum(height, width - lags)
    least = max(MIN_FRAMES // SKIP + 1, -(-2 * height // 3))
    is_enough = stops - starts >= least
    lags, starts, stops = (values[is_enough] for values in (lags, starts, stops))
    if not len(lags):
        return np.full(len(one), -1.0)
    # At a lag, frame meets frame along a diagonal of all products; levels are whole, so sums exact.
    cells = _number_diagonals(height, width) + (height + width - 1) * np.arange(len(one))[:, None]
    sums = np.bincount(cells.ravel(), (one @ two.transpose(0, 2, 1)).ravel())
    both = sums.reshape(len(one), -1)[:, lags + height - 1]
    count = (stops - starts) * BANDS
    total, squares = _sum_between(one, starts, stops)
    others, other_squares = _sum_between(two, starts + lags, stops + lags)
    spread = (squares - total**2 / count) * (other_squares - others**2 / count)
    is_flat = spread < 1e-6 * count  # a picture of one level, but for rounding
    found = (both - total * others / count) / np.sqrt(np.where(is_flat, 1, spread))
    return np.asarray(np.where(is_flat, -1, found).max(axis=1))


@functools.lru_cache(maxsize=64)
def _number_diagonals(height: int, width: int) -> NDArray[np.int64]:
    """Return the diagonal of each cell of a matrix, row by row; the lowest left one is 0."""
    rows, columns = np.indices((height, width))
    return np.asarray((columns - rows + height - 1).ravel())


def _sum_between(
    frames: NDArray[np.float64], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums of levels, and of their squares, over frames from each start to its stop."""
    found = []
    for values in (frames, frames**2):
        running = np.zeros((len(frames), frames.shape[1] + 1))
        values.sum(axis=2).cumsum(axis=1, out=running[:, 1:])
        found.append(running[:, stops] - running[:, starts])
    return found[0], found[1]


def waveform_correlation(
    read_wave: Callable[[int], NDArray[np.float32]], sampling_rate: Hertz, pairs: Pairs
) -> NDArray[np.float64]:
    """Return the largest correlation of two waves' middles over shifts in time, of each pair.

    0 to 1: polarity does not matter, nor what lies above half of LOW_RATE. A few pairs at a time:
    memory does not grow with their number.

    Args:
        read_wave: Gives the wave (T,) of a clip by its place.
        sampling_rate: Of the waves, in Hz.
        pairs: Places of two of them, (P, 2); those of one first wave had better be together.
    """
    found = np.zeros(len(pairs))
    for at in range(0, len(pairs), PAIRS_AT_ONCE):
        some = slice(at, at + PAIRS_AT_ONCE)
        found[some] = _compare_at_once(read_wave, sampling_rate, pairs[some])
    return found


def _compare_at_once(
    read_wave: Callable[[int], NDArray[np.float32]], sampling_rate: Hertz, pairs: Pairs
) -> NDArray[np.float64]:
    """Do so, each wave transformed once."""
    factor = max(1, sampling_rate // LOW_RATE)
    firsts, seconds = (np.unique(side, return_inverse=True) for side in pairs.T)
    waves = [read_wave(place) for place in firsts[0].tolist()]
    # A copy may begin between two of the means that are left at the low rate.
    shifted = [[_take_middle(wave[n:], sampling_rate)[0] for wave in waves] for n in range(factor)]
    twos = [_take_middle(read_wave(place), sampling_rate)[0] for place in seconds[0].tolist()]
    size = 2 ** (2 * max(map(len, [*twos, *shifted[0]]))).bit_length()  # room for every shift
    others = _transform(twos, size)[seconds[1]].conj()
    found = np.zeros(len(pairs))
    for ones in shifted:
        products = fft.irfft(_transform(ones, size)[firsts[1]] * others, size)
        lags = np.maximum(products, -products).argmax(axis=1).tolist()
        for row, (lag, one, two) in enumerate(zip(lags, firsts[1], seconds[1], strict=True)):
            later = lag if lag < len(ones[one]) else lag - size  # how much later `one` has it
            found[row] = max(found[row], _correlate(ones[one], twos[two], later))
    return found


def _transform(waves: list[NDArray[np.float32]], size: int) -> NDArray[np.complex64]:
    """Return the spectra of waves filled up to `size` samples, (N, size / 2 + 1)."""
    filled = np.zeros((len(waves), max(map(len, waves))), np.float32)
    for row, wave in zip(filled, waves, strict=True):
        row[: len(wave)] = wave
    return np.asarray(fft.rfft(filled, size))


def _correlate(one: NDArray[np.float32], two: NDArray[np.float32], lag: int) -> float:
    """Return the correlation, 0 to 1, of two waves of which the first has all `lag` later."""
    one, two = one[max(0, lag) :], two[max(0, -lag) :]
    both = min(len(one), len(two))
    one, two = one[:both], two[:both]
    scale = float(np.sqrt((one @ one) * (two @ two)))
    return abs(float(one @ two)) / scale if scale > 0 else 0.0
