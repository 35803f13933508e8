"""Sharing sparsity out by what magnitude pruning of each layer alone does to the answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import tf_keras

from core.engine.methods.frame import Array, Context, kernels
from core.engine.probabilities import compiled, divergence, in_batches
from core.engine.reconstruction.allocation import by_sensitivity as share
from core.engine.reconstruction.sensitivity import (
    Curve,
    fingerprint,
    read_profile,
    write_profile,
)
from core.locales import N_
from core.recipes.steps.magnitude import Magnitude

LEVELS = (0.3, 0.6, 0.85)
IMAGES = 48


def by_sensitivity(
    model: tf_keras.Model, values: Mapping[str, Array], step: Magnitude, context: Context
) -> dict[str, float]:
    """Return each layer's fraction of zeros, less where it hurts.

    Every layer is pruned alone at three levels; the mean KL divergence of the answers on up to 48 calibration
    images is its cost. The scan is kept in the cache and used again for the same weights and images.
    """
    images = np.asarray(context.calibration[:IMAGES], np.float32)
    key = fingerprint(model, hashlib.sha256(images.tobytes()).hexdigest(), {"method": "magnitude"})
    curves = read_profile(context.cache, key) if context.cache else None
    if curves is None:
        curves = _scan(model, values, images, context)
        if context.cache:
            write_profile(context.cache, key, curves)
    counts = share(curves, round(step.sparsity * sum(k.size for k in values.values())))
    return {name: counts[name] / values[name].size for name in values}


def _scan(
    model: tf_keras.Model, values: Mapping[str, Array], images: Array, context: Context
) -> list[Curve]:
    answer, variables, curves = compiled(model), kernels(model), []
    reference = in_batches(answer, images)
    for number, (name, kernel) in enumerate(values.items()):
        found = []
        for level in LEVELS:
            context.check_cancelled()
            threshold = np.quantile(np.abs(kernel), level)
            variables[name].assign(kernel * (np.abs(kernel) > threshold))
            found.append(divergence(reference, in_batches(answer, images)))
        variables[name].assign(kernel)
        curves.append(Curve(name, int(kernel.size), LEVELS, tuple(found)))
        context.progress((number + 1) / len(values), N_("Measuring sensitivity"))
    return curves
