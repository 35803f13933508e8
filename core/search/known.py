"""Recipes to begin a search with: the presets, and combinations that have proved good on models of either kind."""

from __future__ import annotations

from typing import Any

from core.recipes import Recipe, presets, read_step
from core.search.space import Space
from core.search.wishes import Wish

_INT8: dict[str, Any] = {"step": "quantize", "scheme": "int8"}


def _zeros(sparsity: float) -> dict[str, Any]:
    return {"step": "reconstruction", "sparsity": sparsity}


def _trained(sparsity: float, epochs: int) -> dict[str, Any]:
    return {"step": "magnitude", "sparsity": sparsity, "epochs": epochs}


def _shared(clusters: int) -> dict[str, Any]:
    return {"step": "cluster", "clusters": clusters}


def _scaled(clusters: int) -> dict[str, Any]:
    return {"step": "cluster", "clusters": clusters, "per": "scaled"}


def _taught(minutes: float) -> dict[str, Any]:
    return {"step": "distill", "minutes": minutes, "labels": True}


def _fewer(macs: float) -> dict[str, Any]:
    return {"step": "channels", "macs": macs}


def _starts(space: Space, wish: Wish) -> list[list[dict[str, Any]]]:
    epochs = min(30, space.conditions.epochs)
    if wish.times:
        found = [[_INT8], [_fewer(0.1), _INT8], [_fewer(0.2), _INT8], [_fewer(0.05), _INT8], [_fewer(0.3), _INT8]]
        if wish.cost != "latency":
            found += [[_zeros(0.3), _INT8]]
        return found
    one_shot = [[_INT8], [_scaled(32), _INT8], [_zeros(0.2), _scaled(32), _INT8], [_scaled(24), _INT8],
                [_zeros(0.3), _scaled(32), _INT8], [_shared(32), _INT8], [_zeros(0.2), _shared(32)],
                [_zeros(0.2), _scaled(24), _INT8], [_zeros(0.3), _INT8], [_zeros(0.4), _scaled(32), _INT8],
                [_scaled(16), _INT8], [_zeros(0.5), {"step": "recalibrate"}, _INT8]]
    if epochs < 5:
        return one_shot
    taught = _taught(min(0.25, 0.1 * space.conditions.minutes))
    trained = [[_zeros(0.7), _shared(16), _INT8], [_zeros(0.8), taught, _shared(16), _INT8],
               [_fewer(0.3), _zeros(0.6), taught, _shared(16), _INT8], [_zeros(0.87), taught, _shared(16), _INT8],
               [_fewer(0.4), _zeros(0.7), taught, _shared(16), _INT8], [_trained(0.85, epochs), _INT8]]
    return [one_shot[0], *trained, *one_shot[1:5]]


def known(space: Space, wish: Wish) -> list[Recipe]:
    """Return what to try first, in order, as far as the space allows it."""
    starts = [Recipe(steps=tuple(read_step(step) for step in steps)) for steps in _starts(space, wish)]
    chosen = presets().values() if not wish.times else [presets()["fastest-cpu"]]
    return [recipe for recipe in (*starts, *chosen) if space.allows(recipe)]
