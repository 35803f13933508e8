"""What a search is asked for: one figure to make best, and limits on others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from core.locales import N_

Figure = Literal["points", "gzip", "zstd", "file", "latency"]
SIZES: tuple[Figure, ...] = ("gzip", "zstd", "file")
ASSUMED_POINTS = 1.0
_MOST = {"points": 100.0}

_ONE_POINT = N_("at most 1 point lost")
_LIMITS: dict[tuple[Figure, bool], str] = {
    ("points", False): N_("at most {bound} points lost"),
    ("gzip", False): N_("at most {bound} MB packed by gzip"),
    ("zstd", False): N_("at most {bound} MB packed by zstd"),
    ("file", False): N_("a file of at most {bound} MB"),
    ("latency", False): N_("at most {bound} ms per image"),
    ("gzip", True): N_("at least {bound} times smaller packed by gzip"),
    ("zstd", True): N_("at least {bound} times smaller packed by zstd"),
    ("file", True): N_("a file at least {bound} times smaller"),
    ("latency", True): N_("at least {bound} times as fast"),
}
_BEST: dict[Figure, str] = {
    "points": N_("lose as little as possible"), "gzip": N_("be smallest packed by gzip"),
    "zstd": N_("be smallest packed by zstd"), "file": N_("have the smallest file"), "latency": N_("be fastest"),
}


class Figures(BaseModel):
    """What was measured of one candidate against its baseline.

    Attributes
    ----------
    points
        Top-1 accuracy lost, in points; without labels the answers that changed, in per cent, which is the most
        accuracy that can have been lost. ``low`` and ``high`` bound it.
    gzip, zstd, file
        Bytes; ``baseline`` holds those of the baseline under the same names, and its ``latency`` in ms.
    latency
        Milliseconds for one image; ``faster`` the baseline's over it, timed in turns.
    kl
        Mean divergence of the answers from the baseline's, in nats; it needs no labels.
    aside
        Seconds of the run that its steps did not take: reading, measuring.
    """

    model_config = ConfigDict(frozen=True)

    points: float
    points_low: float
    points_high: float
    gzip: float
    zstd: float
    file: float
    latency: float
    faster: float
    kl: float
    agreement: float
    labelled: bool
    n: int
    gained: int = 0
    lost: int = 0
    aside: float = 0.0
    baseline: dict[str, float]

    def ratio(self, figure: Figure) -> float:
        """Return baseline over candidate: above 1 is smaller or faster."""
        if figure == "latency":
            return self.faster
        return self.baseline[figure] / max(1.0, float(getattr(self, figure)))


class Limit(BaseModel):
    """A bound on one figure: points, bytes or milliseconds at most; with ``relative``, a ratio at least."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    figure: Figure
    bound: float = Field(ge=0, le=1e12)
    relative: bool = False

    def value(self, found: Figures) -> float:
        """Return the figure that the bound speaks of."""
        return found.ratio(self.figure) if self.relative else float(getattr(found, self.figure))

    def excess(self, found: Figures, points: float | None = None) -> float:
        """Return how far a candidate is beyond the bound; 0 or less is within.

        Points count by themselves, sizes and times by the logarithm of their ratio to the bound, so that one point
        weighs as much as ten per cent. ``points`` replaces the points that were counted.
        """
        if self.figure == "points":
            return ((found.points if points is None else points) - self.bound) * 0.1
        value = max(1e-12, self.value(found))
        return (1 if not self.relative else -1) * math.log(value / max(1e-12, self.bound))

    def holds(self, found: Figures) -> bool:
        """Tell whether a candidate is within the bound, as measured."""
        return self.excess(found) <= 1e-9

    def words(self, translate: Callable[[str], str] = str, number: Callable[[float], str] = "{:g}".format) -> str:
        """Return the bound in words."""
        if self.figure == "points" and self.bound == 1:
            return translate(_ONE_POINT)
        shown = self.bound / 1e6 if self.figure in SIZES and not self.relative else self.bound
        return translate(_LIMITS[self.figure, self.relative]).format(bound=number(shown))


class Wish(BaseModel):
    """What to make best, within which limits.

    ``assumed`` says that the person named no limit on the loss and that the usual one was added.
    """

    model_config = ConfigDict(frozen=True)

    best: Figure
    limits: tuple[Limit, ...] = ()
    assumed: bool = False

    @property
    def points(self) -> Limit | None:
        """The limit on what may be lost, if there is one."""
        return next((limit for limit in self.limits if limit.figure == "points"), None)

    @property
    def cost(self) -> Figure:
        """The figure that is weighed against accuracy: what is to be best, else the first that is limited."""
        if self.best != "points":
            return self.best
        return next((limit.figure for limit in self.limits if limit.figure != "points"), "gzip")

    @property
    def times(self) -> bool:
        """Whether speed matters."""
        return "latency" in (self.best, *(limit.figure for limit in self.limits))

    def objective(self, found: Figures, points: float | None = None) -> float:
        """Return what to minimise: points, or the logarithm of a size or of a time relative to the baseline's."""
        if self.best == "points":
            return found.points if points is None else points
        return -math.log(max(1e-12, found.ratio(self.best)))

    def excess(self, found: Figures, points: float | None = None) -> float:
        """Return the sum of what is beyond the limits; 0 when all hold."""
        return sum(max(0.0, limit.excess(found, points)) for limit in self.limits)

    def holds(self, found: Figures) -> bool:
        """Tell whether every limit holds, as measured."""
        return all(limit.holds(found) for limit in self.limits)

    def words(self, translate: Callable[[str], str] = str, number: Callable[[float], str] = "{:g}".format) -> str:
        """Return the wish in words, as it was understood."""
        return ", ".join([*(x.words(translate, number) for x in self.limits), translate(_BEST[self.best])])
