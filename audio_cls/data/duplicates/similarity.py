"""Near-duplicate search: fingerprints select pairs of clips, whose waveforms are then correlated.

It finds clips that were encoded again, scaled, resampled or trimmed. A fingerprint has the levels
of `BANDS` frequency bands between 150 and 3400 Hz every 16 ms of the middle of the clip, down to 50
dB below the loudest point. Candidates are neighbours in a k-d tree of fingerprint summaries,
so that N clips take about N log N. Pairs whose fingerprints correlate by `MIN_SIMILARITY` at some
shift in time are near duplicates if their waveforms correlate by `MIN_CORRELATION`: two takes of
one word have similar fingerprints, but different waveforms.

Measured with this version: share of copies that were found among all clips of their set. The
thresholds were chosen on digits (3,000 takes by six speakers of 0.4 s; 150 copies) and music (80
pieces of 30 s; 20 copies), so these two columns are optimistic. Speech (180 clips of 1.3 s; 45
copies) and mixtures (400 of tones, noise and pieces of that speech, 1 to 6 s; 50 copies) were not
used before:

    copy                              digits    music     speech    mixtures
    mp3, ogg, a quarter as loud       100 %     100 %     100 %     100 %
    resampled to 8 kHz and back       100 %     100 %     100 %     100 %
    first 10 % (at most 0.25 s) off    97 %     100 %      98 %      96 %
    last 10 % (at most 0.25 s) off    100 %     100 %     100 %      98 %
    22 kHz, mp3, half as loud, cut     99 %     100 %      98 %      96 %

No copy was matched with another original. Two pairs of originals were matched, both of mixtures,
which may contain the same piece of speech.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft  # type: ignore[import-untyped]
from sklearn.decomposition import PCA
from sklearn.neighbors import KDTree

from audio_cls.audio.fingerprint import BANDS, LOW_RATE, Fingerprint, _take_middle
from audio_cls.config import Hertz
from audio_cls.progress import ProgressReport, show_progress

logger = logging.getLogger(__name__)

Pairs = NDArray[np.int64]  # (P, 2) places of two clips

FRAME_STEP = 2  # every second frame is used when two fingerprints are correlated
MIN_SIMILARITY = 0.9  # of two fingerprints whose waveforms are compared
MIN_CORRELATION = 0.95  # of the waveforms of near duplicates
MAX_LAG = 16  # largest shift of two fingerprints, in steps of FRAME_STEP frames: half a second
NEIGHBOURS = 8  # nearest neighbours compared with each clip
SUMMARY_SIZE = 12  # dimensions of the k-d tree
MAX_FITTED = 2**16  # summaries that the PCA is fitted to
ROWS_AT_ONCE = 2**14  # summaries per block: 3 MB
CELLS_AT_ONCE = 2**18  # products of frames per block: 2 MB
PAIRS_AT_ONCE = 16  # pairs of waveforms per block; with 3 s each they take 25 MB
MIN_FRAMES = 5  # 0.13 s: shorter clips are not compared


def find_near_duplicates(
    fingerprints: Sequence[Fingerprint], compare: Callable[[Pairs], NDArray[np.float64]]
) -> list[tuple[int, int, float]]:
    """List the pairs of near duplicates.

    Args:
        fingerprints: One per clip; those of fewer than MIN_FRAMES frames are not compared.
        compare: Returns the waveform correlation of each pair of places, see
            `waveform_correlation`.

    Returns:
        Two places in `fingerprints`, the smaller first, and the correlation of their waveforms.
    """
    rows = np.flatnonzero([len(fingerprint) >= MIN_FRAMES for fingerprint in fingerprints])
    if len(rows) < 2:
        return []
    places = rows[find_neighbours(_embed(fingerprints, rows))]
    places = places[fingerprint_similarity(fingerprints, places) >= MIN_SIMILARITY]
    correlations = compare(places)
    is_near = correlations >= MIN_CORRELATION
    found = zip(places[is_near].tolist(), correlations[is_near].tolist(), strict=True)
    return [(one, two, correlation) for (one, two), correlation in found]


def _embed(fingerprints: Sequence[Fingerprint], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the main components of the fingerprints' summaries, (R, D)."""
    summaries = np.empty((len(rows), 3 * BANDS), np.float32)
    places = show_progress(rows.tolist(), len(rows), "Near duplicates, fingerprints", logger)
    for summary, row in zip(summaries, places, strict=True):
        summary[:] = summarize_fingerprint(fingerprints[row])
    size = min(SUMMARY_SIZE, *summaries.shape)
    pca = PCA(size, random_state=0).fit(summaries[:: -(-len(rows) // MAX_FITTED)])
    blocks = np.array_split(summaries, -(-len(rows) // ROWS_AT_ONCE))
    return np.concatenate([pca.transform(block) for block in blocks])


def find_neighbours(points: NDArray[np.float32]) -> Pairs:
    """Pair each of (R, D) points with its nearest neighbours: each pair once, lower place first."""
    tree, count = KDTree(points), len(points)
    blocks = []
    firsts = range(0, count, ROWS_AT_ONCE)
    for first in show_progress(firsts, len(firsts), "Near duplicates, neighbours", logger):
        rows = np.arange(first, min(first + ROWS_AT_ONCE, count))[:, None]
        near = tree.query(points[rows[:, 0]], k=min(NEIGHBOURS + 1, count), return_distance=False)
        pairs = np.minimum(rows, near) * count + np.maximum(rows, near)
        blocks.append(np.unique(pairs[rows != near]))
    return np.stack(np.divmod(np.unique(np.concatenate(blocks)), count), axis=1)


def summarize_fingerprint(fingerprint: Fingerprint) -> NDArray[np.float32]:
    """Return mean, deviation and change of each band, weighted by loudness: (3 * BANDS,)."""
    levels = fingerprint.astype(np.float32) / 255
    weights = levels.mean(axis=1) ** 2 + 1e-6
    weights /= weights.sum()
    mean = weights @ levels
    spread = np.sqrt(weights @ (levels - mean) ** 2)
    change = weights[1:] @ np.abs(np.diff(levels, axis=0))
    return np.concatenate([mean - mean.mean(), spread, change])


def fingerprint_similarity(
    fingerprints: Sequence[Fingerprint], pairs: Pairs
) -> NDArray[np.float64]:
    """Return the largest correlation of two fingerprints over shifts in time, -1 to 1, (P,).

    At each shift they overlap by at least two thirds of the shorter one. Pairs of the same two
    lengths are computed together: if all clips have one length, in less than half the time
    (measured).

    Args:
        fingerprints: The fingerprints.
        pairs: Places of two of them, (P, 2).
    """
    lengths = np.array([len(fingerprint) for fingerprint in fingerprints])
    is_turned = lengths[pairs[:, 0]] > lengths[pairs[:, 1]]
    pairs = np.where(is_turned[:, None], pairs[:, ::-1], pairs)  # the shorter one first
    shapes, kinds = np.unique(lengths[pairs], axis=0, return_inverse=True)
    kinds = kinds.ravel()
    order = np.argsort(kinds, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1)
    found = np.empty(len(pairs))
    with ProgressReport("Near duplicates, pairs", len(pairs), logger) as report:
        for (height, width), members in zip(shapes, groups, strict=True):
            at_once = max(1, CELLS_AT_ONCE * FRAME_STEP**2 // (height * width))
            for block in np.split(members, range(at_once, len(members), at_once)):
                one, two = (
                    np.stack([fingerprints[n][::FRAME_STEP] for n in side])
                    for side in pairs[block].T
                )
                found[block] = _correlate_stacks(one.astype(np.float64), two.astype(np.float64))
                report.advance(len(block))
    return found


def _correlate_stacks(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate fingerprints pair by pair: (P, F, BANDS) and (P, F', BANDS) -> (P,); F <= F'."""
    height, width = one.shape[1], two.shape[1]
    slack = (width - height) // 2
    lags = np.arange(slack - MAX_LAG, 2 * slack + MAX_LAG + 1)
    starts, stops = np.maximum(0, -lags), np.minimum(height, width - lags)
    min_overlap = max(MIN_FRAMES // FRAME_STEP + 1, -(-2 * height // 3))
    is_enough = stops - starts >= min_overlap
    lags, starts, stops = (values[is_enough] for values in (lags, starts, stops))
    if not len(lags):
        return np.full(len(one), -1.0)
    # The products for one lag are a diagonal of all products. Levels are integers: sums are exact.
    cells = _number_diagonals(height, width) + (height + width - 1) * np.arange(len(one))[:, None]
    sums = np.bincount(cells.ravel(), (one @ two.transpose(0, 2, 1)).ravel())
    both = sums.reshape(len(one), -1)[:, lags + height - 1]
    count = (stops - starts) * BANDS
    total, squares = _sum_between(one, starts, stops)
    others, other_squares = _sum_between(two, starts + lags, stops + lags)
    spread = (squares - total**2 / count) * (other_squares - others**2 / count)
    is_flat = spread < 1e-6 * count  # one constant level, up to rounding
    found = (both - total * others / count) / np.sqrt(np.where(is_flat, 1, spread))
    return np.asarray(np.where(is_flat, -1, found).max(axis=1))


@functools.lru_cache(maxsize=64)
def _number_diagonals(height: int, width: int) -> NDArray[np.int64]:
    """Return the diagonal of each cell of a matrix, row by row; the bottom left one is 0."""
    rows, columns = np.indices((height, width))
    return np.asarray((columns - rows + height - 1).ravel())


def _sum_between(
    frames: NDArray[np.float64], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums of levels and of squared levels over the frames from each start to its stop."""
    found = []
    for values in (frames, frames**2):
        running = np.zeros((len(frames), frames.shape[1] + 1))
        values.sum(axis=2).cumsum(axis=1, out=running[:, 1:])
        found.append(running[:, stops] - running[:, starts])
    return found[0], found[1]


def waveform_correlation(
    read_wave: Callable[[int], NDArray[np.float32]],
    sampling_rate: Hertz,
    pairs: Pairs,
    advance: Callable[[int], None] = lambda _: None,
) -> NDArray[np.float64]:
    """Return the largest correlation of the middles of two waveforms over shifts in time, (P,).

    It is 0 to 1: polarity is ignored, and frequencies above LOW_RATE / 2. Memory does not grow
    with the number of pairs.

    Args:
        read_wave: Returns the waveform (T,) of a clip by its place.
        sampling_rate: Rate of the waveforms in Hz.
        pairs: Places of two clips, (P, 2); faster if pairs with the same first clip are together.
        advance: Called with the number of pairs of each block, when they are done.
    """
    found = np.zeros(len(pairs))
    for at in range(0, len(pairs), PAIRS_AT_ONCE):
        block = slice(at, at + PAIRS_AT_ONCE)
        found[block] = _correlate_block(read_wave, sampling_rate, pairs[block])
        advance(len(pairs[block]))
    return found


def _correlate_block(
    read_wave: Callable[[int], NDArray[np.float32]], sampling_rate: Hertz, pairs: Pairs
) -> NDArray[np.float64]:
    """Correlate some pairs; each waveform is transformed once."""
    factor = max(1, sampling_rate // LOW_RATE)
    firsts, seconds = (np.unique(side, return_inverse=True) for side in pairs.T)
    waves = [read_wave(place) for place in firsts[0].tolist()]
    # A copy may begin between two samples of the low rate.
    shifted = [[_take_middle(wave[n:], sampling_rate)[0] for wave in waves] for n in range(factor)]
    twos = [_take_middle(read_wave(place), sampling_rate)[0] for place in seconds[0].tolist()]
    size = 2 ** (2 * max(map(len, [*twos, *shifted[0]]))).bit_length()  # for every shift
    others = _transform(twos, size)[seconds[1]].conj()
    found = np.zeros(len(pairs))
    for ones in shifted:
        products = fft.irfft(_transform(ones, size)[firsts[1]] * others, size)
        lags = np.maximum(products, -products).argmax(axis=1).tolist()
        for row, (lag, one, two) in enumerate(zip(lags, firsts[1], seconds[1], strict=True)):
            later = lag if lag < len(ones[one]) else lag - size  # delay of `one`, may be negative
            found[row] = max(found[row], _correlate(ones[one], twos[two], later))
    return found


def _transform(waves: list[NDArray[np.float32]], size: int) -> NDArray[np.complex64]:
    """Return the spectra of waveforms padded to `size` samples, (N, size / 2 + 1)."""
    filled = np.zeros((len(waves), max(map(len, waves))), np.float32)
    for row, wave in zip(filled, waves, strict=True):
        row[: len(wave)] = wave
    return np.asarray(fft.rfft(filled, size))


def _correlate(one: NDArray[np.float32], two: NDArray[np.float32], lag: int) -> float:
    """Return the correlation, 0 to 1, of two waveforms; the first is `lag` samples later."""
    one, two = one[max(0, lag) :], two[max(0, -lag) :]
    overlap = min(len(one), len(two))
    one, two = one[:overlap], two[:overlap]
    scale = float(np.sqrt((one @ one) * (two @ two)))
    return abs(float(one @ two)) / scale if scale > 0 else 0.0
