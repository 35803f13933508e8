"""One-shot pruning by layer-wise reconstruction, without labels and without training.

Batch norm is folded, then every convolution and dense layer in order is pruned and refitted by least squares to the
outputs it had in the original, on calibration images as the layers before it, already pruned, pass them on.
Mask search by ADMM: Boža, "Fast and Effective Weight Update for Pruned Large Language Models" (2024,
arXiv:2401.02938); the layer-wise problem: Frantar and Alistarh, "SparseGPT" (2023, arXiv:2301.00774).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.engine import shares
from core.engine.methods.frame import Array, Context, Finding, Mask, Outcome, State, implements
from core.engine.reconstruction import allocation, kernels, sensitivity
from core.engine.reconstruction.adapted import Adaptation
from core.engine.reconstruction.fold import fold
from core.engine.reconstruction.graph import copy_of
from core.engine.reconstruction.images import BATCH as BATCH
from core.engine.reconstruction.images import Images, Mosaics, Views
from core.engine.reconstruction.sequential import Walk, WalkOptions
from core.engine.reconstruction.solvers import SparseSolver
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.reconstruction import Reconstruction

FEWEST = 8
HELD_OUT = 0.4
MOST_HELD_OUT = 4  # batches: a hundred photos show which layer matters
MOSAICS = 500
VIEWS = 1
ROWS = 16000
"""Rows that a layer is refitted on: twice as many take longer and leave the same divergence."""
NORMS = 150
"""Pictures that give batch norms their mean and variance: five hundred gave no better ones."""
_AT_HOME, _SCANNED = 0.05, 0.7  # fractions of the work behind the batch norms and the scan
WIDEST = 6000
"""Inputs of a layer beyond which its second moments would not fit in memory."""


@implements("reconstruction")
def apply(step: Reconstruction, state: State, context: Context) -> Outcome:
    """Prune and refit; the new model has batch norm folded into the layers before it.

    Raises
    ------
    InputError
        If there are fewer than 8 calibration images, the model is not functional, or it has nothing to prune.
    StorageError
        If activations cannot be written to the scratch folder.
    """
    images = chosen_images(step.images, context)
    mine, original = fold(state.model), fold(state.original)
    work, reference = mine.model, original.model
    related = same_shape(work, reference)
    if not related:
        reference = copy_of(work)
    adaptation = _adaptation(
        *((state.original, original.absorbed) if related else (state.model, mine.absorbed)), images, context)
    if adaptation is not None:
        adaptation.away(work)
        adaptation.away(reference)
    layers = kernels.prunable_layers(work)
    if not layers:
        raise InputError(N_("The model {model} has no convolution or dense layer to prune."), model=work.name)
    matrices = {name: kernels.kernel_of(work.get_layer(name)).numpy() for name in layers}
    wide = [name for name in layers if kernels.to_matrix(matrices[name], work.get_layer(name)).shape[1] > WIDEST]
    context.progress(_AT_HOME, N_("Measuring sensitivity"))
    counts, curves = removed_counts(step, reference, matrices, wide, images, context)
    masks = {n: m for n, m in state.masks.items() if n in matrices and m.shape == matrices[n].shape}
    for name in wide:
        _by_magnitude(work, name, counts[name], masks)
    pictures = fitted_on(images, step.images, context)
    errors = _walk(work, reference, [n for n in layers if n not in wide], counts, masks, pictures, context)
    if adaptation is not None:
        adaptation.home(work)
    zeros = {name: float((~masks[name]).mean()) for name in layers if not masks[name].all()}
    rows = [
        {"layer": name, "weights": int(matrices[name].size), "sparsity": float((~masks[name]).mean()),
         "relative_error": errors.get(name),
         "sensitivity": None if name not in curves else
         {"levels": list(curves[name].levels), "divergence": list(curves[name].divergence)}}
        for name in layers
    ]
    promise = state.promise.also(
        zeros={**state.promise.zeros, **zeros},
        distinct={n: k for n, k in state.promise.distinct.items() if n not in matrices},
    )
    return Outcome(work, {**state.masks, **masks}, promise,
                   {"layers": rows, "images": len(images), "views": len(pictures) - len(images)},
                   _findings(wide, context))


def chosen_images(most: int, context: Context) -> Images:
    """Return up to ``most`` calibration images chosen by the seed; of crops of few photos, mosaics too.

    Raises
    ------
    InputError
        If there are fewer than 8.
    """
    n = len(context.calibration)
    if n < FEWEST:
        raise InputError(N_("Reconstruction needs at least {fewest} calibration images and there are {n}. Add some."),
                         fewest=FEWEST, n=n)
    # In random order: the last ones judge the scan, and folders come sorted by class.
    chosen = context.rng(5).permutation(n)[:most]
    if context.synthetic:
        return Mosaics(context.calibration, chosen, MOSAICS, context.seed)
    return Images(context.calibration, chosen)


def fitted_on(images: Images, most: int, context: Context) -> Images:
    """Return the images and, where they are fewer than ``most``, ``VIEWS`` other views of each, up to it.

    Crops of few photos have their mosaics already. Mosaics of real photos, in a network made at home on them, served
    photos of all kinds a little better than views and photos of one kind far worse.
    """
    if context.synthetic:
        return images
    count = min(most, (1 + VIEWS) * len(images))
    return Views(context.calibration, images.chosen, count, int(context.rng(8).integers(2**31)))


def same_shape(one: Any, other: Any) -> bool:
    """Whether two models have the same layers, in type, name and shape of their weights."""
    def layout(model: Any) -> list[object]:
        return [(type(layer), layer.name, [tuple(w.shape) for w in layer.weights])
                for layer in model.layers if layer.weights]

    return layout(one) == layout(other) and len(one.layers) == len(other.layers)


def removed_counts(
    step: Reconstruction, reference: Any, matrices: Mapping[str, Array], wide: Sequence[str], images: Images,
    context: Context,
) -> tuple[dict[str, int], dict[str, sensitivity.Curve]]:
    """Return how many weights each layer loses, and the curves if sensitivity decided it."""
    sizes = {name: int(kernel.size) for name, kernel in matrices.items()}
    total = round(step.sparsity * sum(sizes.values()))
    if isinstance(step.allocation, dict):
        return {n: round(step.allocation.get(n, 0.0) * sizes[n]) for n in sizes}, {}
    if step.allocation == "sensitivity":
        fixed = {n: round(step.sparsity * sizes[n]) for n in wide}
        curves = profile(reference, [n for n in sizes if n not in wide], images, context)
        cost = crop_cost(list(sizes)) if context.synthetic else {}
        given = allocation.by_sensitivity(curves, total - sum(fixed.values()), cost)
        return {**given, **fixed}, {c.layer: c for c in curves}
    rule = {"uniform": shares.uniform, "global": shares.smallest_overall,
            "erk": shares.erdos_renyi_kernel}[step.allocation]
    return allocation.exact_counts(rule(matrices, step.sparsity), sizes, total), {}


def crop_cost(layers: Sequence[str]) -> dict[str, float]:
    """Return the factors on the layers' divergence, in topological order, when images are crops of few photos.

    Crops hold few kinds of things, and many edges: the layers that tell kinds apart look less sensitive on them than
    on photos, those that see edges more. Measured, the ratio grows about tenfold from the first layer to the last.
    """
    last = max(len(layers) - 1, 1)
    return {name: 10 ** (number / last) for number, name in enumerate(layers)}


def profile(
    model: Any, layers: Sequence[str], images: Images, context: Context
) -> list[sensitivity.Curve]:
    """Return the sensitivity curves of a folded model, from the cache if they were measured before."""
    batches = -(-len(images) // BATCH)
    held_out = max(1, min(MOST_HELD_OUT, round(HELD_OUT * batches))) if batches > 1 else 0
    key = sensitivity.fingerprint(model, images.digest(), {"layers": list(layers), "held_out": held_out})
    if context.cache is not None and (known := sensitivity.read_profile(context.cache, key)) is not None:
        return known
    curves = sensitivity.scan(
        model, images.batches(), layers, context.scratch, held_out, check=context.check_cancelled,
        progress=lambda done: context.progress(_AT_HOME + (_SCANNED - _AT_HOME) * done, N_("Measuring sensitivity")),
    )
    if context.cache is not None:
        sensitivity.write_profile(context.cache, key, curves)
    return curves


def _adaptation(model: Any, absorbed: Mapping[str, str], images: Images, context: Context) -> Adaptation | None:
    """Return what the images make of the model's batch norms when they are of another kind than its training's."""
    if not context.synthetic:
        return None
    return Adaptation(model, absorbed, images.batches(every=max(1, len(images) // NORMS)), context.scratch,
                      context.check_cancelled,
                      lambda done: context.progress(_AT_HOME * done, N_("Re-estimating batch norm")))


def _by_magnitude(model: Any, name: str, count: int, masks: dict[str, Mask]) -> None:
    """Prune one layer that is too wide to refit; its mask goes to ``masks``."""
    kernel = kernels.kernel_of(model.get_layer(name))
    value = kernel.numpy()
    free = masks.get(name, np.ones(value.shape, bool))
    keep = np.zeros(value.size, bool)
    keep[np.argsort(np.where(free, np.abs(value), -1.0), axis=None, kind="stable")[count:]] = True
    masks[name] = keep.reshape(value.shape) & free
    kernel.assign(value * masks[name])


def _walk(
    work: Any, reference: Any, layers: Sequence[str], counts: Mapping[str, int], masks: dict[str, Mask],
    images: Images, context: Context,
) -> dict[str, float]:
    """Prune and refit in order; fill ``masks`` and return each layer's relative error."""
    errors: dict[str, float] = {}
    options = WalkOptions(ROWS, seed=int(context.rng(6).integers(2**31)))
    with Walk(work, reference, images.batches(), layers, context.scratch, options, masks,
              context.check_cancelled) as walk:
        for number, view in enumerate(walk):
            context.check_cancelled()
            context.progress(_SCANNED + (1 - _SCANNED) * number / len(layers),
                             N_("Pruning and refitting layer by layer"))
            solution = SparseSolver(view.problem.kernel.size - counts[view.name])(view.problem)
            errors[view.name] = view.problem.moments.error(solution.kernel)
            if not np.isfinite(solution.kernel).all():
                raise InputError(N_("The layer '{layer}' could not be refitted: its inputs or weights hold values "
                                    "that are no numbers. Check the model and the images."), layer=view.name)
            view.replace(solution.kernel, solution.bias)
            masks[view.name] = kernels.from_matrix(solution.mask, view.layer)
    return errors


def _findings(wide: Sequence[str], context: Context) -> tuple[Finding, ...]:
    found = []
    if wide:
        found.append(Finding(
            "layer-too-wide", N_("{layers}: too many inputs for a refit, so the smallest weights were dropped "
                                 "instead."), {"layers": ", ".join(wide)}))
    if context.synthetic:
        found.append(Finding(
            "crops-only", N_("Only crops of bundled photos were used for calibration. A few hundred photos like "
                             "those that the model will see give a better result.")))
    return tuple(found)
