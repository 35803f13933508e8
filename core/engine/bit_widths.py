"""How many bits each layer's weights get: what 4 and 8 bits cost in each layer alone, and a budget shared out greedily.

Ranking layers by what a low precision costs them is HAWQ's idea (Dong et al., 2019, arXiv:1905.03696); here the cost is
measured, not derived: the divergence of the answers on calibration images.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_keras

from core.engine.methods.frame import Array, Context
from core.engine.probabilities import compiled, divergence, in_batches
from core.engine.reconstruction import kernels
from core.engine.reconstruction.graph import copy_of
from core.engine.reconstruction.sensitivity import Curve, fingerprint, read_profile, write_profile
from core.locales import N_

FLOAT = 32
IMAGES = 48
_WIDTHS = (8, 4)
_FINE = 8  # bits from which clipping never pays
_SAVED = tuple(1 - bits / FLOAT for bits in _WIDTHS)
_SCALE_BYTES = 4
_CLIPS = np.linspace(0.5, 1.0, 11)


@dataclass(frozen=True)
class LayerCost:
    """One layer: its weights and output channels, and what each width costs, bits to divergence in nats."""

    name: str
    weights: int
    channels: int
    cost: Mapping[int, float]

    def bytes(self, bits: int) -> int:
        """Return the bytes of the weights and their scales at a width."""
        return math.ceil(self.weights * bits / 8) + (0 if bits == FLOAT else _SCALE_BYTES * self.channels)


def costs(model: tf_keras.Model, context: Context) -> list[LayerCost]:
    """Return what 4 and 8 bits cost in each layer alone; depthwise layers have 8 only. The model stays as it is.

    The scan is kept in the cache and used again for the same weights and images.
    """
    images = np.asarray(context.calibration[:IMAGES], np.float32)
    key = fingerprint(model, hashlib.sha256(images.tobytes()).hexdigest(), {"method": "bits"})
    curves = read_profile(context.cache, key) if context.cache else None
    if curves is None:
        curves = _scan(copy_of(model), images, context)
        if context.cache:
            write_profile(context.cache, key, curves)
    found = []
    for curve in curves:
        layer = model.get_layer(curve.layer)
        measured = dict(zip(_WIDTHS, curve.divergence, strict=True))
        if kernels.is_depthwise(layer):
            del measured[4]
        found.append(LayerCost(curve.layer, curve.weights, _channels(layer), {FLOAT: 0.0, **measured}))
    return found


def _scan(model: tf_keras.Model, images: Array, context: Context) -> list[Curve]:
    names = kernels.prunable_layers(model, depthwise=True)
    answer, curves = compiled(model), []
    reference = in_batches(answer, images)
    for number, name in enumerate(names):
        variable = kernels.kernel_of(model.get_layer(name))
        value = variable.numpy()
        found: list[float] = []
        for bits in _WIDTHS:
            context.check_cancelled()
            if bits < _FINE and kernels.is_depthwise(model.get_layer(name)):
                found.append(found[-1])
                continue
            variable.assign(rounded(value, bits, _outputs(model.get_layer(name))))
            found.append(max(0.0, divergence(reference, in_batches(answer, images))))
        variable.assign(value)
        curves.append(Curve(name, int(value.size), _SAVED, tuple(found)))
        context.progress(0.05 + 0.6 * (number + 1) / len(names), N_("Measuring sensitivity"))
    return curves


def choose(layers: list[LayerCost], budget: float, highest: int) -> dict[str, int]:
    """Return the bits of each layer, so that all weights take at most ``budget`` bytes.

    Every layer starts at ``highest`` bits; the step down that costs least divergence per byte saved is taken until the
    bytes fit, or none is left.
    """
    bits = {layer.name: highest for layer in layers}
    total = sum(layer.bytes(highest) for layer in layers)
    while total > budget:
        best: tuple[float, LayerCost, int] | None = None
        for layer in layers:
            now = bits[layer.name]
            for lower in (b for b in layer.cost if b < now):
                saved = layer.bytes(now) - layer.bytes(lower)
                price = (layer.cost[lower] - layer.cost[now]) / max(1, saved)
                if saved > 0 and (best is None or price < best[0]):
                    best = price, layer, lower
        if best is None:
            break
        _, layer, lower = best
        total -= layer.bytes(bits[layer.name]) - layer.bytes(lower)
        bits[layer.name] = lower
    return bits


def rounded(kernel: Array, bits: int, outputs: tuple[int, ...]) -> Array:
    """Return a kernel on a symmetric grid of ``bits`` per output channel; zero stays zero.

    With fewer than 8 bits each channel's grid ends where the squared error is smallest, which may clip.

    Parameters
    ----------
    outputs
        The axes of the output channels.
    """
    top = 2 ** (bits - 1) - 1
    axes = tuple(a for a in range(kernel.ndim) if a not in outputs)
    widest = np.abs(kernel).max(axis=axes, keepdims=True) / top
    best, least = kernel, np.full(widest.shape, np.inf)
    for clip in (_CLIPS if bits < _FINE else _CLIPS[-1:]):
        scale = np.where(widest > 0, widest * clip, 1.0)
        found = np.clip(np.rint(kernel / scale), -top, top) * scale
        error = np.square(kernel - found).sum(axis=axes, keepdims=True)
        best = np.where(error < least, found, best)
        least = np.minimum(least, error)
    result: Array = best.astype(np.float32)
    return result


def put_on_grid(model: tf_keras.Model, bits: Mapping[str, int]) -> None:
    """Round the kernels of layers that get 4 bits, in place, so that the largest weight of a channel tells its grid."""
    for name, width in bits.items():
        if width < _FINE:
            layer = model.get_layer(name)
            variable = kernels.kernel_of(layer)
            variable.assign(rounded(variable.numpy(), width, _outputs(layer)))


def _outputs(layer: Any) -> tuple[int, ...]:
    last = len(kernels.kernel_of(layer).shape) - 1
    return (last - 1, last) if kernels.is_depthwise(layer) else (last,)


def _channels(layer: Any) -> int:
    shape = kernels.kernel_of(layer).shape
    return int(np.prod([shape[axis] for axis in _outputs(layer)]))
