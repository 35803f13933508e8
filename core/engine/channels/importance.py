"""What it costs a layer to lose some of the units that it reads, when the others may take over.

For a layer ``T = X W`` with second moments ``H`` of its inputs, losing the inputs ``B`` while the rest is refitted by
least squares raises the squared error by ``tr(W_B^T [H^-1]_BB^-1 W_B)``: the second-order rule of Hassibi and Stork,
"Second order derivatives for network pruning: Optimal Brain Surgeon" (1992), for a channel's whole block of inputs.
Units go one small share after the other, and after each share inverse and weights are brought up to date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.engine.reconstruction.solvers import Problem, Solution, finish, match_variance, whiten
from core.engine.reconstruction.statistics import Moments

Array = np.ndarray[Any, Any]
_SHARES = 64


@dataclass(frozen=True)
class Losing:
    """A layer that loses units one after the other.

    Attributes
    ----------
    order
        Units in the order in which they go, all but the last share.
    error
        Relative squared error of the refitted layer after each of them.
    snapshots
        (number of units gone, the refitted layer) at the levels that were asked for.
    """

    order: Array
    error: Array
    snapshots: tuple[tuple[int, Solution], ...]


def lose(
    problem: Problem, rows: Array, levels: Sequence[float], ridge: float, scores: Array | None = None
) -> Losing:
    """Let a layer lose its units, the least needed first.

    Parameters
    ----------
    problem
        The layer's, kernel [g, d, m].
    rows
        The unit of each input row, int [d]; negative for rows that stay.
    levels
        Fractions of the units at which the refitted layer is wanted, ascending.
    ridge
        Pull to the given weights, in units of an input's variance.
    scores
        Score by unit number; units then go by ascending score instead.
    """
    units = np.unique(rows[rows >= 0])
    places = {int(u): np.flatnonzero(rows == u) for u in units}
    white = whiten(problem, ridge)
    inverse = np.linalg.inv(white.hessian.astype(np.float64))
    weights = inverse @ white.cross.astype(np.float64)
    energy = max(float(problem.moments.target_energy.sum()) / max(problem.moments.rows, 1), 1e-30)
    left = list(units) if scores is None else sorted(units, key=lambda u: float(scores[u]))
    share = max(1, len(units) // _SHARES)
    wanted = [max(1, round(level * len(units))) for level in levels]
    gone: list[int] = []
    errors: list[float] = []
    snapshots = []
    total = 0.0
    while len(left) > share:
        cost = _cost(weights, inverse, [places[int(u)] for u in left]) if scores is None else None
        batch = left[:share] if cost is None else [left[i] for i in np.argsort(cost, kind="stable")[:share]]
        block = np.concatenate([places[int(u)] for u in batch])
        before = total
        total += _remove(weights, inverse, block)
        gone += [int(u) for u in batch]
        errors += list(before + (total - before) * np.arange(1, len(batch) + 1) / len(batch))
        taken = set(batch)
        left = [u for u in left if u not in taken]
        while wanted and len(gone) >= wanted[0]:
            wanted.pop(0)
            snapshots.append((len(gone), solution(weights / white.scale[:, :, None], rows, gone, problem.moments)))
    return Losing(np.array(gone, np.int64), np.array(errors) / energy, tuple(snapshots))


def _cost(weights: Array, inverse: Array, places: Sequence[Array]) -> Array:
    """Return the rise of the squared error for each unit's rows, summed over groups."""
    sizes = {len(p) for p in places}
    cost = np.zeros(len(places))
    for size in sizes:
        chosen = [i for i, p in enumerate(places) if len(p) == size]
        index = np.stack([places[i] for i in chosen])
        for w, c in zip(weights, inverse, strict=True):
            if size == 1:
                cost[chosen] += np.square(w[index[:, 0]]).sum(1) / c[index[:, 0], index[:, 0]]
            else:
                blocks = c[index[:, :, None], index[:, None, :]]
                cost[chosen] += np.einsum("uim,uim->u", w[index], np.linalg.solve(blocks, w[index]))
    return cost


def _remove(weights: Array, inverse: Array, block: Array) -> float:
    """Remove rows in place, refit the rest, and return the rise of the squared error."""
    rise = 0.0
    for w, c in zip(weights, inverse, strict=True):
        solved = np.linalg.solve(c[np.ix_(block, block)], np.concatenate([w[block], c[block]], 1))
        rise += float((w[block] * solved[:, : w.shape[1]]).sum())
        both = c[:, block].copy()
        w -= both @ solved[:, : w.shape[1]]
        c -= both @ solved[:, w.shape[1]:]
        w[block] = 0
        c[block] = 0
        c[:, block] = 0
        c[block, block] = 1
    return rise


def solution(kernel: Array, rows: Array, gone: Sequence[int] | Array, moments: Moments, variance: float = 1.0
             ) -> Solution:
    """Return a kernel [g, d, m] as a finished layer, deaf to the rows of the units that are gone."""
    mask = np.broadcast_to(~np.isin(rows, gone)[None, :, None], kernel.shape)
    return finish(match_variance(np.where(mask, kernel, 0.0), moments, variance), mask, moments)


def refit(problem: Problem, listens: Array, ridge: float, variance: float = 1.0) -> Solution:
    """Return the least-squares fit of a layer that hears only some of its inputs.

    Parameters
    ----------
    listens
        bool [d].
    """
    chosen = np.flatnonzero(listens)
    white = whiten(problem, ridge)
    kernel = np.zeros(problem.kernel.shape)
    for group in range(len(kernel)):
        part = white.hessian[group][np.ix_(chosen, chosen)].astype(np.float64)
        kernel[group, chosen] = np.linalg.solve(part, white.cross[group, chosen]) / white.scale[group, chosen, None]
    mask = np.broadcast_to(listens[None, :, None], kernel.shape)
    return finish(match_variance(kernel, problem.moments, variance), mask, problem.moments)


def activity(problem: Problem, rows: Array, units: int) -> Array:
    """Return each unit's root mean square times the weights that meet it, as a share of the layer's, [units]."""
    moments = problem.moments
    power = np.einsum("gdd->gd", moments.hessian) / max(moments.rows, 1) + np.square(moments.mean_input)
    each = (power * np.square(problem.kernel).sum(2)).sum(0)
    found = np.zeros(units)
    np.add.at(found, rows[rows >= 0], each[rows >= 0])
    return found / max(float(found.sum()), 1e-30)
