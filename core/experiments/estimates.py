"""What a recipe would come to, before it is run: from the model's profile and from how past runs came out.

A prior from the weights alone is corrected by Gaussian-process regression (Rasmussen and Williams 2006, chapter 2) on
the differences between this prior and the measurements of earlier runs on the same model and data: near an earlier run
the estimate is what was measured, far from all of them it falls back on the prior, with the prior's width. How far the
ranges that were shown before held widens or narrows the ranges of the next ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.errors import InputError
from core.experiments.prior import Prior, features, prior
from core.experiments.profiles import ModelProfile
from core.experiments.shares import Curves
from core.recipes import Recipe, load_recipe

Array = np.ndarray[Any, Any]
TARGETS = ("file", "gzip", "speed", "damage")
_WIDTH = 1.645  # nine of ten
_NOISE = {"file": 0.002, "gzip": 0.01, "speed": 0.06, "damage": 0.1}
_MOST_RUNS = 80


class Expected(BaseModel):
    """A value and the range in which nine of ten measurements should fall."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float


class LayerShare(BaseModel):
    """One layer: where sparsity goes, what it takes packed, and its own part of the damage (0 to 1)."""

    model_config = ConfigDict(frozen=True)

    layer: str
    weights: int
    sparsity: float
    gzip_bytes: float
    damage_share: float
    prunable: bool


class Estimate(BaseModel):
    """What to expect of a run.

    Attributes
    ----------
    file_bytes, gzip_bytes
        Of the ``.tflite``.
    macs, nonzero_macs
        For one image; the second without multiplications by a weight that is zero.
    loss
        Share of the answers lost, 0 to 1: of the right ones where the data has labels, else of all.
    damage
        ``-log(1 - loss)``.
    speed
        Baseline's latency over the compressed model's: above 1 is faster.
    accuracy, latency_ms
        None until a baseline has been measured on this data (accuracy: with labels).
    based_on
        Runs on this model and data that the estimate leans on.
    unknown
        Kinds of steps whose effect is not foreseen.
    """

    model_config = ConfigDict(frozen=True)

    file_bytes: Expected
    gzip_bytes: Expected
    macs: int
    nonzero_macs: int
    loss: Expected
    damage: Expected
    speed: Expected
    accuracy: Expected | None
    latency_ms: Expected | None
    layers: tuple[LayerShare, ...]
    sparsity: float
    based_on: int
    sensitivity: bool
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Baseline:
    """The uncompressed model as the latest run measured it; ``top1`` is None without labels."""

    top1: float | None
    top1_low: float | None
    top1_high: float | None
    n: int
    latency_ms: float
    tflite_bytes: int
    gzip_bytes: int


@dataclass(frozen=True)
class History:
    """What earlier runs on one model and data teach.

    Attributes
    ----------
    places
        [n, f] features of their recipes.
    surprises
        Per target [n]: logarithm of measured over prior; ``noise`` its variance.
    width
        Per target: factor on the ranges, from how far measurements fell from earlier estimates.
    """

    baseline: Baseline | None = None
    curves: Curves = field(default_factory=dict)
    places: Array | None = None
    surprises: Mapping[str, Array] = field(default_factory=dict)
    noise: Mapping[str, Array] = field(default_factory=dict)
    width: Mapping[str, float] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        """How many runs it holds."""
        return 0 if self.places is None else len(self.places)


def history(
    profile: ModelProfile, records: Sequence[Mapping[str, Any]], estimates: Sequence[Mapping[str, Any] | None] = ()
) -> History:
    """Learn from the records of finished runs, newest first, and from what was estimated of them."""
    records = records[:_MOST_RUNS]
    if not records:
        return History()
    curves = _curves(records)
    places, measured, priors, noise = [], [], [], []
    for record in records:
        try:
            recipe = load_recipe(record["recipe"])
        except InputError:  # of a kind that is not known any more
            continue
        before = prior(profile, recipe, curves)
        found, counts = outcome(record)
        places.append(features(recipe, before))
        priors.append([getattr(before, target) for target in TARGETS])
        measured.append([found[target] for target in TARGETS])
        noise.append([_NOISE[t] ** 2 if t != "damage" else _NOISE[t] ** 2 + 1 / counts for t in TARGETS])
    if not places:
        return History(_baseline(records[0]), curves)
    surprises, spread = np.array(measured) - np.array(priors), np.array(noise)
    return History(
        _baseline(records[0]), curves, np.array(places),
        {t: surprises[:, i] for i, t in enumerate(TARGETS)}, {t: spread[:, i] for i, t in enumerate(TARGETS)},
        _widths(records, estimates),
    )


def estimate(profile: ModelProfile, recipe: Recipe, past: History) -> Estimate:
    """Return what to expect of ``recipe``; pure NumPy, milliseconds."""
    before = prior(profile, recipe, past.curves)
    place = features(recipe, before)
    found = {target: _corrected(before, target, place, past) for target in TARGETS}
    damage = _spread(found["damage"])
    loss = Expected(value=_lost(damage.value), low=_lost(damage.low), high=_lost(damage.high))
    speed, base = _spread(found["speed"]), past.baseline
    top1 = base.top1 if base else None
    return Estimate(
        file_bytes=_spread(found["file"]), gzip_bytes=_spread(found["gzip"]), macs=before.macs,
        nonzero_macs=before.nonzero_macs, loss=loss, damage=damage, speed=speed,
        accuracy=None if top1 is None else Expected(
            value=top1 * (1 - loss.value), low=top1 * (1 - loss.high), high=top1 * (1 - loss.low)),
        latency_ms=None if base is None else Expected(
            value=base.latency_ms / speed.value, low=base.latency_ms / speed.high, high=base.latency_ms / speed.low),
        layers=tuple(
            LayerShare(layer=layer.name, weights=layer.weights, sparsity=before.fractions.get(layer.name, 0.0),
                       gzip_bytes=before.layer_bytes[layer.name],
                       damage_share=before.layer_damage.get(layer.name, 0.0), prunable=layer.prunable)
            for layer in profile.layers),
        sparsity=before.sparsity, based_on=past.runs, sensitivity=bool(past.curves), unknown=before.unknown,
    )


def outcome(record: Mapping[str, Any]) -> tuple[dict[str, float], float]:
    """Return the logarithms of what was measured, per target, and the number of answers that were lost."""
    size, change = record["compressed"]["size"], record["comparison"]
    before, after = record["baseline"]["accuracy"], record["compressed"]["accuracy"]
    if before is not None and after is not None and before["top1"]["value"] > 0:
        n = after["n"]
        lost = 1 - after["top1"]["value"] / before["top1"]["value"]
    else:
        n = int(record.get("images", {}).get("test", {}).get("n", 100))
        lost = 1 - change["agreement"]
    counts = max(0.5, lost * n)
    lost = min(0.995, counts / n)
    return {
        "file": math.log(size["tflite_bytes"]), "gzip": math.log(size["gzip_bytes"]),
        "speed": math.log(max(1e-3, change["latency_ratio"]["value"])), "damage": math.log(-math.log(1 - lost)),
    }, counts


def _corrected(before: Prior, target: str, place: Array, past: History) -> tuple[float, float]:
    mean, deviation = float(getattr(before, target)), before.deviation[target]
    if past.places is not None:
        variance = deviation**2
        near = variance * np.exp(-0.5 * np.square(past.places - place).sum(axis=1))
        apart = np.square(past.places[:, None] - past.places[None]).sum(axis=2)
        known = variance * np.exp(-0.5 * apart) + np.diag(past.noise[target])
        weights = np.linalg.solve(known, near)
        mean += float(weights @ past.surprises[target])
        deviation = math.sqrt(max(0.0, variance - float(weights @ near)) + _NOISE[target] ** 2)
    return mean, deviation * past.width.get(target, 1.0)


def _spread(found: tuple[float, float]) -> Expected:
    mean, deviation = found
    low, value, high = (math.exp(min(50.0, mean + side * _WIDTH * deviation)) for side in (-1, 0, 1))
    return Expected(value=value, low=low, high=high)


def _lost(damage: float) -> float:
    return 1 - math.exp(-damage)


def _widths(
    records: Sequence[Mapping[str, Any]], estimates: Sequence[Mapping[str, Any] | None]
) -> dict[str, float]:
    """Return, per target, the root mean square of (measured - estimated) / deviation, shrunk towards 1."""
    names = {"file": "file_bytes", "gzip": "gzip_bytes", "speed": "speed", "damage": "damage"}
    squares: dict[str, list[float]] = {target: [] for target in TARGETS}
    for record, told in zip(records, estimates, strict=False):
        if told is None:
            continue
        found, _ = outcome(record)
        for target, name in names.items():
            try:
                shown = Expected.model_validate(told[name])
            except (KeyError, ValueError):
                continue
            deviation = math.log(shown.high / shown.low) / (2 * _WIDTH) if shown.low > 0 else 1.0
            squares[target].append(((found[target] - math.log(shown.value)) / max(deviation, 0.01)) ** 2)
    return {t: min(3.0, max(0.6, math.sqrt((sum(s) + 4) / (len(s) + 4)))) for t, s in squares.items()}


def _baseline(record: Mapping[str, Any]) -> Baseline:
    measured = record["baseline"]
    top1 = (measured["accuracy"] or {}).get("top1") or {}
    n = (measured["accuracy"] or {}).get("n") or int(record.get("images", {}).get("test", {}).get("n", 0))
    return Baseline(
        top1.get("value"), top1.get("low"), top1.get("high"), n, measured["latency_ms"]["p50"],
        measured["size"]["tflite_bytes"], measured["size"]["gzip_bytes"],
    )


def _curves(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Return the sensitivity curves of the newest run that measured any."""
    for record in records:
        for step in record.get("steps", ()):
            layers = step.get("details", {}).get("layers")
            rows = layers if isinstance(layers, list) else []
            found = {
                row["layer"]: (tuple(row["sensitivity"]["levels"]), tuple(row["sensitivity"]["divergence"]))
                for row in rows if isinstance(row, Mapping) and isinstance(row.get("sensitivity"), Mapping)
            }
            if found:
                return found
    return {}
