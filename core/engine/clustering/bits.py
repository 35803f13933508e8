"""How many bits per weight each layer gets: more where rounding moves the answers more, fewer where weights are many.

Each layer alone is rounded coarsely and the divergence of the answers is measured on held-out images. Rounding errors
fall fourfold with every bit (6 dB per bit, Bennett, "Spectra of quantized signals", 1948), and so does the divergence
while it is small. Of all shares with the same bits in total, the least divergence is where one more bit per weight
gains the same everywhere (Shoham and Gersho, "Efficient bit allocation for an arbitrary set of quantizers", 1988).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.engine.clustering.codebook import codebook, entropy, nearest
from core.engine.clustering.solver import CodebookSolver, ScaledSolver, unit_kernel
from core.engine.clustering.walk import LeanWalk
from core.engine.reconstruction.sensitivity import divergence
from core.engine.reconstruction.sequential import WalkOptions

Array = np.ndarray[Any, Any]
PROBE = 3.0
HELD_OUT = 2
FEWEST = 1.0
_ROWS = 8000
_SAMPLE = 20000


@dataclass(frozen=True)
class Rate:
    """What rounding one layer does.

    Attributes
    ----------
    layer
        Its name.
    weights
        How many it has.
    bits, divergence
        Entropy per weight that it was rounded to, and the mean divergence of the answers that followed.
    most
        Entropy per weight at its number of values, when nothing bounds it.
    """

    layer: str
    weights: int
    bits: float
    divergence: float
    most: float


def scan(
    model: Any, calibration: Iterable[Array], counts: Mapping[str, int], scaled: bool, folder: Path, seed: int,
    check: Callable[[], None] = lambda: None, progress: Callable[[float], None] = lambda _: None,
) -> list[Rate]:
    """Round each layer alone, all others whole, and measure what the answers do.

    Parameters
    ----------
    model
        Flat and folded; left as it is.
    calibration
        At least two batches; the last two at most judge.
    counts
        Layer name to the most values that it may take.
    scaled
        Whether values are shared before each output channel's scale.
    """
    rates: list[Rate] = []
    options = WalkOptions(rows=_ROWS, held_out=HELD_OUT, seed=seed)
    with LeanWalk(model, None, calibration, list(counts), folder, options, check=check) as walk:
        before: list[list[Array]] | None = None
        for number, view in enumerate(walk):
            progress(number / max(len(counts), 1))
            if before is None:
                before = list(view.outputs())
            count = counts[view.name]
            if scaled:
                solved, scales = ScaledSolver(count, PROBE)(view.problem)
                used = entropy(np.rint(solved.kernel / scales[:, None]))
            else:
                solved = CodebookSolver(count, bits=PROBE)(view.problem)
                used = entropy(solved.kernel)
            kept = view.layer.get_weights()
            view.replace(solved.kernel, solved.bias)
            moved = float(np.mean([divergence(p, q) for p, q in zip(before, view.outputs(), strict=True)]))
            view.layer.set_weights(kept)
            sample = unit_kernel(view.problem.kernel) if scaled else view.problem.kernel
            sample = sample.ravel()[:: max(1, sample.size // _SAMPLE)]
            most = entropy(nearest(sample, codebook(sample, np.ones(sample.size), count)))
            rates.append(Rate(view.name, int(view.problem.kernel.size), used, max(moved, 1e-9), most))
    return rates


def allot(rates: Sequence[Rate], mean: float) -> dict[str, float | None]:
    """Return the bits per weight of each layer, ``mean`` over all weights unless that is more than they can use.

    None stands for as many as a layer's number of values can use.
    """
    weights = np.array([r.weights for r in rates], float)
    free = np.array([r.bits for r in rates]) + np.log2([r.divergence / r.weights for r in rates]) / 2
    most = np.array([max(r.most, FEWEST) for r in rates])
    low, high = -60.0, 60.0
    for _ in range(60):
        middle = (low + high) / 2
        if float((weights * np.clip(free + middle, FEWEST, most)).sum()) <= mean * weights.sum():
            low = middle
        else:
            high = middle
    given = np.clip(free + low, FEWEST, most)
    return {r.layer: float(b) if b < r.most else None for r, b in zip(rates, given, strict=True)}


def read_rates(folder: Path, key: str) -> list[Rate] | None:
    """Return the cached rates of ``key``, or None."""
    try:
        return [Rate(**row) for row in json.loads(_path(folder, key).read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        return None


def write_rates(folder: Path, key: str, rates: Sequence[Rate]) -> None:
    """Keep the rates for the next run; a full disk costs the next run a scan, not this one its result."""
    path = _path(folder, key)
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps([asdict(r) for r in rates]), "utf-8")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)


def _path(folder: Path, key: str) -> Path:
    return folder / f"bits-{key[:24]}.json"
