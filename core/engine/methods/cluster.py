"""Clustering: the weights of a layer share few values, in one shot or while the model trains.

In one shot, layers are taken in order as in pruning by reconstruction: a least-squares fit to the original's outputs,
a codebook by k-means weighted with the Hessian's diagonal, and rounding to it one input at a time with the error made
up for by the inputs to come, as GPTQ does (Frantar et al., 2022, arXiv:2210.17323). Sharing weights to make files
small: Han, Mao and Dally, "Deep Compression" (ICLR 2016, arXiv:1510.00149). Training is TFMOT's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.engine.clustering.codebook import codebook, nearest
from core.engine.clustering.solver import CodebookSolver
from core.engine.clustering.training import train
from core.engine.clustering.walk import LeanWalk
from core.engine.methods.frame import Array, Context, Finding, Mask, Outcome, State, apply_masks, implements
from core.engine.methods.reconstruction import WIDEST, chosen_images, same_shape
from core.engine.reconstruction import kernels
from core.engine.reconstruction.fold import fold
from core.engine.reconstruction.graph import copy_of
from core.engine.reconstruction.sequential import WalkOptions
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.cluster import Cluster

_ROWS = 16000


@implements("cluster")
def apply(step: Cluster, state: State, context: Context) -> Outcome:
    """Cluster every convolution and dense layer; the new model has batch norm folded into the layers before it.

    Raises
    ------
    InputError
        If images are missing, the model is not functional, or it has no layer to cluster.
    StorageError
        If activations cannot be written to the scratch folder.
    """
    start = fold(state.model).model
    work = copy_of(start)
    layers = kernels.prunable_layers(work, depthwise=step.of_depthwise() > 1)
    if not layers:
        raise InputError(N_("The model {model} has no convolution or dense layer to cluster."), model=work.name)
    masks = {n: m for n, m in state.masks.items()
             if n in layers and m.shape == tuple(kernels.kernel_of(work.get_layer(n)).shape)}
    kept = masks if step.preserve_sparsity else {}
    details: dict[str, Any] = {}
    errors: dict[str, float] = {}
    if step.one_shot:
        errors = _in_one_shot(step, work, start, layers, kept, state, context)
    else:
        zeros = step.preserve_sparsity and any(not m.all() for m in kept.values())
        details["loss"] = train(step, work, layers, zeros, state, context)
        apply_masks(work, kept)
    promised = {name: _most(step, work.get_layer(name)) for name in layers}
    dropped = {} if step.preserve_sparsity else masks
    promise = state.promise.also(
        distinct={**state.promise.distinct, **promised},
        zeros={n: z for n, z in state.promise.zeros.items() if n not in dropped},
        two_four=tuple(n for n in state.promise.two_four if n not in dropped))
    details["layers"] = [_row(name, work, promised, errors) for name in layers]
    return Outcome(work, {n: m for n, m in state.masks.items() if n not in dropped}, promise, details,
                   _findings(work, layers))


def _in_one_shot(
    step: Cluster, work: Any, start: Any, layers: Sequence[str], kept: Mapping[str, Mask], state: State,
    context: Context,
) -> dict[str, float]:
    """Round and refit in order; return each layer's relative error."""
    images = chosen_images(step.images, context)
    reference = fold(state.original).model
    if not same_shape(start, reference):
        reference = copy_of(start)
    wide = [name for name in layers if _inputs(work.get_layer(name)) > WIDEST]
    for name in wide:
        _plainly(work.get_layer(name), _count(step, work.get_layer(name)), kept.get(name))
    narrow = [name for name in layers if name not in wide]
    errors: dict[str, float] = {}
    options = WalkOptions(rows=_ROWS, seed=int(context.rng(8).integers(2**31)))
    with LeanWalk(work, reference, images.batches(), narrow, context.scratch, options, kept,
                  context.check_cancelled) as walk:
        for number, view in enumerate(walk):
            context.check_cancelled()
            context.progress(number / len(narrow), N_("Clustering and refitting layer by layer"))
            solution = CodebookSolver(_count(step, view.layer), step.per == "channel")(view.problem)
            if not np.isfinite(solution.kernel).all():
                raise InputError(N_("The layer '{layer}' could not be refitted: its inputs or weights hold values "
                                    "that are no numbers. Check the model and the images."), layer=view.name)
            errors[view.name] = view.problem.moments.error(solution.kernel)
            view.replace(solution.kernel, solution.bias)
    return errors


def _plainly(layer: Any, count: int, mask: Mask | None) -> None:
    """Cluster, in place, one layer that is too wide to refit."""
    variable = kernels.kernel_of(layer)
    value: Array = variable.numpy()
    live = np.ones(value.shape, bool) if mask is None else mask
    book = codebook(value[live], np.ones(int(live.sum())), count, not live.all())
    variable.assign(nearest(value, book) * live)


def _count(step: Cluster, layer: Any) -> int:
    return step.of_depthwise() if kernels.is_depthwise(layer) else step.clusters


def _most(step: Cluster, layer: Any) -> int:
    """Return the most distinct values that the whole kernel may hold."""
    shape = tuple(kernels.kernel_of(layer).shape)
    per_channel = step.per == "channel" and (step.one_shot or len(shape) == 4)
    sets = int(np.prod(shape[2:] if kernels.is_depthwise(layer) else shape[-1:])) if per_channel else 1
    return int(min(_count(step, layer) * sets, np.prod(shape)))


def _inputs(layer: Any) -> int:
    return int(kernels.to_matrix(kernels.kernel_of(layer).numpy(), layer).shape[1])


def _row(name: str, model: Any, promised: Mapping[str, int], errors: Mapping[str, float]) -> dict[str, Any]:
    kernel = kernels.kernel_of(model.get_layer(name)).numpy()
    counts = np.unique(kernel, return_counts=True)[1] / kernel.size
    return {"layer": name, "weights": int(kernel.size), "distinct": int(counts.size), "promised": promised[name],
            "bits": float(-(counts * np.log2(counts)).sum()), "relative_error": errors.get(name)}


def _findings(model: Any, layers: Sequence[str]) -> tuple[Finding, ...]:
    whole = [layer.name for layer in model.layers
             if kernels.is_linear(layer) and not kernels.is_depthwise(layer) and layer.name not in layers]
    found = [Finding("packs-small", N_("The file holds each weight in full; what shrinks is the packed file (gzip, "
                                       "zstd), and an int8 file made from it."))]
    if whole:
        found.append(Finding("layer-skipped", N_("{layers}: used in several places, so left whole."),
                             {"layers": ", ".join(whole)}))
    return tuple(found)
