"""Magnitude pruning: in one shot, or through TFMOT while the model trains.

Schedules and masks in training are those of TFMOT; the polynomial schedule is that of Zhu and Gupta, "To
prune, or not to prune" (2017, arXiv:1710.01878).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tf_keras
from tensorflow_model_optimization.python.core.sparsity.keras import (
    prune,
    pruning_callbacks,
    pruning_schedule,
    pruning_wrapper,
)

from core.engine import shares
from core.engine.magnitude_sensitivity import by_sensitivity
from core.engine.methods.frame import (
    Array,
    Context,
    Finding,
    Mask,
    Outcome,
    State,
    apply_masks,
    implements,
    kernels,
)
from core.engine.probabilities import predict
from core.engine.watching import Watch
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.magnitude import Magnitude

_UPDATES = 20  # mask updates along a schedule: each sorts every layer's weights


@implements("magnitude")
def apply(step: Magnitude, state: State, context: Context) -> Outcome:
    """Prune every convolution and dense layer by magnitude.

    Raises
    ------
    InputError
        If training needs images and there are none, or it diverges.
    """
    values = {name: v.numpy() for name, v in kernels(state.model).items()}
    fractions, findings = _fractions(step, values, state, context)
    if step.epochs:
        masks, history = _train(step, state, context, fractions)
    else:
        masks, history = {n: _mask(step, values[n], fractions[n]) for n in fractions}, []
    masks = {n: m & state.masks.get(n, np.True_) for n, m in masks.items()}
    masks = {**state.masks, **masks}
    apply_masks(state.model, masks)
    zeros = {**state.promise.zeros, **{n: float((~masks[n]).mean()) for n in fractions}}
    pattern = tuple(fractions) if step.granularity == "2:4" else state.promise.two_four
    return Outcome(
        state.model, masks, state.promise.also(zeros=zeros, two_four=pattern),
        {"layers": [{"layer": n, "sparsity": zeros[n], "asked": fractions[n],
                     "weights": int(values[n].size)} for n in fractions], "loss": history},
        findings)


def _fractions(
    step: Magnitude, values: Mapping[str, Array], state: State, context: Context
) -> tuple[dict[str, float], tuple[Finding, ...]]:
    """Return the fraction of zeros for each layer to prune, and what to tell the person."""
    if step.granularity == "2:4":
        odd = [n for n, k in values.items() if k.shape[-2] % 4]
        told = (Finding("layer-skipped", N_("2:4 leaves {layers} whole: input channels in fours are needed."),
                        {"layers": ", ".join(odd)}),) if odd else ()
        return {n: 0.5 for n in values if n not in odd}, told
    told = ()
    if step.granularity == "block":
        single = [n for n, k in values.items() if k.ndim != 2]
        if single:
            told = (Finding("block-fallback", N_("Blocks are for dense layers; single weights were pruned in "
                                                 "{layers}."), {"layers": ", ".join(single)}),)
    if isinstance(step.allocation, dict):
        return {n: f for n, f in step.allocation.items() if f > 0}, told
    if step.allocation == "sensitivity":
        fractions = by_sensitivity(state.model, values, step, context)
    else:
        rule = {"uniform": shares.uniform, "global": shares.smallest_overall,
                "erk": shares.erdos_renyi_kernel}[step.allocation]
        fractions = rule(values, step.sparsity)
    return {n: f for n, f in fractions.items() if f > 0}, told


def _mask(step: Magnitude, kernel: Array, fraction: float) -> Mask:
    if step.granularity == "2:4":
        return two_of_four(kernel)
    if step.granularity == "block" and kernel.ndim == 2:
        return blocks(kernel, fraction, *_block(step))
    return smallest(np.abs(kernel), fraction)


def _block(step: Magnitude) -> tuple[int, int]:
    rows, columns = step.block.split("x")
    return int(rows), int(columns)


def smallest(scores: Array, fraction: float) -> Mask:
    """Return the mask that drops exactly ``round(fraction * n)`` entries, those of smallest score."""
    keep = np.ones(scores.size, bool)
    keep[np.argsort(scores, axis=None, kind="stable")[: round(fraction * scores.size)]] = False
    return keep.reshape(scores.shape)


def blocks(kernel: Array, fraction: float, rows: int, columns: int) -> Mask:
    """Return the mask of a dense kernel [in, out] that drops whole blocks of smallest mean magnitude."""
    height, width = kernel.shape
    padded = np.pad(np.abs(kernel), ((0, -height % rows), (0, -width % columns)))
    tiles = padded.reshape(padded.shape[0] // rows, rows, padded.shape[1] // columns, columns)
    keep = smallest(tiles.mean(axis=(1, 3)), fraction)
    return np.repeat(np.repeat(keep, rows, 0), columns, 1)[:height, :width]


def two_of_four(kernel: Array) -> Mask:
    """Return the mask that keeps the two largest of every four weights along the input channels.

    The second to last axis is the input's in Keras, and the last one in the ``.tflite`` file. Its length
    must be a multiple of 4.
    """
    last = np.moveaxis(np.abs(kernel), -2, -1)
    groups = last.reshape(-1, 4)
    keep = np.zeros(groups.shape, bool)
    np.put_along_axis(keep, np.argsort(-groups, axis=1, kind="stable")[:, :2], True, axis=1)
    return np.moveaxis(keep.reshape(last.shape), -1, -2)


def _train(
    step: Magnitude, state: State, context: Context, fractions: Mapping[str, float]
) -> tuple[dict[str, Mask], list[float]]:
    """Train under TFMOT's wrappers, copy the weights back, and return the masks and the loss per epoch."""
    if len(context.recovery) < 2:
        raise InputError(N_("Pruning with training needs images to train on. Add some, or set epochs to 0."))
    per_epoch = -(-len(context.recovery) // step.batch_size)
    steps = step.epochs * per_epoch
    wrapped = wrap(state, step, fractions, steps)
    if step.labels and context.targets is not None:
        targets, loss = context.targets, "sparse_categorical_crossentropy"
    else:
        targets, loss = predict(state.original, context.recovery), "kl_divergence"
    rate = tf_keras.optimizers.schedules.CosineDecay(step.learning_rate, steps)
    wrapped.compile(tf_keras.optimizers.Adam(rate), loss)
    history = wrapped.fit(
        context.recovery, targets, step.batch_size, epochs=step.epochs, verbose=0,
        callbacks=[pruning_callbacks.UpdatePruningStep(), Watch(context, steps, N_("Pruning and training"))])
    return unwrap(wrapped, state.model), [float(x) for x in history.history["loss"]]


def wrap(
    state: State, step: Magnitude, fractions: Mapping[str, float], steps: int
) -> tf_keras.Model:
    """Return a copy of the model with TFMOT's pruning wrapper around each layer in ``fractions``."""
    copy = tf_keras.models.clone_model(state.model)
    copy.set_weights(state.model.get_weights())

    def one(layer: tf_keras.layers.Layer) -> Any:
        if layer.name not in fractions:
            return layer
        before = float((~state.masks[layer.name]).mean()) if layer.name in state.masks else 0.0
        options: dict[str, Any] = {
            "pruning_schedule": _schedule(step, before, fractions[layer.name], steps)}
        if step.granularity == "2:4":
            options["sparsity_m_by_n"] = (2, 4)
        elif step.granularity == "block" and len(layer.kernel.shape) == 2:
            options["block_size"] = _block(step)
        return prune.prune_low_magnitude(layer, **options)

    return tf_keras.models.clone_model(copy, clone_function=one)


def _schedule(step: Magnitude, before: float, after: float, steps: int) -> Any:
    if step.schedule == "constant" or step.granularity == "2:4" or before >= after:
        return pruning_schedule.ConstantSparsity(after, 0, -1, max(1, steps // _UPDATES))
    ramp = max(1, round(step.ramp * steps))
    every = max(1, ramp // _UPDATES)
    return pruning_schedule.PolynomialDecay(before, after, 0, ramp // every * every, frequency=every)


def unwrap(wrapped: tf_keras.Model, model: tf_keras.Model) -> dict[str, Mask]:
    """Copy the trained weights into ``model``, whose layers are bare, and return the final masks."""
    masks: dict[str, Mask] = {}
    for layer in wrapped.layers:
        inner = layer
        if isinstance(layer, pruning_wrapper.PruneLowMagnitude):
            inner = layer.layer
            masks[inner.name] = layer.pruning_vars[0][1].numpy() > 0.5
        if inner.weights:
            target = model.get_layer(inner.name)
            by_name = {_tail(w.name): w for w in inner.weights}
            for variable in target.weights:
                variable.assign(by_name[_tail(variable.name)])
    return masks


def _tail(name: str) -> str:
    return name.rsplit("/", 1)[-1]
