"""A wish such as "at most 2 points lost": which runs fulfil it, and which of those is best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from core.locales import N_

Kind = Literal["points", "megabytes", "faster"]
KINDS: dict[Kind, str] = {
    "points": N_("at most so many points lost"),
    "megabytes": N_("at most so many MB, packed"),
    "faster": N_("at least so many times as fast"),
}
_COLUMN = {"points": "lost_points", "megabytes": "gzip_mb", "faster": "speed"}
_WORDS = {
    "points": N_("at most {bound} points lost"),
    "megabytes": N_("at most {bound} MB, packed"),
    "faster": N_("at least {bound} times as fast"),
}


class Constraint(BaseModel):
    """One wish with its bound."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    kind: Kind
    bound: float = Field(ge=0, le=1e6)

    @property
    def column(self) -> str:
        """The column of a table of runs that it speaks of."""
        return _COLUMN[self.kind]

    def passes(self, runs: pd.DataFrame) -> pd.Series[bool]:
        """Return, per run, whether it fulfils the wish; a run without the figure does not.

        Parameters
        ----------
        runs
            Columns ``lost_points``, ``gzip_mb`` and ``speed``.
        """
        values = runs[self.column].astype(float)
        return values >= self.bound if self.kind == "faster" else values <= self.bound

    def best(self, runs: pd.DataFrame) -> object | None:
        """Return the index of the best run that passes, or None.

        Where accuracy is bounded, the smallest packed file is best; otherwise the fewest points lost. Ties go to the
        other of the two.
        """
        passing = runs[self.passes(runs)]
        if passing.empty:
            return None
        order = ["gzip_mb", "lost_points"] if self.kind == "points" else ["lost_points", "gzip_mb"]
        best: object = passing.sort_values(order, kind="stable").index[0]
        return best

    def words(self, translate: Callable[[str], str], number: Callable[[float], str] = "{:g}".format) -> str:
        """Return the wish in words."""
        if self.kind == "points" and self.bound == 1:
            return translate(N_("at most 1 point lost"))
        return translate(_WORDS[self.kind]).format(bound=number(self.bound))


def non_dominated(runs: pd.DataFrame, cost: str, gain: str) -> pd.Series[bool]:
    """Return, per run, whether no other has both less ``cost`` and more ``gain`` (Pareto's front)."""
    front: list[object] = []
    best = float("-inf")
    for index, row in runs[[cost, gain]].dropna().sort_values([cost, gain], ascending=[True, False]).iterrows():
        if float(row[gain]) > best:
            best = float(row[gain])
            front.append(index)
    return pd.Series(runs.index.isin(front), index=runs.index)


def standing(runs: pd.DataFrame, cost: str, gain: str, constraint: Constraint | None) -> pd.Series[str]:
    """Return, per run, "best", "front", "dominated" or "fails": how a chart of ``gain`` over ``cost`` marks it."""
    front = non_dominated(runs, cost, gain)
    marks = front.map({True: "front", False: "dominated"})
    if constraint is not None:
        marks = marks.mask(~constraint.passes(runs), "fails")
        best = constraint.best(runs)
        if best is not None:
            marks = marks.where(runs.index != best, "best")
    return marks
