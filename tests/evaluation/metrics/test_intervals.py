"""Coverage of the intervals on simulated test sets whose true value is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]

from audio_cls.evaluation.metrics import intervals
from audio_cls.evaluation.metrics.intervals import (
    bootstrap_interval,
    choose_wider,
    difference_interval,
    group_rows,
    list_ungrouped,
    mcnemar_test,
    paired_interval,
    resampling_units,
    summarize_runs,
    wilson_interval,
)
from audio_cls.evaluation.metrics.single_label import average_classes

PROMISED = (0.93, 0.97)  # share of simulated test sets whose 95 % interval covers the truth
NUM_SETS = 1000


def draw_clustered(
    rng: np.random.Generator, share: float, num_groups: int
) -> list[NDArray[np.float64]]:
    """Draw which clips are right, a group at a time: groups of 5 to 30 clips, of unlike skill."""
    skills = rng.beta(8 * share, 8 * (1 - share), size=num_groups)
    sizes = rng.integers(5, 31, size=num_groups)
    return [
        (rng.random(size) < skill).astype(float) for skill, size in zip(skills, sizes, strict=True)
    ]


def test_wilson_covers_the_true_accuracy_in_95_percent_of_test_sets() -> None:
    rng = np.random.default_rng(20)
    covered = 0
    for _ in range(4 * NUM_SETS):
        share, num_clips = rng.uniform(0.5, 0.98), int(rng.integers(50, 400))
        low, high = wilson_interval(int(rng.binomial(num_clips, share)), num_clips)
        covered += low <= share <= high
    assert PROMISED[0] <= covered / (4 * NUM_SETS) <= PROMISED[1]


@pytest.mark.parametrize(("share", "num_groups"), [(0.83, 20), (0.7, 40), (0.9, 30)])
def test_bootstrap_by_group_covers_the_accuracy_of_clustered_clips(
    share: float, num_groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "NUM_DRAWS", 120)
    rng = np.random.default_rng(num_groups)
    covered = naive = 0
    for _ in range(NUM_SETS):
        groups = draw_clustered(rng, share, num_groups)
        counts, sums = np.array([len(g) for g in groups]), np.array([g.sum() for g in groups])
        # A unit is a group, its clips kept as a sum: the same numbers, drawn faster.
        units = group_rows(num_groups, None)
        interval = bootstrap_interval(
            lambda rows, s=sums, c=counts: float(s[rows].sum() / c[rows].sum()), units
        )
        assert interval is not None
        covered += interval[0] <= share <= interval[1]
        low, high = wilson_interval(sums.sum(), counts.sum())
        naive += low <= share <= high
    assert PROMISED[0] <= covered / NUM_SETS <= PROMISED[1]
    assert naive / NUM_SETS < 0.85  # clips taken for independent promise too much


@pytest.mark.parametrize(("num_labels", "num_clips"), [(3, 100), (10, 300)])
def test_bootstrap_covers_the_true_macro_f1(
    num_labels: int, num_clips: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "NUM_DRAWS", 100)
    rng = np.random.default_rng(num_labels)
    skill = np.linspace(0.95, 0.65, num_labels)

    def draw(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        true = rng.integers(num_labels, size=count)
        wrong = (true + rng.integers(1, num_labels, size=count)) % num_labels
        return true, np.where(rng.random(count) < skill[true], true, wrong)

    truth = average_classes(*draw(400_000), kind="f1", average="macro")
    units, covered = group_rows(num_clips, None), 0
    for _ in range(NUM_SETS):
        true, predicted = draw(num_clips)
        interval = bootstrap_interval(
            lambda rows, t=true, p=predicted: average_classes(
                t[rows], p[rows], kind="f1", average="macro"
            ),
            units,
        )
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert PROMISED[0] <= covered / NUM_SETS <= PROMISED[1]


def test_interval_is_the_same_each_time_and_wider_by_group() -> None:
    rng = np.random.default_rng(3)
    groups = draw_clustered(rng, 0.8, 12)
    right = np.concatenate(groups)
    names = np.repeat([f"g{n}" for n in range(12)], [len(g) for g in groups])

    def share(rows: NDArray[np.int64]) -> float:
        return float(right[rows].mean())

    by_clip = bootstrap_interval(share, group_rows(len(right), None))
    by_group = bootstrap_interval(share, group_rows(len(right), names))
    assert by_clip is not None
    assert by_group is not None
    assert by_group == bootstrap_interval(share, group_rows(len(right), names))
    assert by_group[1] - by_group[0] > 1.2 * (by_clip[1] - by_clip[0])


def test_perfect_score_has_an_interval_of_as_many_clips_as_groups() -> None:
    units = group_rows(40, [f"g{n % 8}" for n in range(40)])
    assert bootstrap_interval(lambda _: 1.0, units) == wilson_interval(8, 8)


@pytest.mark.parametrize(("num_groups", "num_units"), [(1, 40), (2, 40), (4, 40), (5, 5), (8, 8)])
def test_fewer_than_five_groups_are_drawn_by_clip_and_say_so(
    num_groups: int, num_units: int
) -> None:
    units, note = resampling_units(40, [f"g{n % num_groups}" for n in range(40)])
    assert len(units) == num_units
    assert (note is not None) == (num_groups < 5)
    if note:
        assert note.startswith(f"Only {num_groups} group")
    assert resampling_units(40, None)[1] is None


def test_clips_without_a_group_are_drawn_one_by_one_and_are_no_group() -> None:
    groups = [*(f"g{n % 6}" for n in range(30)), *[""] * 10]
    units, note = resampling_units(40, groups)
    assert (len(units), note) == (6, None)
    assert resampling_units(4, ["a", "b", "", ""])[1] == resampling_units(2, ["a", "b"])[1]
    others = list_ungrouped(groups)
    drawn: list[NDArray[np.int64]] = []

    def share(rows: NDArray[np.int64]) -> float:
        drawn.append(rows)
        return float((rows % 3 > 0).mean())

    bootstrap_interval(share, units, others)
    assert sorted(drawn[0].tolist()) == list(range(40))  # the metric itself: of all clips
    assert all(len(rows) == 40 and (rows >= 30).sum() == 10 for rows in drawn)
    # Six groups that are all right, and ten clips with 5 right: the variance of the binomial part
    # alone, 10 / 40 * sqrt(0.5 * 0.5 / 10), times sqrt(6 / 5) and Student's t with 5 degrees.
    right = np.array([1.0] * 30 + [0, 1] * 5)
    interval = difference_interval(lambda rows: float(right[rows].mean()), units, others)
    assert interval is not None
    expected = 0.25 * (0.025**0.5) * 1.2**0.5 * 2.5706
    assert (0.875 - interval[0]) == pytest.approx(expected, rel=0.1)


def test_one_group_and_an_undefined_metric_have_no_interval() -> None:
    assert bootstrap_interval(lambda _: 0.5, group_rows(4, ["a"] * 4)) is None
    assert bootstrap_interval(lambda _: math.nan, group_rows(4, None)) is None


def test_interval_of_a_loss_may_exceed_one_and_stays_positive() -> None:
    losses = np.random.default_rng(1).exponential(2.0, size=50)
    interval = bootstrap_interval(
        lambda rows: float(losses[rows].mean()), group_rows(50, None), is_share=False
    )
    assert interval is not None
    assert 0 < interval[0] < losses.mean() < interval[1]
    assert interval[1] > 1


def test_mcnemar_is_the_exact_binomial_test_of_the_differing_clips() -> None:
    for first, second in ((1, 8), (5, 5), (0, 3), (40, 20)):
        tail = stats.binom.cdf(min(first, second), first + second, 0.5)
        assert mcnemar_test(first, second) == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar_test(0, 0) == 1.0


@pytest.mark.parametrize(("share", "spread"), [(0.7, 8), (0.9, 8), (0.7, None), (0.9, 30)])
def test_six_groups_give_an_interval_that_covers_and_is_no_narrower_than_by_clips(
    share: float, spread: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups of 5 to 30 clips; `spread` None: all groups are alike, clips are independent."""
    monkeypatch.setattr(intervals, "NUM_DRAWS", 120)
    rng = np.random.default_rng(6)
    covered, units = 0, group_rows(6, None)
    for _ in range(NUM_SETS // 2):
        skills = rng.beta(spread * share, spread * (1 - share), 6) if spread else np.full(6, share)
        counts = rng.integers(5, 31, size=6)
        sums = rng.binomial(counts, skills)
        by_clip = wilson_interval(int(sums.sum()), int(counts.sum()))
        by_group = bootstrap_interval(
            lambda rows, s=sums, c=counts: float(s[rows].sum() / c[rows].sum()), units
        )
        found = choose_wider(by_group, by_clip)
        assert found is not None and found[1] - found[0] >= by_clip[1] - by_clip[0]
        covered += found[0] <= share <= found[1]
    assert 0.94 <= covered / (NUM_SETS // 2) <= 0.99


def test_groups_that_score_alike_do_not_give_an_interval_of_width_0() -> None:
    right = np.tile([1.0, 1.0, 1.0, 1.0, 0.0], 12)  # each of six groups has 8 of 10 right
    units = group_rows(60, [f"g{n // 10}" for n in range(60)])
    found = bootstrap_interval(lambda rows: float(right[rows].mean()), units)
    assert found == pytest.approx(wilson_interval(0.8 * 6, 6))
    assert bootstrap_interval(lambda _: 0.7, units, is_share=False) is None  # a loss


def test_identical_answers_of_two_runs_leave_a_difference_open() -> None:
    units = group_rows(200, [f"g{n // 20}" for n in range(200)])
    gain = np.zeros(200)
    assert difference_interval(lambda rows: float(gain[rows].mean()), units) is None
    # By hand: (1 + 1) / 202 of the clips differ, half of them each way.
    half = 1.959964 * math.sqrt(2 / 202 / 202)
    assert paired_interval(0, 0, 200) == pytest.approx((-half, half), abs=1e-6)


def test_the_paired_interval_covers_the_true_difference() -> None:
    rng = np.random.default_rng(3)
    for first, second in ((0.1, 0.02), (0.03, 0.03), (0.3, 0.2)):
        draws = rng.multinomial(60, [first, second, 1 - first - second], size=NUM_SETS)
        covered = 0
        for one, other, _ in draws:
            low, high = paired_interval(int(one), int(other), 60)
            covered += low <= first - second <= high
        assert covered / len(draws) >= 0.93  # so few differing clips that it may be too wide


def test_a_better_run_has_an_interval_above_zero() -> None:
    units = group_rows(200, None)
    gain = np.zeros(200)
    gain[:40] = 1.0
    interval = difference_interval(lambda rows: float(gain[rows].mean()), units)
    assert interval is not None
    assert 0.1 < interval[0] < 0.2 < interval[1] < 0.3


def test_seeds_become_mean_sd_and_students_interval() -> None:
    found = summarize_runs([{"accuracy": value} for value in (0.8, 0.9, 0.85)])["accuracy"]
    low, high = stats.t.interval(0.95, 2, loc=0.85, scale=0.05 / math.sqrt(3))
    assert found["mean"] == pytest.approx(0.85)
    assert found["sd"] == pytest.approx(0.05)
    assert (found["ci95_low"], found["ci95_high"]) == pytest.approx((low, high))
    assert found["num_runs"] == 3
    assert "b" not in summarize_runs([{"a": 1.0, "b": 1.0}, {"a": 2.0}])


def test_two_runs_or_equal_runs_have_no_interval() -> None:
    two = summarize_runs([{"accuracy": 0.9}, {"accuracy": 1.0}])["accuracy"]
    assert two["mean"] == pytest.approx(0.95) and two["sd"] == pytest.approx(0.1 / math.sqrt(2))
    assert two["ci95_low"] is None and two["ci95_high"] is None
    equal = summarize_runs([{"accuracy": 0.1 + 0.2}, {"accuracy": 0.3}, {"accuracy": 0.3}])
    assert equal["accuracy"]["ci95_low"] is None
    assert summarize_runs([{"accuracy": 0.9}])["accuracy"]["sd"] is None


def test_intervals_over_runs_end_at_the_bounds_of_the_metric() -> None:
    values = (0.7, 0.99, 1.0)
    runs = [{"accuracy": v, "hamming_loss": 1 - v, "loss": 3 * v, "mine": v} for v in values]
    found = summarize_runs(runs)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert high > 1
    assert found["accuracy"]["ci95_high"] == 1 and found["hamming_loss"]["ci95_low"] == 0
    assert found["accuracy"]["ci95_low"] == pytest.approx(low)
    assert found["loss"]["ci95_high"] == pytest.approx(3 * high)  # a loss has no upper bound
    assert found["mine"]["ci95_high"] == pytest.approx(high)  # and an unknown metric none at all
