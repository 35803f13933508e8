"""The budget, in seconds that are given and not measured."""

import pytest

from core.search.pacing import FINALISTS, TOLERANCE, Pace, Seen

QUANTIZE = ("quantize",)


def spend(budget: float, trial: float, final: float, parallel: int) -> float:
    """Play a search whose trials and finalists always take as long; return when it ends."""
    clock, seen, finals = 0.0, [], []
    while True:
        pace = Pace(budget, clock, parallel, seen, finals, trial)
        starts = pace.may_start(2.0, QUANTIZE) if seen else True
        if not starts:
            break
        clock += trial
        seen += [Seen(trial, 2.0, QUANTIZE)] * parallel
        if Pace(budget, clock, parallel, seen, finals, trial).searching_is_over:
            clock = min(clock, budget - Pace(budget, clock, parallel, seen, finals, trial).reserve)
            break
    left = FINALISTS
    while left > 0 and Pace(budget, clock, parallel, seen, finals, trial).may_start_final():
        clock = min(clock + final, budget * (1 + TOLERANCE))
        finals += [final] * min(left, parallel)
        left -= parallel
    return clock


@pytest.mark.parametrize("budget", [120.0, 600.0, 1800.0])
@pytest.mark.parametrize("trial", [3.0, 20.0, 90.0])
@pytest.mark.parametrize("final", [5.0, 30.0, 70.0])
@pytest.mark.parametrize("parallel", [1, 2, 4])
def test_never_more_than_a_tenth_over(budget: float, trial: float, final: float, parallel: int) -> None:
    assert spend(budget, trial, final, parallel) <= 1.1 * budget


def test_most_of_the_time_is_used() -> None:
    assert spend(600.0, 20.0, 30.0, 2) >= 0.8 * 600


def test_a_recipe_that_would_overrun_is_not_started() -> None:
    pace = Pace(600, 500, 1, [Seen(60, 2.0, QUANTIZE)], [20.0])
    assert not pace.may_start(2.0, QUANTIZE)
    assert Pace(600, 400, 1, [Seen(60, 2.0, QUANTIZE)], [20.0]).may_start(2.0, QUANTIZE)


def test_longer_recipes_are_expected_to_take_longer() -> None:
    pace = Pace(600, 0, 1, [Seen(20, 2.0, QUANTIZE)])
    assert pace.expected(6.0, ("magnitude", "quantize")) > pace.expected(2.0, QUANTIZE)
    assert pace.expected(4.0, QUANTIZE) == pytest.approx(2 * pace.expected(2.0, QUANTIZE))


def test_time_is_kept_for_finalists_but_never_most_of_it() -> None:
    assert Pace(600, 0, 1, finals=[30.0]).reserve == pytest.approx(FINALISTS * 33.0)
    assert Pace(60, 0, 1, finals=[300.0]).reserve <= 0.4 * 60
