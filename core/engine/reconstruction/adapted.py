"""A network made at home on other images, and what was learnt there brought back.

Batch norm remembers the mean and variance that every channel had on the images the network was trained with. On
pictures of another kind the same channels have others: some never vary, and a layer fitted to such inputs knows
nothing of what it will meet. With the statistics taken anew on the pictures at hand every normalized channel has
again the mean and spread that the training gave it (Li et al., "Revisiting Batch Normalization for Practical Domain
Adaptation", 2016, arXiv:1603.04779). A layer is compressed in that network; in the original it keeps the same kernel
before normalization, and the shift of its mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras

from core.engine.reconstruction.fold import flatten
from core.engine.reconstruction.graph import Graph, Operation
from core.engine.reconstruction.streams import Streams

Array = np.ndarray[Any, Any]
_FURTHEST = 4.0
"""The largest factor between a channel's spread on the pictures and in training that is believed."""


def batch_norms(model: Any) -> list[Operation]:
    """Return the calls of batch normalizations that are called once, in topological order."""
    graph = Graph(model)
    return [o for o in graph.operations
            if isinstance(o.layer, tf_keras.layers.BatchNormalization) and len(graph.calls(o.layer.name)) == 1]


def reestimate(
    model: Any, batches: Iterable[Array], folder: Path, check: Callable[[], None] = lambda: None,
    progress: Callable[[float], None] = lambda _: None, furthest: float = np.inf,
) -> dict[str, float]:
    """Set, in place, each batch norm's moving mean and variance to those of its input over all images.

    No spread changes by more than the factor ``furthest``; later norms are taken with that in place.

    Returns
    -------
    dict
        Layer name to how far its mean moved, root mean square in units of the old standard deviation.
    """
    moved: dict[str, float] = {}
    norms = batch_norms(model)
    if not norms:
        return moved
    with Streams([Graph(model)], batches, folder, check=check) as streams:
        for number, operation in enumerate(norms):
            progress(number / len(norms))
            layer = operation.layer
            count, total, squares = 0, 0.0, 0.0
            old_mean, old_variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
            for (values,) in streams.at(operation.index):
                array = np.asarray(values[operation.inputs[0]])
                axes = tuple(i for i in range(array.ndim) if i not in layer.axis)
                # Centred on the old mean, since a small variance far from zero drowns in rounding.
                centred = array - old_mean.reshape([-1 if i in layer.axis else 1 for i in range(array.ndim)])
                count += array.size // old_mean.size
                total = total + centred.sum(axes, dtype=np.float64)
                squares = squares + np.square(centred).sum(axes, dtype=np.float64)
            shift = np.asarray(total) / count
            layer.moving_mean.assign(old_mean + shift)
            variance = np.asarray(squares) / count - shift**2 + layer.epsilon
            old = old_variance.astype(np.float64) + layer.epsilon
            believed = np.clip(variance, old / furthest**2, old * furthest**2)
            layer.moving_variance.assign(np.maximum(believed - layer.epsilon, 0))
            moved[layer.name] = float(np.sqrt(np.mean(shift**2 / (old_variance + layer.epsilon))))
    return moved


@dataclass(frozen=True)
class _Norm:
    """One batch norm: scale and offset [channels], and mean and spread at home and on the pictures, float64."""

    gamma: Array
    beta: Array
    home: tuple[Array, Array]
    away: tuple[Array, Array]


class Adaptation:
    """What the pictures at hand make of the batch norms of a model, and the way there and back for its relatives.

    Parameters
    ----------
    original
        Functional model; it stays as it is.
    absorbed
        What folding it absorbs, see :class:`core.engine.reconstruction.fold.Folded`.
    batches
        Prepared images, float32 [n, h, w, c] each, read once.
    folder
        For activations on disk.
    check, progress
        Called often: may raise to stop; fraction done.

    Raises
    ------
    InputError
        If the model is not functional, or there are no images.
    StorageError
        If activations cannot be written to the folder.
    """

    def __init__(
        self, original: Any, absorbed: Mapping[str, str], batches: Iterable[Array], folder: Path,
        check: Callable[[], None] = lambda: None, progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        flat = flatten(original)
        layers = {o.layer.name: o.layer for o in batch_norms(flat)}
        home = {name: _moments(layer) for name, layer in layers.items()}
        reestimate(flat, batches, folder, check, progress, _FURTHEST)
        self._norms: dict[str, _Norm] = {}
        for name, layer in layers.items():
            ones = np.ones(layer.moving_mean.shape)
            self._norms[name] = _Norm(
                np.asarray(layer.gamma, np.float64) if layer.scale else ones,
                np.asarray(layer.beta, np.float64) if layer.center else 0 * ones, home[name], _moments(layer))
        self._absorbed = absorbed

    def away(self, folded: Any) -> None:
        """Give a folded relative of the original, in place, the batch norms that it has on the pictures."""
        self._move(folded, lambda norm: (norm.home, norm.away))

    def home(self, folded: Any) -> None:
        """Undo :meth:`away`; what was done to the layers in between stays done."""
        self._move(folded, lambda norm: (norm.away, norm.home))

    def _move(self, folded: Any, way: Callable[[_Norm], tuple[tuple[Array, Array], tuple[Array, Array]]]) -> None:
        inside = set(self._absorbed.values())
        for layer in folded.layers:
            if isinstance(layer, tf_keras.layers.BatchNormalization) and layer.name in self._norms:
                if layer.name in inside:
                    continue
                (mean, spread), (new_mean, new_spread) = way(self._norms[layer.name])
                own, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance) + layer.epsilon
                layer.moving_mean.assign(own + new_mean - mean)
                layer.moving_variance.assign(np.maximum(variance * (new_spread / spread) ** 2 - layer.epsilon, 0))
            elif self._absorbed.get(layer.name) in self._norms:
                norm = self._norms[self._absorbed[layer.name]]
                (mean, spread), (new_mean, new_spread) = way(norm)
                kernel, bias = layer.get_weights()
                shift = (norm.beta - bias) * spread + norm.gamma * (new_mean - mean)
                layer.set_weights([(kernel * (spread / new_spread).reshape(_outputs(kernel, layer))).astype(np.float32),
                                   (norm.beta - shift / new_spread).astype(np.float32)])


def _moments(norm: Any) -> tuple[Array, Array]:
    """Return mean and spread of a batch norm, float64 [channels]."""
    return (np.asarray(norm.moving_mean, np.float64),
            np.sqrt(np.asarray(norm.moving_variance, np.float64) + norm.epsilon))


def _outputs(kernel: Array, layer: Any) -> tuple[int, ...]:
    """Return the axes of a kernel that its outputs have: a depthwise one has channel and multiplier last."""
    depthwise = isinstance(layer, tf_keras.layers.DepthwiseConv2D)
    return tuple(kernel.shape[2:] if depthwise else kernel.shape[-1:])
