"""95 % confidence intervals: Wilson, bootstrap over clips or groups, Student's t over runs.

Also paired tests of two runs. The accuracy has Wilson's interval; every other metric, and every
metric by group, a bootstrap that draws whole groups, because clips of one group (such as a speaker)
are not independent. An interval by group is never narrower than the one by clips: the same score in
a few groups may be chance, and is no evidence about other groups. No interval has width 0: where
all resamples have the same value, it is Wilson's or None. scikit-learn and scipy are used where
they are fast enough: `scipy.stats.bootstrap` gives the same values as `bootstrap_values` and takes
four times as long; `binomtest(...).proportion_ci` has no Wilson interval of a fractional count.
A clip without a group (generated silence) is no group: such clips are drawn one by one next to the
groups, and do not count as groups. Letters: N clips, G groups (without groups, each clip is one).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]
from scipy.special import expit, logit  # type: ignore[import-untyped]

from audio_cls.config import find_metric_spec
from audio_cls.config.metrics import MetricSpec
from audio_cls.errors import count_of
from audio_cls.evaluation.metrics.base import Floats
from audio_cls.progress import show_progress

logger = logging.getLogger(__name__)

Rows = NDArray[np.int64]  # of clips
Interval = tuple[float, float]

Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
NUM_DRAWS = 1000  # resamples of a bootstrap: its standard error is then accurate to about 2 %
BOOTSTRAP_SEED = 0  # so that the same predictions always have the same interval
# With fewer groups, clips are drawn instead: Student's t with one degree of freedom is 12.7, so
# that two speakers gave intervals such as 0.02 to 1.00.
MIN_GROUPS = 5
MIN_RUNS = 3  # with fewer seeds or folds there is no interval, for the same reason
SAME = 1e-12  # values that differ by less differ by rounding alone
NO_ROWS: Rows = np.zeros(0, dtype=np.int64)


def wilson_interval(num_correct: float, num_clips: float) -> Interval:
    """Return the 95 % interval of a proportion, after Wilson 1927 (JASA 22, 209-212).

    It is inside [0, 1] and has a width at 0 and 1, where the Wald interval has none.

    >>> [round(bound, 3) for bound in wilson_interval(83, 100)]
    [0.745, 0.891]
    """
    share = num_correct / num_clips
    scale = 1 + Z95**2 / num_clips
    middle = (share + Z95**2 / (2 * num_clips)) / scale
    half = math.sqrt(share * (1 - share) / num_clips + Z95**2 / (4 * num_clips**2)) * Z95 / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def group_rows(num_clips: int, groups: Sequence[str] | NDArray[np.str_] | None) -> list[Rows]:
    """Return the rows of each group; without groups, each row by itself.

    Rows without a group ('') are left out.

    >>> [rows.tolist() for rows in group_rows(4, ["a", "b", "a", ""])]
    [[0, 2], [1]]
    """
    if groups is None:
        return [np.array([row]) for row in range(num_clips)]
    names, number = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(number, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(number))[:-1])
    return [rows for name, rows in zip(names, parts, strict=True) if name]


def resampling_units(
    num_clips: int, groups: Sequence[str] | NDArray[np.str_] | None
) -> tuple[list[Rows], str | None]:
    """Return the rows that a bootstrap draws together.

    Returns:
        The rows of each group, or each row by itself; and a note where there are groups, but too
        few to draw, else None.

    >>> resampling_units(4, ["a", "b", "a", ""])[1]
    'Only 2 groups were tested: the interval is over clips, other groups may score differently.'
    """
    units = group_rows(num_clips, groups)
    if groups is None or len(units) >= MIN_GROUPS:
        return units, None
    note = (
        f"Only {count_of(len(units), 'group was', 'groups were')} tested: the interval is"
        " over clips, other groups may score differently."
    )
    return group_rows(num_clips, None), note


def list_ungrouped(groups: Sequence[str] | NDArray[np.str_] | None) -> Rows:
    """Return the rows without a group, which `group_rows` leaves out.

    >>> list_ungrouped(["a", "", "a"]).tolist(), list_ungrouped(None).tolist()
    ([1], [])
    """
    return NO_ROWS if groups is None else np.flatnonzero(np.asarray(groups) == "")


def bootstrap_values(
    function: Callable[[Rows], float], units: Sequence[Rows], ungrouped: Rows = NO_ROWS
) -> Floats:
    """Compute a metric on resamples: G groups each, drawn with replacement.

    Args:
        function: Rows of clips -> the metric on them; NaN where it is undefined.
        units: The rows of each group.
        ungrouped: Rows without a group: that number of them is drawn one by one, as a stratum
            of their own.

    Returns:
        The defined values, at most `NUM_DRAWS`.
    """
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    has_single_rows = all(len(rows) == 1 for rows in units)
    all_rows = np.concatenate(units)
    values = []
    num_ungrouped = len(ungrouped)
    for _ in show_progress(range(NUM_DRAWS), NUM_DRAWS, "Bootstrap intervals", logger):
        drawn = rng.integers(len(units), size=len(units))
        resample = (
            all_rows[drawn] if has_single_rows else np.concatenate([units[unit] for unit in drawn])
        )
        if num_ungrouped:
            others = ungrouped[rng.integers(num_ungrouped, size=num_ungrouped)]
            resample = np.concatenate([resample, others])
        values.append(function(resample))
    found = np.array(values)
    return np.asarray(found[np.isfinite(found)])


def bootstrap_interval(
    function: Callable[[Rows], float],
    units: Sequence[Rows],
    ungrouped: Rows = NO_ROWS,
    *,
    is_share: bool = True,
) -> Interval | None:
    """Return the 95 % interval of a metric by a bootstrap over groups.

    The percentiles of a bootstrap are too narrow for the few groups of a usual test set (0.90
    instead of 0.95 coverage with 20 speakers in simulations). So the bootstrap gives the standard
    error alone, multiplied by sqrt(G / (G - 1)) as in Hesterberg 2015 (The American Statistician
    69, 371-386); the interval takes Student's t with G - 1 degrees of freedom on the scale of log
    odds, or of logarithms for a loss, and so never leaves the possible values.

    Args:
        function: Rows of clips -> the metric on them; NaN where it is undefined.
        units: The rows of each group; without groups, each row by itself.
        ungrouped: Rows without a group, see `bootstrap_values`.
        is_share: The metric is in [0, 1]; otherwise it is at least 0.

    Returns:
        The interval; None with fewer than two groups or without a value. Where all resamples have
        the same value, or the metric is 0 or 1: of a share, Wilson's for G clips; of a loss, None.
    """
    value = function(np.concatenate([*units, ungrouped]))
    num_groups = len(units)
    if num_groups < 2 or not math.isfinite(value):
        return None
    values = bootstrap_values(function, units, ungrouped)
    if len(values) < NUM_DRAWS // 2:
        return None
    half = _half_width(values, num_groups)
    if is_share and (half == 0 or not 0 < value < 1):
        return wilson_interval(value * num_groups, num_groups)
    if value <= 0 or half == 0:
        return None
    if not is_share:
        return value * math.exp(-half / value), value * math.exp(half / value)
    scaled = half / (value * (1 - value))
    return float(expit(logit(value) - scaled)), float(expit(logit(value) + scaled))


def _half_width(values: Floats, num_groups: int) -> float:
    """Return half the width of the 95 % interval for the values of a bootstrap."""
    if np.ptp(values) < SAME:
        return 0.0
    error = float(values.std(ddof=1)) * math.sqrt(num_groups / (num_groups - 1))
    return float(stats.t.ppf(0.975, num_groups - 1)) * error


def choose_wider(first: Interval | None, second: Interval | None) -> Interval | None:
    """Return the wider of two intervals of the same number; None counts as none.

    >>> choose_wider((0.4, 0.5), (0.3, 0.6)), choose_wider(None, (0.4, 0.5))
    ((0.3, 0.6), (0.4, 0.5))
    """
    found = [interval for interval in (first, second) if interval is not None]
    return max(found, key=lambda interval: interval[1] - interval[0], default=None)


def difference_interval(
    function: Callable[[Rows], float], units: Sequence[Rows], ungrouped: Rows = NO_ROWS
) -> Interval | None:
    """Return the 95 % interval of a difference of two runs on the same clips, by a bootstrap.

    Args:
        function: Rows of clips -> the difference on them, in [-1, 1].
        units: The rows of each group; without groups, each row by itself.
        ungrouped: Rows without a group, see `bootstrap_values`.

    Returns:
        The interval; None with fewer than two groups, or where all resamples have the same value.
    """
    num_groups = len(units)
    value = function(np.concatenate([*units, ungrouped]))
    values = bootstrap_values(function, units, ungrouped)
    if num_groups < 2 or len(values) < NUM_DRAWS // 2 or not math.isfinite(value):
        return None
    half = _half_width(values, num_groups)
    return (max(-1.0, value - half), min(1.0, value + half)) if half > 0 else None


def paired_interval(num_first: int, num_second: int, num_clips: int) -> Interval:
    """Return the 95 % interval of the difference in accuracy of two runs on the same clips.

    The adjusted Wald interval of Bonett and Price 2012 (Journal of Educational and Behavioral
    Statistics 37, 479-488). It has a width for two runs with the same predictions too, since they
    may differ on other clips.

    Args:
        num_first: Clips that only the first run predicts correctly.
        num_second: Clips that only the second run predicts correctly.
        num_clips: All clips.

    >>> [round(bound, 3) for bound in paired_interval(0, 0, 60)]
    [-0.045, 0.045]
    """
    total = num_clips + 2
    first, second = (num_first + 1) / total, (num_second + 1) / total
    half = Z95 * math.sqrt((first + second - (first - second) ** 2) / total)
    return max(-1.0, first - second - half), min(1.0, first - second + half)


def mcnemar_test(num_first: int, num_second: int) -> float:
    """Return the p-value of McNemar's exact two-sided test that two runs are equally good.

    The binomial form: under equality, each of the clips that one run alone predicts correctly is as
    likely to be the one's as the other's (McNemar 1947, Psychometrika 12, 153-157).

    Args:
        num_first: Clips that only the first run predicts correctly.
        num_second: Clips that only the second run predicts correctly.

    >>> round(mcnemar_test(1, 8), 4)
    0.0391
    """
    total = num_first + num_second
    if total == 0:
        return 1.0
    return float(stats.binomtest(num_first, total, 0.5).pvalue)


def summarize_runs(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | int | None]]:
    """Return mean, standard deviation and interval of the metrics of several seeds or folds.

    The interval is Student's t over the runs. Over seeds it covers the variance of training only,
    not that of the test sample; over folds it is somewhat too narrow, because folds share training
    clips (Bengio and Grandvalet 2004, JMLR 5, 1089-1105).

    Args:
        runs: The metrics of each run; a metric that one of them lacks is left out.

    Returns:
        For every metric: mean, sd (None for one run), ci95_low, ci95_high, num_runs. The interval
        ends at the metric's bounds; it is None for fewer than `MIN_RUNS` runs, and for runs with
        the same value.
    """
    shared = [name for name in runs[0] if all(name in run for run in runs)]
    return {
        name: _summarize(np.array([run[name] for run in runs]), find_metric_spec(name))
        for name in shared
    }


def _summarize(values: Floats, spec: MetricSpec) -> dict[str, float | int | None]:
    """Return mean, standard deviation and interval of the values of a metric."""
    count, mean = len(values), float(values.mean())
    deviation = float(values.std(ddof=1)) if count > 1 else None
    low = high = None
    if count >= MIN_RUNS and np.ptp(values) > SAME:
        error = float(stats.sem(values))
        bounds = stats.t.interval(0.95, count - 1, loc=mean, scale=error)
        low, high = max(spec.lowest, float(bounds[0])), min(spec.highest, float(bounds[1]))
    return {"mean": mean, "sd": deviation, "ci95_low": low, "ci95_high": high, "num_runs": count}
