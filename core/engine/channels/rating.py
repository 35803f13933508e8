"""The expected damage of every unit: each layer that reads it says what it would miss, measured on the answers.

A layer's own error says little about the network's answers. So each layer, with all others whole, is refitted without
some of its units at a few levels, and the divergence of the answers on held-out images is measured; between the levels
the divergence follows the layer's error. The costs of a unit add up over the layers that read it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.engine.channels.dependencies import Dependencies
from core.engine.channels.importance import Losing, activity, lose
from core.engine.channels.surgery import silence
from core.engine.reconstruction import kernels
from core.engine.reconstruction.sensitivity import divergence
from core.engine.reconstruction.sequential import LayerView, Walk, WalkOptions

Array = np.ndarray[Any, Any]
LEVELS = (0.15, 0.4, 0.7)
RIDGE = 0.1
WIDEST = 6000


def rows_of(layer: Any, reads: Array) -> Array:
    """Return the unit of each row of a layer's kernel matrix (see ``kernels.to_matrix``), int [d]."""
    groups = kernels.groups_of(layer)
    per_group = reads[: len(reads) // groups]
    kernel = tuple(kernels.kernel_of(layer).shape)
    return np.tile(per_group, int(np.prod(kernel[:-2])))


def fits(layer: Any) -> bool:
    """Whether the layer can be refitted by least squares."""
    if not kernels.is_linear(layer) or kernels.is_depthwise(layer):
        return False
    shape = tuple(kernels.kernel_of(layer).shape)
    return int(np.prod(shape[:-1])) <= WIDEST


def rate(
    model: Any, found: Dependencies, importance: str, measured: bool, calibration: Iterable[Array], folder: Path,
    held_out: int, scores: Array | None = None, cost: Mapping[str, float] | None = None,
    options: WalkOptions | None = None, check: Callable[[], None] = lambda: None,
    progress: Callable[[float], None] = lambda _: None,
) -> Array:
    """Return the expected damage of each unit, float64 [units].

    Parameters
    ----------
    model
        Flat; left as it was.
    importance
        "reconstruction", "activation", or anything else for the order of ``scores``.
    measured
        Whether the divergence of the answers is measured; otherwise layers' relative errors are added up.
    calibration
        Batches, read once; the last ``held_out`` of them only judge.
    scores
        By unit, for the other importances.
    cost
        Layer name to a factor on what it reports.
    """
    damage = np.zeros(found.count)
    readers = {m.layer: m for m in found.readers()}
    called = {name: len(found.graph.calls(name)) for name in readers}
    walked = [n for n in readers if fits(model.get_layer(n)) and called[n] == 1]
    options = replace(options or WalkOptions(), held_out=held_out)
    rises: list[float] = []
    with Walk(model, None, calibration, walked, folder, options, check=check) as walk:
        reference: list[list[Array]] | None = None
        for number, view in enumerate(walk):
            check()
            if measured and reference is None:
                reference = list(view.outputs())
            rows = rows_of(view.layer, readers[view.name].reads)
            order = scores
            if importance == "activation":
                order = activity(view.problem, rows, found.count)
            losing = lose(view.problem, rows, LEVELS if measured else (), RIDGE, order)
            curve = _measured(view, losing, reference, check) if reference else losing.error
            curve = curve * (cost or {}).get(view.name, 1.0)
            if len(curve):
                np.add.at(damage, losing.order, np.diff(curve, prepend=0.0))
                rises.append(float(curve[-1]))
                # What is left goes last, and dearer than anything before it.
                last = np.setdiff1d(rows[rows >= 0], losing.order)
                damage[last] += 2 * float(np.diff(curve, prepend=0.0).max()) + 1e-12
            progress((number + 1) / max(len(walked), 1))
    typical = float(np.median(rises)) if rises else 1.0
    for name in readers.keys() - set(walked):
        damage += typical * _by_norm(model.get_layer(name), readers[name].reads, found.count)
    return damage


def _measured(view: LayerView, losing: Losing, reference: list[list[Array]], check: Callable[[], None]) -> Array:
    """Return the divergence after each unit that goes: measured at the levels, by the layer's error between them."""
    before = [w.numpy() for w in view.layer.weights]
    errors, found = [0.0], [0.0]
    for gone, solved in losing.snapshots:
        check()
        view.replace(solved.kernel, solved.bias)
        pairs = zip(reference, view.outputs(), strict=True)
        errors.append(float(losing.error[gone - 1]))
        found.append(max(float(np.mean([divergence(p, q) for p, q in pairs])), found[-1]))
        view.layer.set_weights(before)
    if len(errors) == 1:
        return losing.error
    curve = np.interp(losing.error, errors, found)
    slope = found[-1] / max(errors[-1], 1e-30)
    return np.where(losing.error > errors[-1], losing.error * slope, curve)


def _by_norm(layer: Any, reads: Array, count: int) -> Array:
    """Return each unit's share of the squared weights of a layer that cannot be refitted, [units]."""
    found = np.zeros(count)
    whole: Any = getattr(layer, "pointwise_kernel", getattr(layer, "kernel", None))
    before = whole.numpy()
    for unit in np.unique(reads[reads >= 0]):
        silence(layer, reads != unit)
        found[unit] = float(np.square(before - whole.numpy()).sum())
        whole.assign(before)
    return found / max(float(found.sum()), 1e-30)


def producer_scores(model: Any, found: Dependencies, importance: str) -> Array:
    """Return the score of each unit by the layers that make it, [units].

    For "batch_norm_scale" the mean absolute gamma of the batch norms that it passes, where there are any; else, and
    for "weight_norm", the norm of the kernel columns that make it over the layer's mean (Li et al. 2017,
    arXiv:1608.08710; Liu et al. 2017, arXiv:1708.06519).
    """
    total, times = np.zeros(found.count), np.zeros(found.count)
    scale, scaled = np.zeros(found.count), np.zeros(found.count)
    for (name, slot), units in found.at_layer.items():
        layer, chosen = model.get_layer(name), units >= 0
        gamma = getattr(layer, "gamma", None)
        if slot == "in" and gamma is not None:
            np.add.at(scale, units[chosen], np.abs(gamma.numpy())[chosen])
            np.add.at(scaled, units[chosen], 1)
        elif slot == "out" and kernels.is_linear(layer) and not kernels.is_depthwise(layer):
            norm = np.sqrt(np.square(layer.kernel.numpy()).reshape(-1, len(units)).sum(0))
            np.add.at(total, units[chosen], (norm / max(float(norm.mean()), 1e-30))[chosen])
            np.add.at(times, units[chosen], 1)
    norms = total / np.maximum(times, 1)
    if importance == "batch_norm_scale":
        return np.where(scaled > 0, scale / np.maximum(scaled, 1), norms)
    return norms


def read_damage(folder: Path, key: str, count: int) -> Array | None:
    """Return the cached damage of ``key``, or None."""
    try:
        found = np.array(json.loads((folder / f"channels-{key[:24]}.json").read_text("utf-8")), np.float64)
    except (OSError, ValueError, TypeError):
        return None
    return found if found.shape == (count,) and np.isfinite(found).all() else None


def write_damage(folder: Path, key: str, damage: Array) -> None:
    """Keep the damage for the next run; a full disk costs the next run a scan, not this one its result."""
    path = folder / f"channels-{key[:24]}.json"
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(damage.tolist()), "utf-8")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
