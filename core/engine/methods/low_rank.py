"""Low-rank factorization: a dense layer or 1x1 convolution becomes two thin ones where that saves multiplications.

The kernel is split by a truncated singular value decomposition in the metric of the layer's inputs: with
``H = R^T R`` the second moments of calibration inputs, the best rank-r map for the outputs' squared error is
``R^-1 svd_r(R W)`` (Zhang et al., "Accelerating Very Deep Convolutional Networks for Classification and Detection",
2015, arXiv:1505.06798, without their nonlinear step).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_keras

from core.engine.methods.frame import Array, Context, Finding, Outcome, State, implements
from core.engine.methods.reconstruction import WIDEST, chosen_images, same_shape
from core.engine.reconstruction import kernels
from core.engine.reconstruction.fold import fold
from core.engine.reconstruction.graph import Graph, copy_of
from core.engine.reconstruction.sequential import Walk, WalkOptions
from core.engine.reconstruction.solvers import Problem
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.low_rank import LowRank

_ROWS = 16000
_RIDGE = 0.01


@dataclass(frozen=True)
class Factors:
    """A kernel ``first`` [d, r] times ``second`` [r, m], the bias [m], and the energy of the outputs lost, 0 to 1."""

    first: Array
    second: Array
    bias: Array
    lost: float


@implements("low_rank")
def apply(step: LowRank, state: State, context: Context) -> Outcome:
    """Factorize; the new model has batch norm folded, and ``<layer>_a`` before each layer that was split.

    Raises
    ------
    InputError
        If there are fewer than 8 calibration images, the model is not functional, or it has no layer to split.
    StorageError
        If activations cannot be written to the scratch folder.
    """
    images = chosen_images(step.images, context)
    start, reference = fold(state.model).model, fold(state.original).model
    if not same_shape(start, reference):
        reference = copy_of(start)
    work = copy_of(start)
    names = [n for n in kernels.prunable_layers(work) if splittable(work.get_layer(n)) and most_useful(work, n) >= 1]
    if not names:
        raise InputError(N_("The model {model} has no dense layer or 1x1 convolution that two thinner ones could "
                            "replace with fewer multiplications."), model=work.name)
    splits: dict[str, Factors] = {}
    rows: list[dict[str, Any]] = []
    options = WalkOptions(rows=_ROWS, seed=int(context.rng(9).integers(2**31)))
    with Walk(work, reference, images.batches(), names, context.scratch, options,
              check=context.check_cancelled) as walk:
        for number, view in enumerate(walk):
            context.progress(number / len(names), N_("Factorizing layer by layer"))
            found = factorize(view.problem, step, most_useful(work, view.name))
            _, inputs, outputs = view.problem.kernel.shape
            row = {"layer": view.name, "inputs": inputs, "outputs": outputs, "rank": None, "lost": None,
                   "macs_kept": 1.0}
            if found is not None:
                rank = found.first.shape[1]
                splits[view.name] = found
                view.replace((found.first @ found.second)[None], found.bias[None])
                row |= {"rank": rank, "lost": found.lost, "macs_kept": rank * (inputs + outputs) / (inputs * outputs)}
            rows.append(row)
    model = with_factors(work, splits) if splits else state.model
    gone = set(splits)
    promise = state.promise.also(
        zeros={n: z for n, z in state.promise.zeros.items() if n not in gone},
        two_four=tuple(n for n in state.promise.two_four if n not in gone),
        distinct={n: k for n, k in state.promise.distinct.items() if n not in gone})
    return Outcome(model, {n: m for n, m in state.masks.items() if n not in gone}, promise,
                   {"layers": rows, "images": len(images)}, _findings(splits, rows))


def splittable(layer: Any) -> bool:
    """Whether the layer is a plain matrix on channels, and not too wide for its second moments."""
    kernel = kernels.kernel_of(layer)
    if kernels.groups_of(layer) != 1 or kernels.is_depthwise(layer) or int(kernel.shape[-2]) > WIDEST:
        return False
    return isinstance(layer, tf_keras.layers.Dense) or tuple(layer.kernel_size) == (1, 1)


def most_useful(model: Any, name: str) -> int:
    """Return the highest rank at which two factors cost fewer multiplications than the kernel."""
    inputs, outputs = (int(n) for n in kernels.kernel_of(model.get_layer(name)).shape[-2:])
    return (inputs * outputs - 1) // (inputs + outputs)


def factorize(problem: Problem, step: LowRank, most: int) -> Factors | None:
    """Return the factors of the rank that ``step`` asks for, or None where no rank up to ``most`` serves.

    Parameters
    ----------
    problem
        Of one group: its kernel [1, d, m] and second moments.
    """
    moments = problem.moments
    kernel = problem.kernel[0].astype(np.float64)
    hessian = moments.hessian[0] / max(moments.rows, 1)
    variance = np.diagonal(hessian)
    ridge = np.diag(_RIDGE * (variance + 1e-6 * variance.mean() + 1e-20))
    # The map to imitate is the least-squares one on the inputs as they now are, leaning to the original's.
    wanted = np.linalg.solve(hessian + ridge, moments.cross[0] / max(moments.rows, 1) + ridge @ kernel)
    root = np.linalg.cholesky(hessian + ridge).T
    left, values, right = np.linalg.svd(root @ wanted, full_matrices=False)
    energy = np.cumsum(values**2) / max(float((values**2).sum()), 1e-30)
    if step.rank:
        rank = step.rank
    elif step.ratio:
        inputs, outputs = kernel.shape
        rank = int(step.ratio * inputs * outputs / (inputs + outputs))
    else:
        rank = int(np.searchsorted(energy, 1 - step.error)) + 1
    if not 1 <= rank <= min(most, len(values)):
        return None
    # The square root of each singular value goes to each side, so that both kernels have one scale for int8.
    share = np.sqrt(np.maximum(values[:rank], 1e-30))
    first = np.linalg.solve(root, left[:, :rank] * share)
    second = share[:, None] * right[:rank]
    bias = moments.bias((first @ second)[None])[0]
    return Factors(first.astype(np.float32), second.astype(np.float32), bias.astype(np.float32),
                   float(1 - energy[rank - 1]))


def with_factors(model: tf_keras.Model, splits: Mapping[str, Factors]) -> tf_keras.Model:
    """Return a copy of a flat functional model with ``<layer>_a`` put before each layer in ``splits``.

    The second part keeps the layer's name, activation, and bias if it had one.
    """
    taken = {layer.name for layer in model.layers}
    graph = Graph(model)
    inputs = [tf_keras.Input(t.shape[1:], batch_size=t.shape[0], dtype=t.dtype, name=t.node.layer.name)
              for t in model.inputs]
    values: dict[str, Any] = dict(zip(graph.inputs, inputs, strict=True))
    made: dict[str, Any] = {}
    for operation in graph.operations:
        layer = operation.layer
        if layer.name in splits:
            part, whole = _pair(layer, splits[layer.name], taken)
            values[operation.outputs[0]] = whole(part(values[operation.inputs[0]]))
            factors = splits[layer.name]
            part.set_weights([factors.first.reshape(part.kernel.shape)])
            second = factors.second.reshape(whole.kernel.shape)
            whole.set_weights([second, factors.bias] if layer.use_bias else [second])
            continue
        if layer.name not in made:
            made[layer.name] = type(layer).from_config(layer.get_config())
        arguments, keywords = operation.node.map_arguments(
            {name: [values[name]] * operation.inputs.count(name) for name in operation.inputs})
        results = made[layer.name](*arguments, **keywords)
        results = results if isinstance(results, (list, tuple)) else [results]
        values.update(zip(operation.outputs, results, strict=True))
    outputs = [values[name] for name in graph.outputs]
    twin = tf_keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0],
                          name=model.name)
    for name, new in made.items():
        new.set_weights(model.get_layer(name).get_weights())
        new.trainable = model.get_layer(name).trainable
    return twin


def _pair(layer: Any, factors: Factors, taken: set[str]) -> tuple[Any, Any]:
    """Return the two thin layers, not yet built."""
    config = layer.get_config()
    width = "units" if isinstance(layer, tf_keras.layers.Dense) else "filters"
    name = f"{layer.name}_a"
    while name in taken:
        name += "_"
    taken.add(name)
    first = {**config, "name": name, width: factors.first.shape[1], "use_bias": False, "activation": "linear"}
    second = {**config, **({"strides": (1, 1), "padding": "valid"} if width == "filters" else {})}
    return type(layer).from_config(first), type(layer).from_config(second)


def _findings(splits: Mapping[str, Factors], rows: list[dict[str, Any]]) -> tuple[Finding, ...]:
    whole = [row["layer"] for row in rows if row["layer"] not in splits]
    if not splits:
        return (Finding("nothing-factorized", N_("No layer gets cheaper at this target, so the model is as it was. "
                                                 "Allow more error, or a lower rank."), {}, "warning"),)
    if whole:
        return (Finding("layer-skipped", N_("{count} of {total} layers stay whole: at this target two thinner ones "
                                            "would cost more."), {"count": len(whole), "total": len(rows)}),)
    return ()
