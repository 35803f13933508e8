"""A budget in minutes: what may still be started so that the search ends in time. Arithmetic on seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FINALISTS = 3
TOLERANCE = 0.06
"""How far over the budget finalists may end; beyond, they are stopped. The promise is ten per cent."""
_MOST_RESERVED = 0.4
_FIRST_GUESS = 20.0
_FINAL_GUESS = 15.0


@dataclass(frozen=True)
class Seen:
    """How long a trial took, and how complex its recipe was (``core.search.space.complexity``)."""

    seconds: float
    complexity: float
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Pace:
    """The budget, what was spent, and what was seen so far; ``measuring`` is what a trial takes beside its steps."""

    budget: float
    spent: float
    parallel: int = 1
    seen: Sequence[Seen] = ()
    finals: Sequence[float] = ()
    measuring: float = 0.0

    @property
    def final_seconds(self) -> float:
        """How long a finalist takes: the longest seen, else the startup and the brief measurement with a margin."""
        if self.finals:
            return 1.1 * max(self.finals)
        return min(_FINAL_GUESS + 1.3 * self.measuring, 0.5 * _MOST_RESERVED * self.budget)

    @property
    def reserve(self) -> float:
        """What is kept for the finalists."""
        rounds = math.ceil(FINALISTS / max(1, self.parallel))
        return min(rounds * self.final_seconds, _MOST_RESERVED * self.budget)

    @property
    def left(self) -> float:
        """What is left for trials."""
        return self.budget - self.reserve - self.spent

    def expected(self, complexity: float, kinds: tuple[str, ...]) -> float:
        """Return how long a recipe will take, from those like it, else in proportion to its complexity."""
        like = [s for s in self.seen if s.kinds == kinds]
        if like:
            return 1.1 * float(np.median([s.seconds * max(1.0, complexity / max(s.complexity, 1e-9)) for s in like]))
        if self.seen:
            pace = float(np.median([s.seconds / max(s.complexity, 1e-9) for s in self.seen]))
            return max(min(s.seconds for s in self.seen), pace * complexity)
        return min(_FIRST_GUESS, 0.5 * self.left)

    def may_start(self, complexity: float, kinds: tuple[str, ...]) -> bool:
        """Tell whether a trial started now would end before the finalists' time begins."""
        return self.left > 0 and self.expected(complexity, kinds) <= self.left

    @property
    def searching_is_over(self) -> bool:
        """Whether trials that still run must be stopped."""
        return self.left <= 0

    def may_start_final(self) -> bool:
        """Tell whether a finalist started now would end within the tolerance."""
        return self.spent + self.final_seconds <= self.budget * (1 + TOLERANCE)

    @property
    def over(self) -> bool:
        """Whether even finalists must be stopped."""
        return self.spent >= self.budget * (1 + TOLERANCE)
