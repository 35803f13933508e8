"""Intervals, paired tests, sample sizes: what the data can say, and how much more it would take.

Every function takes counts or arrays and returns plain numbers. Proportions are between 0 and 1; a
"point" of accuracy is 0.01. Intervals are two-sided, 95 % unless a level is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

LEVEL = 0.95
POWER = 0.8


class Interval(BaseModel):
    """An estimate and the range that the data leave open."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Tell whether ``value`` lies in the closed range."""
        return self.low <= value <= self.high


def wilson(successes: int, n: int, level: float = LEVEL) -> Interval:
    """Return the Wilson score interval of a proportion (Wilson 1927; no continuity correction).

    Raises
    ------
    ValueError
        If ``n`` is not positive or ``successes`` is not between 0 and ``n``.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} are not a proportion")
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    value = successes / n
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


def mcnemar_exact(first_only: int, second_only: int) -> float:
    """Return the two-sided exact p of McNemar's test: a binomial test on the discordant pairs.

    ``first_only`` pairs succeed with the first system alone, ``second_only`` with the second alone.
    Without a discordant pair nothing speaks against equality and p is 1.
    """
    if first_only + second_only == 0:
        return 1.0
    result = mcnemar([[0, first_only], [second_only, 0]], exact=True)
    return min(1.0, float(result.pvalue))


def paired_difference(
    both: int, first_only: int, second_only: int, neither: int, level: float = LEVEL
) -> Interval:
    """Return the proportion of the second minus that of the first on the same cases.

    Newcombe's square-and-add interval with the correlation term (method 10 of R. G. Newcombe,
    "Improved confidence intervals for the difference between binomial proportions based on paired
    data", Statistics in Medicine 17, 1998). It stays sensible where no pair is discordant, which is
    common for a light compression, while the Wald interval then has no width.

    Raises
    ------
    ValueError
        If there is no pair.
    """
    n = both + first_only + second_only + neither
    first = wilson(both + first_only, n, level)
    second = wilson(both + second_only, n, level)
    phi = _correlation(both, first_only, second_only, neither)
    value = (second_only - first_only) / n

    def distance(of_second: float, of_first: float) -> float:
        square = of_second**2 - 2 * phi * of_second * of_first + of_first**2
        return math.sqrt(max(0.0, square))

    below = distance(second.value - second.low, first.high - first.value)
    above = distance(second.high - second.value, first.value - first.low)
    return Interval(value=value, low=max(-1.0, value - below), high=min(1.0, value + above))


def _correlation(both: int, first_only: int, second_only: int, neither: int) -> float:
    """Return the correlation that method 10 uses: shrunk by half a count per case when positive."""
    n = both + first_only + second_only + neither
    margins = (both + first_only) * (second_only + neither) * (both + second_only) * (
        first_only + neither
    )
    if margins == 0:
        return 0.0
    numerator: float = both * neither - first_only * second_only
    if numerator > 0:
        numerator = max(numerator - n / 2, 0)
    return numerator / math.sqrt(margins)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number by Holm's step-down method (Holm 1979).

    Written out because statsmodels' ``multipletests`` forces a full garbage collection on every
    call, a tenth of a second in a large process; a test holds the two equal.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def pairs_needed(
    difference: float, discordant: float, level: float = LEVEL, power: float = POWER
) -> int:
    """Return how many images would show a true ``difference`` of accuracy with McNemar's test.

    The formula is Connor's ("Sample size for testing differences in proportions for the
    paired-sample design", Biometrics 43, 1987), from Miettinen's unconditional variance:
    ``n = (z_a sqrt(psi) + z_b sqrt(psi - d^2))^2 / d^2`` where ``psi`` is the discordant
    share.

    Parameters
    ----------
    difference
        Difference of the two proportions, not zero; its sign does not matter.
    discordant
        Share of the pairs on which exactly one of the two is right. A share below the difference is
        impossible and is raised to it.

    Raises
    ------
    ValueError
        If ``difference`` is zero or beyond 1.
    """
    d = abs(difference)
    if not 0 < d <= 1:
        raise ValueError("the difference must be between 0 and 1, without 0")
    psi = min(1.0, max(discordant, d))
    z_alpha, z_beta = norm.ppf((1 + level) / 2), norm.ppf(power)
    root = z_alpha * math.sqrt(psi) + z_beta * math.sqrt(max(0.0, psi - d * d))
    return math.ceil(float(root / d) ** 2)


def smallest_difference(
    n: int, discordant: float, level: float = LEVEL, power: float = POWER
) -> float:
    """Return the smallest difference that ``n`` pairs would show: the inverse of ``pairs_needed``.

    1.0 when even the largest possible difference would need more than ``n`` pairs.
    """
    low, high = 0.0, 1.0
    if n <= 0 or pairs_needed(1.0, 1.0, level, power) > n:
        return 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if pairs_needed(middle, discordant, level, power) <= n:
            high = middle
        else:
            low = middle
    return high


def median_ratio(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    rng: np.random.Generator,
    rounds: int = 2000,
    level: float = LEVEL,
) -> Interval:
    """Return median(first) / median(second) with a percentile bootstrap interval over rounds.

    Parameters
    ----------
    first, second
        Positive values, both [rounds] or [rounds, repeats]: row i of the two was taken in the same
        round. Whole rows are drawn together, so what disturbs a round disturbs both (Efron and
        Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8).
    rng
        Source of the draws.

    Raises
    ------
    ValueError
        If the shapes differ, or there is no row.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.size == 0:
        raise ValueError("both series need the same, non-zero number of rounds")
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    value = float(np.median(a) / np.median(b))
    draws = rng.integers(0, len(a), size=(rounds, len(a)))
    ratios = np.median(a[draws].reshape(rounds, -1), axis=1) / np.median(
        b[draws].reshape(rounds, -1), axis=1
    )
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


def noise_floor(ratio_of_twins: Interval) -> float:
    """Return how far from 1 the ratio of a model with itself may lie on this machine now.

    The largest distance of the A/A interval from 1, as a fraction: a measured ratio nearer to 1
    than this cannot be told from none, whatever its own interval says.
    """
    return max(abs(ratio_of_twins.low - 1), abs(ratio_of_twins.high - 1))
