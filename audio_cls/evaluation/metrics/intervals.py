"""How far a number can be trusted: 95 % intervals, from clips or from groups of clips.

A score on 100 clips is one draw of many; clips of one speaker are not even independent draws. The
share of right clips has Wilson's interval; every other metric, and everything by group, a
bootstrap that draws whole groups. An interval by group is never narrower than the one by clips:
few groups may score alike by chance, which shows nothing of other groups. No interval has width 0:
where every resample gives the same number, there is Wilson's or none. Letters: N clips, G groups
(each clip its own without groups).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]

from audio_cls.config import find_metric_spec
from audio_cls.config.metrics import MetricSpec

Rows = NDArray[np.int64]
Interval = tuple[float, float]

Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
NUM_DRAWS = 1000  # resamples of a bootstrap; its standard error is then known to about 2 %
BOOTSTRAP_SEED = 0  # so that the same predictions always have the same interval
# Groups below which clips are drawn instead: Student's t of one degree of freedom is 12.7, so that
# two speakers gave intervals such as 0.02 to 1.00.
MIN_GROUPS = 5
MIN_RUNS = 3  # seeds or folds below which there is no interval: with two, Student's t is 12.7 too
SAME = 1e-12  # values nearer than this differ by rounding alone


def wilson_interval(num_right: float, num_clips: float) -> Interval:
    """Return the 95 % interval of a share, after Wilson 1927 (JASA 22, 209-212).

    It stays inside [0, 1] and is honest at 0 and 1, where the usual one has width zero.

    >>> [round(bound, 3) for bound in wilson_interval(83, 100)]
    [0.745, 0.891]
    """
    share = num_right / num_clips
    scale = 1 + Z95**2 / num_clips
    middle = (share + Z95**2 / (2 * num_clips)) / scale
    spread = Z95 / scale
    half = spread * math.sqrt(share * (1 - share) / num_clips + Z95**2 / (4 * num_clips**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def group_rows(num_clips: int, groups: Sequence[str] | NDArray[np.str_] | None) -> list[Rows]:
    """Return the rows of each group, or every row alone.

    >>> [rows.tolist() for rows in group_rows(3, ["a", "b", "a"])]
    [[0, 2], [1]]
    """
    if groups is None:
        return [np.array([row]) for row in range(num_clips)]
    _, number = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.cumsum(np.bincount(number))[:-1])


def resampling_units(
    num_clips: int, groups: Sequence[str] | NDArray[np.str_] | None
) -> tuple[list[Rows], str | None]:
    """Return the rows that a bootstrap draws as one, and why they are no groups although there are.

    Returns:
        The rows of each group, or every row alone; and a sentence where there are too few groups
        to draw, else None.

    >>> resampling_units(3, ["a", "b", "a"])[1]
    'Only 2 groups were tested: the interval is over clips, other groups may score differently.'
    """
    units = group_rows(num_clips, groups)
    if groups is None or len(units) >= MIN_GROUPS:
        return units, None
    note = (
        f"Only {len(units)} group{'s were' if len(units) > 1 else ' was'} tested: the interval is"
        " over clips, other groups may score differently."
    )
    return group_rows(num_clips, None), note


def draw_values(function: Callable[[Rows], float], units: Sequence[Rows]) -> NDArray[np.float64]:
    """Compute a metric on resamples, each of as many groups as there are, drawn with replacement.

    Args:
        function: Rows of clips -> the metric on them; NaN where it is undefined.
        units: The rows of each group.

    Returns:
        The defined values, at most `NUM_DRAWS`.
    """
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    is_alone = all(len(rows) == 1 for rows in units)
    alone = np.concatenate(units)
    values = []
    for _ in range(NUM_DRAWS):
        drawn = rng.integers(len(units), size=len(units))
        rows = alone[drawn] if is_alone else np.concatenate([units[unit] for unit in drawn])
        values.append(function(rows))
    found = np.array(values)
    return np.asarray(found[np.isfinite(found)])


def bootstrap_interval(
    function: Callable[[Rows], float], units: Sequence[Rows], *, is_share: bool = True
) -> Interval | None:
    """Return the 95 % interval of a metric by a bootstrap over groups.

    The percentiles of a bootstrap are too near together for the few groups of a usual test set
    (0.90 instead of 0.95 of 20 speakers in our simulations). So the bootstrap gives the standard
    error alone, enlarged by sqrt(G / (G - 1)) as in Hesterberg 2015 (The American Statistician 69,
    371-386); the interval takes Student's t of G - 1 degrees of freedom on the scale of log odds,
    or of logarithms for a loss, and so never leaves the possible values.

    Args:
        function: Rows of clips -> the metric on them; NaN where it is undefined.
        units: The rows of each group; without groups, every row alone.
        is_share: The metric lies in [0, 1]; otherwise it is at least 0.

    Returns:
        The interval; None with fewer than two groups or without a value. Where every resample
        agrees, as at the very end of the scale: of a share, Wilson's for as many clips as there are
        groups; of a loss, None.
    """
    value = function(np.concatenate(units))
    count = len(units)
    if count < 2 or not math.isfinite(value):
        return None
    drawn = draw_values(function, units)
    if len(drawn) < NUM_DRAWS // 2:
        return None
    reach = _find_reach(drawn, count)
    if is_share and (reach == 0 or not 0 < value < 1):
        return wilson_interval(value * count, count)
    if value <= 0 or reach == 0:
        return None
    if not is_share:
        return value * math.exp(-reach / value), value * math.exp(reach / value)
    middle, half = math.log(value / (1 - value)), reach / (value * (1 - value))
    low, high = (0.5 * (1 + math.tanh((middle + sign * half) / 2)) for sign in (-1, 1))
    return low, high


def _find_reach(drawn: NDArray[np.float64], count: int) -> float:
    """Return half the width of the interval that a bootstrap over `count` groups gives."""
    if np.ptp(drawn) < SAME:
        return 0.0
    error = float(drawn.std(ddof=1)) * math.sqrt(count / (count - 1))
    return float(stats.t.ppf(0.975, count - 1)) * error


def choose_wider(first: Interval | None, second: Interval | None) -> Interval | None:
    """Return the wider of two intervals of one number; the other one where one is None.

    >>> choose_wider((0.4, 0.5), (0.3, 0.6)), choose_wider(None, (0.4, 0.5))
    ((0.3, 0.6), (0.4, 0.5))
    """
    found = [interval for interval in (first, second) if interval is not None]
    return max(found, key=lambda interval: interval[1] - interval[0], default=None)


def difference_interval(
    function: Callable[[Rows], float], units: Sequence[Rows]
) -> Interval | None:
    """Return the 95 % interval of a difference of two runs on the same clips, by a bootstrap.

    Args:
        function: Rows of clips -> the difference on them, in [-1, 1].
        units: The rows of each group; without groups, every row alone.

    Returns:
        The interval; None with fewer than two groups, or where every resample agrees.
    """
    count = len(units)
    value, drawn = function(np.concatenate(units)), draw_values(function, units)
    if count < 2 or len(drawn) < NUM_DRAWS // 2 or not math.isfinite(value):
        return None
    reach = _find_reach(drawn, count)
    return (max(-1.0, value - reach), min(1.0, value + reach)) if reach > 0 else None


def paired_interval(num_first: int, num_second: int, num_clips: int) -> Interval:
    """Return the 95 % interval of the difference in accuracy of two runs on the same clips.

    The adjusted Wald interval of Bonett and Price 2012 (Journal of Educational and Behavioral
    Statistics 37, 479-488). Two runs with the same answers may still differ on other clips: the
    interval has a width then too.

    Args:
        num_first: Clips that only the first run has right.
        num_second: Clips that only the second run has right.
        num_clips: All clips.

    >>> [round(bound, 3) for bound in paired_interval(0, 0, 60)]
    [-0.045, 0.045]
    """
    total = num_clips + 2
    first, second = (num_first + 1) / total, (num_second + 1) / total
    half = Z95 * math.sqrt((first + second - (first - second) ** 2) / total)
    return max(-1.0, first - second - half), min(1.0, first - second + half)


def mcnemar_test(num_first: int, num_second: int) -> float:
    """Return the exact two-sided p-value that two runs are as good, after McNemar 1947.

    Only the clips that one run alone has right say which is better: under equality each run has
    them by a fair coin (Psychometrika 12, 153-157; the exact binomial form).

    Args:
        num_first: Clips that only the first run has right.
        num_second: Clips that only the second run has right.

    >>> round(mcnemar_test(1, 8), 4)
    0.0391
    """
    total = num_first + num_second
    if total == 0:
        return 1.0
    return float(stats.binomtest(num_first, total, 0.5).pvalue)


def aggregate_runs(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | int | None]]:
    """Bring the same metrics of several seeds or folds together.

    The interval is Student's t on the runs. For seeds on one test set it says how far the random
    seed moves the number, not how the choice of test clips does; folds share training clips, so
    that theirs is somewhat too narrow (Bengio and Grandvalet 2004, JMLR 5, 1089-1105).

    Args:
        runs: The metrics of each run; a metric that one of them lacks is left out.

    Returns:
        For every metric: mean, sd (None for one run), ci95_low, ci95_high, num_runs. The interval
        is cut at the metric's bounds; it is None for fewer than `MIN_RUNS` runs, and for runs that
        all gave the same number.
    """
    shared = [name for name in runs[0] if all(name in run for run in runs)]
    return {
        name: _aggregate(np.array([run[name] for run in runs]), find_metric_spec(name))
        for name in shared
    }


def _aggregate(values: NDArray[np.float64], spec: MetricSpec) -> dict[str, float | int | None]:
    """Return mean, standard deviation and interval of a few values."""
    count, mean = len(values), float(values.mean())
    deviation = float(values.std(ddof=1)) if count > 1 else None
    low = high = None
    if count >= MIN_RUNS and np.ptp(values) > SAME:
        error = float(stats.sem(values))
        bounds = stats.t.interval(0.95, count - 1, loc=mean, scale=error)
        low, high = max(spec.lowest, float(bounds[0])), min(spec.highest, float(bounds[1]))
    return {"mean": mean, "sd": deviation, "ci95_low": low, "ci95_high": high, "num_runs": count}
