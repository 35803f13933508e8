"""Clustering: the weights of a layer share few values, in one shot or while the model trains.

In one shot, a scan says how many bits per weight each layer is worth. Then layers are taken in order as in pruning by
reconstruction: a least-squares fit to the original's outputs, a codebook by k-means weighted with the Hessian's
diagonal, and rounding to it one input at a time with the error made up for by the inputs to come, as GPTQ does (Frantar
et al., 2022, arXiv:2210.17323). Sharing weights to make files small: Han, Mao and Dally, "Deep Compression" (ICLR 2016,
arXiv:1510.00149). Training is TFMOT's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from core.engine.clustering.bits import PROBE, allot, read_rates, scan, write_rates
from core.engine.clustering.codebook import codebook, entropy, nearest
from core.engine.clustering.codes import codes, shortened
from core.engine.clustering.solver import CodebookSolver, ScaledSolver
from core.engine.clustering.training import train
from core.engine.clustering.walk import LeanWalk
from core.engine.methods.frame import Context, Finding, Mask, Outcome, State, apply_masks, implements
from core.engine.methods.reconstruction import WIDEST, chosen_images, same_shape
from core.engine.reconstruction import kernels, sensitivity
from core.engine.reconstruction.fold import fold
from core.engine.reconstruction.graph import copy_of
from core.engine.reconstruction.images import Images
from core.engine.reconstruction.sequential import WalkOptions
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.cluster import Cluster

_ROWS = 16000
_SCAN = 0.4  # its share of the time
_SCAN_BATCHES = 6


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
    done = Shot({}, {}, {})
    if step.one_shot:
        done = _in_one_shot(step, work, start, layers, kept, state, context)
    else:
        zeros = step.preserve_sparsity and any(not m.all() for m in kept.values())
        details["loss"] = train(step, work, layers, zeros, state, context)
        apply_masks(work, kept)
    promised = {name: _most(step, work.get_layer(name)) for name in layers}
    dropped = {} if step.preserve_sparsity else masks
    promise = state.promise.also(
        distinct={**state.promise.distinct, **promised},
        grid={**{n: g for n, g in state.promise.grid.items() if n not in layers}, **done.grid},
        zeros={n: z for n, z in state.promise.zeros.items() if n not in dropped},
        two_four=tuple(n for n in state.promise.two_four if n not in dropped))
    details["layers"] = [_row(name, work, promised, done) for name in layers]
    return Outcome(work, {n: m for n, m in state.masks.items() if n not in dropped}, promise, details,
                   _findings(work, layers))


@dataclass(frozen=True)
class Shot:
    """What clustering in one shot tells of each layer: relative error, scales per channel, and bits allowed."""

    errors: dict[str, float]
    grid: dict[str, tuple[float, ...]]
    bits: Mapping[str, float | None]


def _in_one_shot(
    step: Cluster, work: Any, start: Any, layers: Sequence[str], kept: Mapping[str, Mask], state: State,
    context: Context,
) -> Shot:
    """Round and refit in order."""
    images = chosen_images(step.images, context)
    reference = fold(state.original).model
    if not same_shape(start, reference):
        reference = copy_of(start)
    bits = _bits(step, reference, layers, images, context)
    done = Shot({}, {}, bits)
    wide = [name for name in layers if _inputs(work.get_layer(name)) > WIDEST]
    for name in wide:
        _plainly(step, work.get_layer(name), kept.get(name), done)
    narrow = [name for name in layers if name not in wide]
    options = WalkOptions(rows=_ROWS, seed=int(context.rng(8).integers(2**31)))
    begun = 0.0 if step.mean_bits() is None else _SCAN
    with LeanWalk(work, reference, images.batches(), narrow, context.scratch, options, kept,
                  context.check_cancelled) as walk:
        for number, view in enumerate(walk):
            context.check_cancelled()
            context.progress(begun + (1 - begun) * number / len(narrow), N_("Clustering and refitting layer by layer"))
            count, allowed = _count(step, view.layer), bits.get(view.name)
            if step.per == "scaled":
                solution, scales = ScaledSolver(count, allowed)(view.problem)
                done.grid[view.name] = tuple(float(s) for s in scales.ravel())
            else:
                solution = CodebookSolver(count, step.per == "channel", allowed)(view.problem)
            if not np.isfinite(solution.kernel).all():
                raise InputError(N_("The layer '{layer}' could not be refitted: its inputs or weights hold values "
                                    "that are no numbers. Check the model and the images."), layer=view.name)
            done.errors[view.name] = view.problem.moments.error(solution.kernel)
            view.replace(solution.kernel, shortened(solution.bias))
    return done


def _bits(
    step: Cluster, reference: Any, layers: Sequence[str], images: Images, context: Context
) -> dict[str, float | None]:
    """Return the bits per weight of each layer, None for any: by a scan, from the cache if it was made before."""
    mean = step.mean_bits()
    if mean is None:
        return {}
    counts = {n: _count(step, reference.get_layer(n)) for n in layers if _inputs(reference.get_layer(n)) <= WIDEST}
    batches = list(islice(images.batches(), _SCAN_BATCHES))
    if len(batches) < 2 and len(batches[0]) > 1:
        batches = np.array_split(batches[0], 2)
    scaled = step.per == "scaled"
    key = sensitivity.fingerprint(reference, images.digest(), {
        "counts": counts, "scaled": scaled, "probe": PROBE, "solver": 2})
    rates = None if context.cache is None else read_rates(context.cache, key)
    if rates is None:
        rates = scan(reference, batches, counts, scaled, context.scratch, int(context.rng(10).integers(2**31)),
                     context.check_cancelled, lambda d: context.progress(_SCAN * d, N_("Measuring sensitivity")))
        if context.cache is not None:
            write_rates(context.cache, key, rates)
    return {**dict.fromkeys(layers, mean), **allot(rates, mean)}


def _plainly(step: Cluster, layer: Any, mask: Mask | None, done: Shot) -> None:
    """Cluster, in place, one layer that is too wide to refit."""
    variable = kernels.kernel_of(layer)
    value = kernels.to_matrix(variable.numpy(), layer)
    live = np.ones(value.shape, bool) if mask is None else kernels.to_matrix(mask, layer)
    count, bits = _count(step, layer), done.bits.get(layer.name)
    if step.per == "scaled":
        scales, book = ScaledSolver(count, bits).grid(value, np.ones(value.shape), live)
        done.grid[layer.name] = tuple(float(s) for s in scales.ravel())
        rounded = nearest(value / scales[:, None], book) * scales[:, None]
    else:
        rounded = nearest(value, codebook(value[live], np.ones(int(live.sum())), count, not live.all(), bits))
    variable.assign(kernels.from_matrix(rounded * live, layer))


def _count(step: Cluster, layer: Any) -> int:
    return step.of_depthwise() if kernels.is_depthwise(layer) else step.clusters


def _most(step: Cluster, layer: Any) -> int:
    """Return the most distinct values that the whole kernel may hold."""
    shape = tuple(kernels.kernel_of(layer).shape)
    per_channel = step.per != "layer" and (step.one_shot or len(shape) == 4)
    sets = int(np.prod(shape[2:] if kernels.is_depthwise(layer) else shape[-1:])) if per_channel else 1
    return int(min(_count(step, layer) * sets, np.prod(shape)))


def _inputs(layer: Any) -> int:
    return int(kernels.to_matrix(kernels.kernel_of(layer).numpy(), layer).shape[1])


def _row(name: str, model: Any, promised: Mapping[str, int], done: Shot) -> dict[str, Any]:
    layer = model.get_layer(name)
    kernel = kernels.kernel_of(layer).numpy()
    shared = codes(layer, done.grid[name]) if name in done.grid else kernel
    return {"layer": name, "weights": int(kernel.size), "distinct": int(np.unique(shared).size),
            "promised": promised[name], "bits": entropy(shared), "bits_allowed": done.bits.get(name),
            "relative_error": done.errors.get(name)}


def _findings(model: Any, layers: Sequence[str]) -> tuple[Finding, ...]:
    whole = [layer.name for layer in model.layers
             if kernels.is_linear(layer) and not kernels.is_depthwise(layer) and layer.name not in layers]
    found = [Finding("packs-small", N_("The file holds each weight in full; what shrinks is the packed file (gzip, "
                                       "zstd), and an int8 file made from it."))]
    if whole:
        found.append(Finding("layer-skipped", N_("{layers}: used in several places, so left whole."),
                             {"layers": ", ".join(whole)}))
    return tuple(found)
