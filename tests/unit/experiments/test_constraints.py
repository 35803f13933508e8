import pandas as pd
import pytest
from pydantic import ValidationError

from core.experiments.constraints import Constraint, non_dominated, standing

RUNS = pd.DataFrame({
    "run": ["a", "b", "c", "d"], "gzip_mb": [1.0, 2.0, 3.0, 2.5], "lost_points": [9.0, 1.5, 0.5, 4.0],
    "speed": [3.0, 2.0, 1.0, float("nan")], "quality": [81.0, 88.5, 89.5, 86.0],
})


def test_the_front_holds_the_runs_that_nothing_beats_in_both():
    assert non_dominated(RUNS, "gzip_mb", "quality").tolist() == [True, True, True, False]


def test_equal_runs_are_not_both_on_the_front():
    twins = pd.DataFrame({"cost": [1.0, 1.0, 2.0], "gain": [5.0, 5.0, 5.0]})
    assert non_dominated(twins, "cost", "gain").sum() == 1


@pytest.mark.parametrize(("kind", "bound", "passing", "best"), [
    ("points", 2, ["b", "c"], "b"),
    ("megabytes", 2.2, ["a", "b"], "b"),
    ("faster", 2, ["a", "b"], "b"),
    ("points", 0, [], None),
])
def test_a_wish_passes_runs_and_names_the_best(kind, bound, passing, best):
    wish = Constraint(kind=kind, bound=bound)
    assert RUNS["run"][wish.passes(RUNS)].tolist() == passing
    index = wish.best(RUNS)
    assert (None if index is None else RUNS.loc[index, "run"]) == best


def test_each_run_has_one_standing():
    marks = standing(RUNS, "gzip_mb", "quality", Constraint(kind="points", bound=2))
    assert marks.tolist() == ["fails", "best", "front", "fails"]
    assert standing(RUNS, "gzip_mb", "quality", None).tolist() == ["front", "front", "front", "dominated"]


def test_a_wish_is_said_in_words():
    assert Constraint(kind="faster", bound=2).words(str) == "at least 2 times as fast"


@pytest.mark.parametrize("bound", [-1, float("nan"), float("inf")])
def test_a_bound_that_is_no_bound_is_refused(bound):
    with pytest.raises(ValidationError):
        Constraint(kind="points", bound=bound)
