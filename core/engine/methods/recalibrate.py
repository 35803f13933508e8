"""Recovery without training: batch norm re-estimated, or means and spreads of outputs matched to the original.

Pruned, clustered or rounded weights shift what every layer puts out. Where batch norm is still there, its mean and
variance are taken anew, exactly over all images and in the order of the layers, so that each sees inputs that are
already right. Where it was folded, each layer's bias is moved until the mean of its output is the original's
(Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, arXiv:1906.04721; here
with images), and its kernel is scaled per output channel until the variance is too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from core.engine.clustering.walk import LeanWalk
from core.engine.methods.frame import Context, Finding, Outcome, State, apply_masks, implements
from core.engine.methods.reconstruction import WIDEST, chosen_images, same_shape
from core.engine.reconstruction import kernels
from core.engine.reconstruction.adapted import batch_norms, reestimate
from core.engine.reconstruction.fold import flatten, fold
from core.engine.reconstruction.sequential import WalkOptions
from core.engine.reconstruction.solvers import match_variance
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.recalibrate import Recalibrate

_ROWS = 16000


@implements("recalibrate")
def apply(step: Recalibrate, state: State, context: Context) -> Outcome:
    """Recalibrate a copy of ``state.model``; masks and promises stay.

    Raises
    ------
    InputError
        If there are too few images, the model is not functional, or the layers have no counterpart in the
        original to be matched to.
    StorageError
        If activations cannot be written to the scratch folder.
    """
    images = chosen_images(step.images, context)
    flat = flatten(state.model)
    norms = batch_norms(flat)
    if step.method == "batch_norm" or (step.method == "auto" and norms):
        moved = reestimate(flat, images.batches(), context.scratch, context.check_cancelled,
                           lambda done: context.progress(done, N_("Re-estimating batch norm")))
        rows = [{"layer": name, "mean_shift": shift} for name, shift in moved.items()]
        return Outcome(flat, details={"method": "batch_norm", "layers": rows, "images": len(images)},
                       findings=() if norms else (_nothing(),))
    model, reference = fold(flat).model, fold(state.original).model
    if not same_shape(model, reference):
        raise InputError(N_("The layers no longer have the shapes they had in the original, so their outputs cannot "
                            "be matched. Use the method batch_norm, or leave the recalibration out."))
    moved = match_outputs(model, reference, images.batches(), state.promise.distinct, context)
    apply_masks(model, state.masks)
    rows = [{"layer": name, "mean_shift": shift} for name, shift in moved.items()]
    return Outcome(model, details={"method": "bias", "layers": rows, "images": len(images)},
                   findings=() if moved else (_nothing(),))


def match_outputs(
    model: Any, reference: Any, batches: Iterable[np.ndarray[Any, Any]], distinct: Iterable[str], context: Context
) -> dict[str, float]:
    """Match, in place, mean and variance of each linear layer's output to the reference's.

    Kernels of the layers in ``distinct`` hold few distinct values and are not scaled; their bias is moved.

    Returns
    -------
    dict
        Layer name to how far its bias moved, root mean square in units of the output's standard deviation.
    """
    moved: dict[str, float] = {}
    names = [
        name for name in kernels.prunable_layers(model, depthwise=True)
        if kernels.to_matrix(kernels.kernel_of(model.get_layer(name)).numpy(), model.get_layer(name)).shape[1]
        <= WIDEST and model.get_layer(name).use_bias
    ]
    options = WalkOptions(rows=_ROWS, seed=int(context.rng(7).integers(2**31)))
    with LeanWalk(model, reference, batches, names, context.scratch, options, check=context.check_cancelled) as walk:
        for number, view in enumerate(walk):
            context.progress(number / len(names), N_("Matching means and spreads"))
            moments = view.problem.moments
            kernel = kernels.to_matrix(kernels.kernel_of(view.layer).numpy(), view.layer)
            if view.name not in distinct:
                kernel = match_variance(kernel, moments).astype(np.float32)
            bias = moments.bias(kernel)
            change = bias.reshape(-1) - view.layer.bias.numpy()
            moved[view.name] = float(np.sqrt(np.mean(change**2 / (moments.spread.reshape(-1) + 1e-12))))
            view.replace(kernel, bias.astype(np.float32))
    return moved


def _nothing() -> Finding:
    return Finding("changed-nothing", N_("The model has no layer that recalibration acts on, so it is as it was."))
