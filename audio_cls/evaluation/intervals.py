"""How far a number can be trusted: 95 % intervals, from clips or from groups of clips.

A score on 100 clips is one draw of many; clips of one speaker are not even independent draws. The
share of right clips has Wilson's interval; every other metric, and everything by group, a
bootstrap that draws whole groups. Letters: N clips, G groups (each clip its own without groups).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]

Rows = NDArray[np.int64]
Interval = tuple[float, float]

Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
NUM_DRAWS = 1000  # resamples of a bootstrap; its standard error is then known to about 2 %
BOOTSTRAP_SEED = 0  # so that the same predictions always have the same interval
# Groups below which clips are drawn instead: Student's t of one degree of freedom is 12.7, so that
# two speakers gave intervals such as 0.02 to 1.00.
MIN_GROUPS = 5


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


def choose_units(
    num_clips: int, groups: Sequence[str] | NDArray[np.str_] | None
) -> tuple[list[Rows], str | None]:
    """Return the rows that a bootstrap draws as one, and why they are no groups although there are.

    Returns:
        The rows of each group, or every row alone; and a sentence where there are too few groups
        to draw, else None.

    >>> choose_units(3, ["a", "b", "a"])[1]
    'Too few groups (2) for an interval over groups: it draws clips, and tells nothing of others.'
    """
    units = group_rows(num_clips, groups)
    if groups is None or len(units) >= MIN_GROUPS:
        return units, None
    note = (
        f"Too few groups ({len(units)}) for an interval over groups: it draws clips, and tells"
        " nothing of others."
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
        The interval; None with fewer than two groups or without a value. At the very end of the
        scale, where every resample agrees, Wilson's for as many clips as there are groups.
    """
    value = function(np.concatenate(units))
    count = len(units)
    if count < 2 or not math.isfinite(value):
        return None
    drawn = draw_values(function, units)
    if len(drawn) < NUM_DRAWS // 2:
        return None
    if is_share and not 0 < value < 1:
        return wilson_interval(round(value) * count, count)
    if value <= 0:
        return None
    error = float(drawn.std(ddof=1)) * math.sqrt(count / (count - 1))
    reach = float(stats.t.ppf(0.975, count - 1)) * error
    if not is_share:
        return value * math.exp(-reach / value), value * math.exp(reach / value)
    middle, half = math.log(value / (1 - value)), reach / (value * (1 - value))
    low, high = (0.5 * (1 + math.tanh((middle + sign * half) / 2)) for sign in (-1, 1))
    return low, high


def difference_interval(
    function: Callable[[Rows], float], units: Sequence[Rows]
) -> Interval | None:
    """Return the 95 % interval of a difference of two runs on the same clips, by group.

    Args:
        function: Rows of clips -> the difference on them, in [-1, 1].
        units: The rows of each group.

    Returns:
        The interval; None with fewer than two groups.
    """
    count = len(units)
    if count < 2:
        return None
    value, drawn = function(np.concatenate(units)), draw_values(function, units)
    error = float(drawn.std(ddof=1)) * math.sqrt(count / (count - 1))
    reach = float(stats.t.ppf(0.975, count - 1)) * error
    return max(-1.0, value - reach), min(1.0, value + reach)


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

    The interval is Student's t on the runs. For seeds on one test set it says how the training's
    luck moves the number, not how the choice of test clips does; folds share training clips, so
    that theirs is somewhat too narrow (Bengio and Grandvalet 2004, JMLR 5, 1089-1105).

    Args:
        runs: The metrics of each run; a metric that one of them lacks is left out.

    Returns:
        For every metric: mean, sd, ci95_low, ci95_high (None for one run), num_runs.
    """
    shared = [name for name in runs[0] if all(name in run for run in runs)]
    return {name: _aggregate(np.array([run[name] for run in runs])) for name in shared}


def _aggregate(values: NDArray[np.float64]) -> dict[str, float | int | None]:
    """Return mean, standard deviation and interval of a few values."""
    count, mean = len(values), float(values.mean())
    if count < 2:
        return {"mean": mean, "sd": None, "ci95_low": None, "ci95_high": None, "num_runs": count}
    deviation = float(values.std(ddof=1))
    half = float(stats.t.ppf(0.975, count - 1)) * deviation / math.sqrt(count)
    bounds = {"ci95_low": mean - half, "ci95_high": mean + half}
    return {"mean": mean, "sd": deviation, **bounds, "num_runs": count}
