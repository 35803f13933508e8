"""How much the network's answer changes when one layer alone is pruned: a curve per layer, without labels.

Each layer is pruned by the very solver that will prune it later, at a few levels, with all others whole; the change is
the mean divergence of the network's outputs on images that the solver has not seen. In-sample it would flatter
layers with more inputs than there are images: the last dense layer fits 250 photos exactly at any sparsity.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.engine.reconstruction.sequential import Walk, WalkOptions
from core.engine.reconstruction.solvers import Problem, Solution, SparseSolver

Array = np.ndarray[Any, Any]
LEVELS = (0.3, 0.5, 0.7, 0.85)
_VERSION = 1
_TINY = 1e-12


@dataclass(frozen=True)
class Curve:
    """One layer's sensitivity.

    Attributes
    ----------
    layer
        Its name.
    weights
        Number of weights in its kernel.
    levels
        Sparsities that were tried, ascending.
    divergence
        Mean divergence of the network's outputs at each level, nats per image (or relative squared error for
        outputs that are not probabilities).
    """

    layer: str
    weights: int
    levels: tuple[float, ...]
    divergence: tuple[float, ...]


def divergence(reference: Sequence[Array], outputs: Sequence[Array]) -> float:
    """Return how far ``outputs`` are from ``reference``, summed over the model's outputs, mean per example.

    Kullback-Leibler divergence for rows that sum to one, its two-class form for other values in 0..1, otherwise
    the squared error over the reference's variance.
    """
    total = 0.0
    for p, q in zip(reference, outputs, strict=True):
        p, q = (np.asarray(a, np.float64).reshape(len(a), -1) if a.ndim < 2 else np.asarray(a, np.float64)
                for a in (p, q))
        if p.min() >= 0 and p.max() <= 1 + 1e-5 and p.shape[-1] > 1 and np.allclose(p.sum(-1), 1, atol=1e-3):
            total += float((p * np.log((p + _TINY) / (q + _TINY))).sum(-1).mean())
        elif p.min() >= 0 and p.max() <= 1:
            two = p * np.log((p + _TINY) / (q + _TINY)) + (1 - p) * np.log((1 - p + _TINY) / (1 - q + _TINY))
            total += float(two.sum(-1).mean())
        else:
            total += float(np.square(p - q).mean() / max(float(p.var()), _TINY))
    return max(total, 0.0)


def scan(
    model: Any, calibration: Iterable[Array], layers: Sequence[str], folder: Path, held_out: int,
    options: WalkOptions | None = None, levels: Sequence[float] = LEVELS,
    solve: Callable[[Problem, int], Solution] = lambda problem, kept: SparseSolver(kept)(problem),
    check: Callable[[], None] = lambda: None, progress: Callable[[float], None] = lambda _: None,
) -> list[Curve]:
    """Measure the curve of every layer of a flat functional model.

    Parameters
    ----------
    model
        Left as it was.
    calibration
        Batches of inputs, read once; the last ``held_out`` of them only judge, at least one: a single batch is
        parted for that.
    layers
        Names to scan.
    folder
        For activations on disk.
    solve
        (problem, number of weights kept) to solution.
    check, progress
        Called often: may raise to stop; fraction done.
    """
    curves: list[Curve] = []
    options = replace(options or WalkOptions(), held_out=max(1, held_out))
    with Walk(model, None, _parted(calibration), layers, folder, options, check=check) as walk:
        reference: list[list[Array]] | None = None
        for view in walk:
            if reference is None:
                reference = list(view.outputs())
            before = [w.numpy() for w in view.layer.weights]
            size = view.problem.kernel.size
            found = []
            for level in levels:
                check()
                solution = solve(view.problem, size - round(level * size))
                view.replace(solution.kernel, solution.bias)
                pairs = zip(reference, view.outputs(), strict=True)
                found.append(float(np.mean([divergence(p, q) for p, q in pairs])))
                view.layer.set_weights(before)
            curves.append(Curve(view.name, size, tuple(levels), tuple(found)))
            progress(len(curves) / len(layers))
    return curves


def _parted(calibration: Iterable[Array]) -> Iterator[Array]:
    """Yield the batches; of a single one its last quarter apart, so that something is left to judge by."""
    batches = iter(calibration)
    first, second = next(batches), next(batches, None)
    if second is None and len(first) > 1:
        cut = len(first) - max(1, len(first) // 4)
        yield from (first[:cut], first[cut:])
        return
    yield first
    if second is not None:
        yield second
    yield from batches


def fingerprint(model: Any, digest: str, parameters: Mapping[str, object]) -> str:
    """Return a key for a scan: of the architecture, the weights, the data's digest and the parameters."""
    key = hashlib.sha256(json.dumps([_VERSION, digest, parameters], sort_keys=True, default=str).encode())
    for operation_layer in model.layers:
        key.update(operation_layer.name.encode())
        key.update(type(operation_layer).__name__.encode())
        for weight in operation_layer.get_weights():
            key.update(np.ascontiguousarray(weight).tobytes())
    return key.hexdigest()


def read_profile(folder: Path, key: str) -> list[Curve] | None:
    """Return the cached curves of ``key``, or None when there are none that can be read."""
    try:
        rows = json.loads((folder / f"sensitivity-{key[:24]}.json").read_text("utf-8"))
        curves = [
            Curve(row["layer"], row["weights"], tuple(row["levels"]), tuple(row["divergence"])) for row in rows
        ]
        return curves if all(np.isfinite(curve.divergence).all() for curve in curves) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_profile(folder: Path, key: str, curves: Sequence[Curve]) -> None:
    """Keep curves for the next run; a full disk costs the next run a scan, not this one its result."""
    path = folder / f"sensitivity-{key[:24]}.json"
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps([asdict(curve) for curve in curves]), "utf-8")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
