"""What the weights alone say about a recipe: the starting point of an estimate, before any run has been measured.

The constants are rounded from our own measurements on the bundled models; ``deviation`` says how little they bind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.experiments.prior_effects import Effect, effect
from core.experiments.profiles import LEVELS, LayerProfile, ModelProfile
from core.experiments.shares import Curves, divergence, overall, shares
from core.recipes import Recipe, Role, Step

Array = np.ndarray[Any, Any]
SCHEMES = ("float32", "float16", "dynamic", "int8", "int16x8", "int4")
# How much faster than float32, what quantizing costs in damage, and the deviation of the logarithm of either.
_SPEED = {"float32": 1.0, "float16": 1.0, "dynamic": 0.6, "int8": 1.8, "int16x8": 0.3, "int4": 0.6}
_SPEED_DEVIATION = {"float32": 0.1, "float16": 0.1, "dynamic": 0.5, "int8": 0.4, "int16x8": 0.6, "int4": 0.6}
_COST = {"float32": 1e-3, "float16": 1e-3, "dynamic": 3e-3, "int8": 8e-3, "int16x8": 2e-3, "int4": 0.1}
_FORESEEN = ("magnitude", "reconstruction", "quantize", "quantization_aware_training", "recalibrate", "distill",
             "channels", "cluster", "low_rank")
_TRAINED_ROUNDING = 0.5  # what training with the rounding leaves of the damage of int8
_SPEED_BY_MACS = 0.65  # exponent: time falls by less than the multiplications do
_SPARSE_FROM = 0.65  # zeros from which the file may be stored sparse


@dataclass(frozen=True)
class Prior:
    """Logarithms of the expected figures, with the standard deviation of each; and where the zeros go.

    ``file`` and ``gzip`` of bytes, ``speed`` of baseline over compressed latency, ``damage`` of -log(1 - loss).
    """

    file: float
    gzip: float
    speed: float
    damage: float
    deviation: Mapping[str, float]
    fractions: Mapping[str, float]
    layer_bytes: Mapping[str, float]
    layer_damage: Mapping[str, float]
    macs: int
    nonzero_macs: int
    sparsity: float
    scheme: str
    shape: Effect
    unknown: tuple[str, ...]


def prior(profile: ModelProfile, recipe: Recipe, curves: Curves) -> Prior:
    """Return what the profile says about a recipe; ``curves`` also share the zeros out where the recipe asks."""
    fractions = dict.fromkeys((layer.name for layer in profile.prunable), 0.0)
    # The curves are those of reconstruction; other pruning does more harm.
    told = curves if any(step.kind == "reconstruction" for step in recipe.steps) else {}
    scheme, kept_float, factor, two_four, rounding = "float32", 0, 1.0, False, 1.0
    for step in recipe.steps:
        if hasattr(step, "allocation") and hasattr(step, "sparsity"):
            wanted = shares(profile, step.sparsity, step.allocation, curves)
            fractions = {name: max(fractions[name], wanted.get(name, 0.0)) for name in fractions}
            two_four = getattr(step, "granularity", "weights") != "weights"
        factor *= _repair(step, bool(told))
        if step.role is Role.CONVERT:
            scheme, kept_float = str(getattr(step, "scheme", "int8")), int(getattr(step, "keep_float", 0))
            rounding = _TRAINED_ROUNDING if step.trains() else 1.0
    shape = effect(profile, recipe)
    macs = {layer.name: layer.macs * shape.kept.get(layer.name, 1.0) for layer in profile.layers}
    gone = 1 - shape.weights_kept(profile)
    sparsity = overall(profile, fractions)
    parts = {
        x.name: _error(x, fractions.get(x.name, 0.0), told) * (1.5 if two_four else 1.0) for x in profile.layers
    }
    total = sum(parts.values())
    pruned = (0.3 * (factor * total) ** 3 if not told else 0.3 * factor * total) if total else 0.0
    packed = {layer.name: _packed(layer, fractions.get(layer.name, 0.0), scheme, shape) for layer in profile.layers}
    overhead = max(0.0, profile.gzip_bytes - sum(layer.float_bytes[0] for layer in profile.layers))
    unknown = tuple(dict.fromkeys(step.kind for step in recipe.steps if step.kind not in _FORESEEN))
    wide = 1.0 + len(unknown)
    kept = kept_float / max(1, len(profile.layers))
    speed = _SPEED.get(scheme, 1.0) ** (1 - kept) * (profile.macs / max(1.0, sum(macs.values()))) ** _SPEED_BY_MACS
    return Prior(
        file=math.log(_file(profile, fractions, sparsity, scheme, kept, shape)),
        gzip=math.log(max(1.0, sum(packed.values()) * (1 + 3 * kept) + overhead)),
        speed=math.log(speed),
        damage=math.log(pruned + factor * shape.damage + rounding * _COST.get(scheme, 1e-2)),
        deviation={
            "file": ((0.25 if scheme == "float32" and sparsity > _SPARSE_FROM else 0.03) + 0.5 * gone) * wide,
            "gzip": (0.06 + 0.5 * gone + (0.2 if shape.values else 0.0)) * wide,
            "speed": (_SPEED_DEVIATION.get(scheme, 0.5) + 0.6 * gone) * wide,
            "damage": (1.2 if pruned or shape.damage else 0.9) * wide,
        },
        fractions=fractions, layer_bytes=packed,
        layer_damage={name: part / total for name, part in parts.items()} if total else {},
        macs=round(sum(macs.values())),
        nonzero_macs=round(sum(count * (1 - fractions.get(name, 0.0)) for name, count in macs.items())),
        sparsity=sparsity, scheme=scheme, shape=shape, unknown=unknown,
    )


def features(recipe: Recipe, before: Prior) -> Array:
    """Return where a recipe lies among recipes, float64 [f]: at a distance of 1, one says half about the other."""
    kinds = [step.kind for step in recipe.steps]
    training = sum(float(getattr(step, "epochs", 0)) for step in recipe.steps if step.trains())
    minutes = sum(float(getattr(step, "minutes", 0)) for step in recipe.steps)
    allocation = [getattr(step, "allocation", None) for step in recipe.steps]
    values = [4 * before.sparsity, 0.5 * math.log1p(training), 0.5 * math.log1p(minutes)]
    values += [1.2 * ("reconstruction" in kinds), 0.7 * ("recalibrate" in kinds)]
    values += [1.2 * (before.scheme == scheme) for scheme in SCHEMES]
    values += [0.5 * (rule in allocation) for rule in ("uniform", "global", "erk", "sensitivity")]
    values += [1.5 * len(before.unknown), 1.2 * ("low_rank" in kinds), 1.2 * ("cluster" in kinds)]
    values += [0.5 * math.log2(min(before.shape.values.values(), default=1) or 1)]
    values += [4 * (1 - sum(before.shape.kept.values()) / len(before.shape.kept)) if before.shape.kept else 0.0]
    return np.array(values)


def _repair(step: Step, told: bool) -> float:
    if step.kind == "reconstruction":
        return 1.0 if told else 0.25
    if step.kind == "recalibrate":
        return 0.8
    if step.kind == "distill":
        return 0.5
    epochs = float(getattr(step, "epochs", 0)) if step.trains() else 0.0
    return 0.3 / math.sqrt(1 + epochs / 5) if epochs > 0 else 1.0


def _error(layer: LayerProfile, sparsity: float, curves: Curves) -> float:
    if sparsity <= 0:
        return 0.0
    if layer.name in curves:
        return float(divergence(*curves[layer.name], sparsity))
    return float(np.interp(sparsity, LEVELS, layer.error)) if not curves else 0.0


def _packed(layer: LayerProfile, sparsity: float, scheme: str, shape: Effect) -> float:
    floats = float(np.interp(sparsity, LEVELS, layer.float_bytes))
    integers = float(np.interp(sparsity, LEVELS, layer.int8_bytes))
    plain = {"float32": floats, "float16": floats / 2, "int4": integers / 2}.get(scheme, integers)
    plain *= shape.kept.get(layer.name, 1.0)
    shared = shape.entropy_bytes(layer, sparsity)
    scales = 0.0 if scheme in ("float32", "float16") else 8.0 * layer.channels
    return (plain if shared is None else min(plain, shared)) + scales


def _file(
    profile: ModelProfile, fractions: Mapping[str, float], sparsity: float, scheme: str, kept: float, shape: Effect
) -> float:
    whole = sum(layer.weights for layer in profile.layers)
    rest = max(0, profile.tflite_bytes - 4 * whole)
    weights = whole * shape.weights_kept(profile)
    if scheme == "float32":
        sparse = sum(
            min(4.0 * layer.weights, 5.0 * layer.weights * (1 - fractions.get(layer.name, 0.0)))
            for layer in profile.layers
        )
        return rest + (sparse if sparsity > _SPARSE_FROM else 4.0 * weights)
    bits = {"float16": 16, "int4": 4}.get(scheme, 8)
    per_channel = 0.0 if scheme == "float16" else 12.0
    channels = sum(layer.channels for layer in profile.layers)
    small = weights * bits / 8 + per_channel * channels
    return rest + kept * 4 * weights + (1 - kept) * small
