"""How many units of each group go, so that a target is met at the least expected damage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.engine.channels.costs import Counter
from core.engine.channels.dependencies import Dependencies, Group

Array = np.ndarray[Any, Any]


def multiple(group: Group, round_to: int) -> int:
    """Return what the count of a group is rounded to: less in groups of which too little would be left to choose."""
    while round_to > 1 and len(group.units) < 4 * round_to:
        round_to //= 2
    return round_to


def most(group: Group, round_to: int) -> int:
    """Return how many units of a group may go: one stays, or a whole multiple when counts are rounded."""
    return max(0, len(group.units) - multiple(group, round_to))


def stride(group: Group, gone: int, round_to: int) -> int:
    """Return how many more units go at once: to the next count that is allowed, about a 64th of the group away."""
    round_to = multiple(group, round_to)
    left = len(group.units) - gone
    return (left % round_to or round_to) + max(0, len(group.units) // 64 // round_to - 1) * round_to


def reachable(found: Dependencies, target: str, round_to: int) -> float:
    """Return the largest fraction of ``target`` ("macs", "parameters" or "channels") that can be removed."""
    if target == "channels":
        total = sum(len(g.units) for g in found.groups)
        return sum(most(g, round_to) for g in found.groups) / max(total, 1)
    counter = Counter(found, target)
    for index, group in enumerate(found.groups):
        counter.remove(index, most(group, round_to))
    return 1 - counter.left() / max(counter.total, 1)


def by_damage(found: Dependencies, damage: Array, target: str, fraction: float, round_to: int) -> list[int]:
    """Return the units to remove, those of least damage for what they save first.

    Parameters
    ----------
    damage
        Expected damage of each unit, [units].
    """
    counter, counts = Counter(found, target), [0] * len(found.groups)
    orders = [g.units[np.argsort(damage[g.units], kind="stable")] for g in found.groups]
    total = float(sum(len(g.units) for g in found.groups)) if target == "channels" else counter.total
    left = total
    while left > (1 - fraction) * total + 1e-9 * total:
        best, price, step = -1, np.inf, 0
        for index, group in enumerate(found.groups):
            width = stride(group, counts[index], round_to)
            if counts[index] + width > most(group, round_to):
                continue
            gain = float(width) if target == "channels" else counter.gain(index, width)
            asked = float(damage[orders[index][counts[index]: counts[index] + width]].sum()) / max(gain, 1e-9)
            if asked < price:
                best, price, step = index, asked, width
        if best < 0:
            break
        counter.remove(best, step)
        counts[best] += step
        left = left - step if target == "channels" else counter.left()
    return _first(orders, counts)


def evenly(found: Dependencies, damage: Array, target: str, fraction: float, round_to: int) -> list[int]:
    """Return the units to remove when every group loses the same share, those of least damage first."""
    orders = [g.units[np.argsort(damage[g.units], kind="stable")] for g in found.groups]

    def counts(share: float) -> list[int]:
        result = []
        for group in found.groups:
            width = multiple(group, round_to)
            kept = -(-round((1 - share) * len(group.units)) // width) * width
            result.append(min(max(0, len(group.units) - kept), most(group, round_to)))
        return result

    def removed(share: float) -> float:
        gone = counts(share)
        if target == "channels":
            return sum(gone) / max(sum(len(g.units) for g in found.groups), 1)
        counter = Counter(found, target)
        for index, count in enumerate(gone):
            counter.remove(index, count)
        return 1 - counter.left() / max(counter.total, 1)

    low, high = 0.0, 1.0
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (low, middle) if removed(middle) >= fraction - 1e-9 else (middle, high)
    return _first(orders, counts(high))


def _first(orders: list[Array], counts: list[int]) -> list[int]:
    return [int(unit) for order, count in zip(orders, counts, strict=True) for unit in order[:count]]


def summary(found: Dependencies, removed: list[int]) -> list[Mapping[str, Any]]:
    """Return one row per group: ``layer``, ``channels`` before and ``kept`` after."""
    gone = set(removed)
    rows: list[Mapping[str, Any]] = []
    for group in found.groups:
        lost = sum(int(unit) in gone for unit in group.units)
        rows.append({"layer": group.name, "channels": len(group.units), "kept": len(group.units) - lost})
    return rows
