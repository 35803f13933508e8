"""Each function against a published worked example, then against properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from core.measurement.statistics import (
    Interval,
    holm,
    mcnemar_exact,
    median_ratio,
    noise_floor,
    paired_difference,
    pairs_needed,
    smallest_difference,
    wilson,
)

counts = st.integers(0, 400)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I,
        # method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_newcombes_table(successes: int, n: int, low: float, high: float) -> None:
    interval = wilson(successes, n)
    assert interval.value == successes / n
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_stays_within_bounds_and_mirrors(pair: tuple[int, int]) -> None:
    successes, n = pair
    interval, mirror = wilson(successes, n), wilson(n - successes, n)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirror.high, abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_wilson_refuses_what_is_no_proportion(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        wilson(successes, n)


def test_mcnemar_on_agrestis_approval_ratings() -> None:
    # Agresti, "Categorical Data Analysis", section 10.1: 794/150/86/570, z = -4.17, p < 0.0001;
    # R's binom.test(86, 236) gives 3.716e-05 for the same table.
    assert mcnemar_exact(150, 86) == pytest.approx(3.716e-05, rel=1e-3)


def test_mcnemar_on_airway_hyperresponsiveness() -> None:
    # Bentur et al. 2009 in Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91
    # (2013): 1, 1, 7, 12; exact conditional p = 0.070.
    assert mcnemar_exact(1, 7) == pytest.approx(0.0703125)


@given(counts, counts)
def test_mcnemar_is_symmetric_and_a_probability(first: int, second: int) -> None:
    p = mcnemar_exact(first, second)
    assert 0 < p <= 1 or first + second > 300
    assert p == pytest.approx(mcnemar_exact(second, first))
    if first == second:
        assert p == 1


@pytest.mark.parametrize(
    ("table", "value", "low", "high", "digits"),
    [
        # Newcombe's square-and-add interval in Fagerland, Lydersen and Laake, "Statistical Analysis
        # of Contingency Tables" (2017), chapter 8: response before and after consolidation therapy
        # (Cavo et al. 2012); and in their Statistics in Medicine 33 (2014): airway
        # hyper-responsiveness (Bentur et al. 2009).
        ((59, 16, 6, 80), -0.0621, -0.1186, -0.0046, 4),
        ((1, 7, 1, 12), -0.286, -0.507, -0.026, 3),
    ],
)
def test_paired_difference_gives_the_published_intervals(
    table: tuple[int, int, int, int], value: float, low: float, high: float, digits: int
) -> None:
    interval = paired_difference(*table)
    found = tuple(round(x, digits) for x in (interval.value, interval.low, interval.high))
    assert found == (value, low, high)


def test_paired_difference_on_agrestis_approval_ratings() -> None:
    # Agresti, section 10.1: -0.04, 95 % interval (-0.06, -0.02).
    interval = paired_difference(794, 150, 86, 570)
    assert (round(interval.value, 2), round(interval.low, 2), round(interval.high, 2)) == (
        -0.04, -0.06, -0.02,
    )


@given(counts, counts, counts, counts)
def test_paired_difference_brackets_its_value_and_mirrors(a: int, b: int, c: int, d: int) -> None:
    if a + b + c + d == 0:
        return
    interval, mirror = paired_difference(a, b, c, d), paired_difference(a, c, b, d)
    assert -1 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low == pytest.approx(-mirror.high, abs=1e-9)


def test_paired_difference_without_a_discordant_pair_still_has_width() -> None:
    interval = paired_difference(200, 0, 0, 50)
    assert interval.low < 0 < interval.high


def test_holm_on_a_hand_worked_family() -> None:
    # Holm 1979's steps on four tests: 4 x 0.005, 3 x 0.01, then 2 x 0.03, and never decreasing.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_holm_equals_statsmodels() -> None:
    rng = np.random.default_rng(3)
    for n in (1, 2, 7, 40):
        p = rng.random(n) ** 4
        assert holm(list(p)) == pytest.approx(list(multipletests(p, method="holm")[1]))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_never_helps_and_keeps_the_order(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(a >= b - 1e-12 for a, b in zip(adjusted, p, strict=True))
    order = np.argsort(p, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= -1e-12)


def test_pairs_needed_gives_connors_example() -> None:
    # Connor, Biometrics 43 (1987), page 209: 0.45 against 0.05 at 5 % and 80 % needs 23 pairs.
    assert pairs_needed(0.45 - 0.05, 0.45 + 0.05) == 23


@given(st.floats(0.002, 0.3), st.floats(0, 1))
def test_pairs_needed_grows_as_the_difference_shrinks(difference: float, discordant: float) -> None:
    assert pairs_needed(difference / 2, discordant) >= pairs_needed(difference, discordant)
    assert pairs_needed(-difference, discordant) == pairs_needed(difference, discordant)


@given(st.integers(20, 5000), st.floats(0.01, 0.5))
def test_smallest_difference_is_the_inverse(n: int, discordant: float) -> None:
    d = smallest_difference(n, discordant)
    assert pairs_needed(d, discordant) <= n
    if d > 0.01:
        assert pairs_needed(d * 0.98, discordant) >= n


def test_the_power_that_pairs_needed_promises_is_reached() -> None:
    rng = np.random.default_rng(0)
    lost, won = 0.10, 0.04
    n = pairs_needed(lost - won, lost + won)
    draws = rng.multinomial(n, [lost, won, 1 - lost - won], size=400)
    power = np.mean([mcnemar_exact(int(a), int(b)) < 0.05 for a, b, _ in draws])
    assert 0.70 < power < 0.88


def test_median_ratio_finds_a_known_ratio() -> None:
    rng = np.random.default_rng(1)
    disturbance = rng.lognormal(0, 0.2, size=(60, 1))
    slow = 4.0 * disturbance * rng.lognormal(0, 0.02, size=(60, 2))
    fast = 2.0 * disturbance * rng.lognormal(0, 0.02, size=(60, 2))
    interval = median_ratio(slow, fast, rng)
    assert interval.contains(2.0)
    assert interval.high - interval.low < 0.2
    assert median_ratio(slow, slow, rng) == Interval(value=1, low=1, high=1)


def test_median_ratio_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(100):
        common = rng.lognormal(0, 0.1, size=40)
        a = common * rng.lognormal(0.1, 0.05, size=40)
        b = common * rng.lognormal(0.0, 0.05, size=40)
        hits += median_ratio(a, b, rng, rounds=200).contains(float(np.exp(0.1)))
    assert hits >= 85


def test_median_ratio_refuses_unequal_series() -> None:
    with pytest.raises(ValueError, match="same"):
        median_ratio([1.0], [1.0, 2.0], np.random.default_rng(0))


def test_noise_floor_is_the_far_end() -> None:
    assert noise_floor(Interval(value=1.0, low=0.97, high=1.05)) == pytest.approx(0.05)
