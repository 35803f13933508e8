"""What a measured run says about a wish: figures, losses freed of luck, and how sure a limit is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from core.search.wishes import Figures, Limit

DRAWS = 20_000
SURE, LIKELY = 0.95, 0.5


def figures(record: Mapping[str, Any]) -> Figures:
    """Return the figures of a run's record, on whatever images it was measured."""
    before, after, change = record["baseline"], record["compressed"], record["comparison"]
    n = int(record["images"]["test"]["n"])
    paired, drift = record.get("paired"), record.get("drift") or {}
    difference, took = change["top1_difference"], record.get("seconds") or {}
    if difference is not None:
        points = [0.0 - 100 * difference[key] for key in ("value", "high", "low")]
        lost = int(paired["right_to_wrong"]) if paired else max(0, round(points[0] * n / 100))
        gained = int(paired["wrong_to_right"]) if paired else max(0, round(-points[0] * n / 100))
    else:
        lost, gained = round((1 - change["agreement"]) * n), 0
        spread = 196 * math.sqrt(max(lost, 1)) / n
        value = 100 * lost / n
        points = [value, max(0.0, value - spread), min(100.0, value + spread)]
    return Figures(
        points=points[0], points_low=points[1], points_high=points[2], gzip=after["size"]["gzip_bytes"],
        zstd=after["size"]["zstd_bytes"], file=after["size"]["tflite_bytes"], latency=after["latency_ms"]["p50"],
        faster=change["latency_ratio"]["value"], kl=float(drift.get("kl", 0.0)), agreement=change["agreement"],
        labelled=difference is not None, n=n, gained=gained, lost=lost,
        aside=max(0.0, took.get("total", 0.0) - sum(took.get("steps", ()))),
        baseline={
            "gzip": before["size"]["gzip_bytes"], "zstd": before["size"]["zstd_bytes"],
            "file": before["size"]["tflite_bytes"], "latency": before["latency_ms"]["p50"],
        },
    )


def steadied(found: Sequence[Figures]) -> list[float]:
    """Return, per candidate, the points it is likely to lose on other images.

    The best of many noisy counts is partly luck. How many answers differ from the baseline's needs no labels, and on
    the whole the loss grows with it: each count is drawn towards an isotonic curve over the changed answers (the
    divergence where they are as many), the more, the fewer images it rests on and the better the curve fits
    (shrinkage, as in Efron and Morris 1975). Divergence alone does not order files of different number types: the
    rounding of int8 answers to zero dominates it.
    """
    counted = np.array([f.points for f in found])
    if len(found) < 4:
        return [float(v) for v in counted]
    variance = np.array([1e4 * (f.lost + f.gained + 1) / f.n**2 for f in found])
    order = np.lexsort(([f.kl for f in found], [1 - f.agreement for f in found]))
    curve = np.empty(len(found))
    curve[order] = isotonic_regression(counted[order], weights=1 / variance[order]).x
    surplus = max(0.0, float(np.average((counted - curve) ** 2 - variance, weights=1 / variance)))
    share = variance / (variance + max(surplus, 0.05 * float(np.mean(variance))))
    return [float(v) for v in share * curve + (1 - share) * counted]


def chance(limit: Limit, found: Figures, seed: int = 0) -> float:
    """Return how probable it is that a limit on the loss holds on images like these.

    The shares of images lost and gained have a Dirichlet distribution after what was counted (Jeffreys' prior). For
    sizes and times, 1 or 0: they are what was measured.
    """
    if limit.figure != "points":
        return float(limit.holds(found))
    rest = max(0, found.n - found.lost - found.gained)
    prior = [found.lost + 0.5, found.gained + 0.5, rest + 0.5]
    if not found.labelled:
        prior = [found.lost + 0.5, 1e-9, rest + 0.5]
    drawn = np.random.default_rng(seed).dirichlet(prior, DRAWS)
    return float(np.mean(100 * (drawn[:, 0] - drawn[:, 1]) <= limit.bound))
