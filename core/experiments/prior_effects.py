"""What steps do that change the shape of layers or the number of their values, as far as it can be told beforehand.

The constants are rounded from our own measurements on the bundled models and bind loosely; ``core.experiments.prior``
gives them a wide range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.experiments.profiles import LayerProfile, ModelProfile
from core.recipes import Recipe, Step

# Loss of right answers: removing a part of the channels; sharing 32 values, and how it grows with fewer.
_CHANNELS, _CHANNELS_AT_ALL, _CHANNELS_CUBED, _NOT_REFITTED = 0.12, 0.015, 1.0, 5.0
_CLUSTERS_32, _CLUSTERS_POWER = 0.0136, 1.6
_LOW_RANK, _SAVED_BY_ERROR = 0.5, 0.5
_PACKING = 1.25
"""How many bits a packer needs for one bit of entropy."""


@dataclass(frozen=True)
class Effect:
    """What the steps of a recipe do together.

    Attributes
    ----------
    kept
        Layer to the fraction of its weights and multiplications that stays, where that is not all.
    values
        Layer to the number of different values that its weights share.
    damage
        Added to ``-log(1 - loss)``.
    """

    kept: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, int] = field(default_factory=dict)
    damage: float = 0.0

    def weights_kept(self, profile: ModelProfile) -> float:
        """Return the fraction of all weights that stays."""
        total = sum(layer.weights for layer in profile.layers)
        return sum(layer.weights * self.kept.get(layer.name, 1.0) for layer in profile.layers) / max(1, total)

    def macs(self, profile: ModelProfile) -> float:
        """Return the multiply-accumulates that stay, for one image."""
        return sum(layer.macs * self.kept.get(layer.name, 1.0) for layer in profile.layers)

    def entropy_bytes(self, layer: LayerProfile, zeros: float) -> float | None:
        """Return the packed bytes of a layer of shared values, a fraction ``zeros`` of them zero; None for others."""
        shared = self.values.get(layer.name, 0)
        if shared < 2:
            return None
        places = 0.0 if not 0 < zeros < 1 else -zeros * math.log2(zeros) - (1 - zeros) * math.log2(1 - zeros)
        bits = places + (1 - zeros) * math.log2(shared)
        return _PACKING * bits * layer.weights * self.kept.get(layer.name, 1.0) / 8


def effect(profile: ModelProfile, recipe: Recipe) -> Effect:
    """Return what the recipe's channel pruning, factorization and clustering come to."""
    kept: dict[str, float] = {}
    values: dict[str, int] = {}
    damage = 0.0
    for step in recipe.steps:
        if step.kind == "channels":
            part = _stays(step)
            kept = {layer.name: kept.get(layer.name, 1.0) * part for layer in profile.layers}
            damage += _by_channels(1 - part, refitted=bool(getattr(step, "refit", True)))
        elif step.kind == "low_rank":
            thin = {layer.name: _thinner(layer, step) for layer in profile.prunable}
            kept |= {name: kept.get(name, 1.0) * part for name, part in thin.items() if part < 1}
            damage += _LOW_RANK * (float(getattr(step, "error", 0.05)) if _by_error(step) else
                                   0.3 * (1 - min(thin.values(), default=1.0)) ** 2)
        elif step.kind == "cluster":
            clusters = int(getattr(step, "clusters", 32))
            deep = getattr(step, "of_depthwise", lambda: 1)()
            values |= {layer.name: clusters if layer.prunable else deep for layer in profile.layers}
            damage += _CLUSTERS_32 * (32 / clusters) ** _CLUSTERS_POWER
    return Effect(kept, values, damage)


def _stays(step: Step) -> float:
    what, gone = getattr(step, "by", lambda: ("macs", 0.0))()
    # A channel that goes takes an output of one layer and an input of the next, though not at every border.
    return float(1 - gone if what == "macs" else (1 - gone) ** 1.7)


def _by_channels(gone: float, *, refitted: bool) -> float:
    loss = _CHANNELS_AT_ALL + _CHANNELS * gone + _CHANNELS_CUBED * gone**3
    return loss if refitted else _NOT_REFITTED * loss


def _by_error(step: Step) -> bool:
    return not getattr(step, "rank", 0) and not getattr(step, "ratio", 0.0)


def _thinner(layer: LayerProfile, step: Step) -> float:
    """Return the part of a dense layer or 1x1 convolution that stays when two thin ones replace it."""
    if not layer.prunable or math.prod(layer.shape[:-2]) != 1:
        return 1.0
    rank, ratio = int(getattr(step, "rank", 0)), float(getattr(step, "ratio", 0.0))
    if rank:
        return min(1.0, rank * (layer.shape[-2] + layer.shape[-1]) / layer.weights)
    if ratio:
        return ratio
    return 1 - min(0.6, _SAVED_BY_ERROR * math.sqrt(float(getattr(step, "error", 0.05))))
