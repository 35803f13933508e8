"""A functional model as a list of operations that can be run piece by piece.

Keras runs a model from its inputs to its outputs only. Layer-wise compression needs more: the values at any point
in the middle, and a way to go on from there. ``Graph`` gives the operations in topological order, says which tensors
are alive between two of them, and runs any stretch on the tensors alive at its start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from core.errors import InputError
from core.locales import N_

Tensors = dict[str, Any]
"""Tensor identifier (of one graph) to its value, batch first."""


@dataclass(frozen=True)
class Operation:
    """One call of a layer.

    Attributes
    ----------
    index
        Position in topological order; ``inputs`` are made by operations before it.
    layer
        The Keras layer that is called.
    node
        Keras's record of the call, which knows the arguments besides tensors.
    inputs, outputs
        Identifiers of the tensors that it reads and makes.
    """

    index: int
    layer: Any
    node: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Call the layer on the values of its inputs; the structure of what it returns is kept."""
        arguments, keywords = self.node.map_arguments(
            {name: [values[name]] * self.inputs.count(name) for name in self.inputs}
        )
        return self.layer(*arguments, **keywords)


def require_functional(model: Any) -> None:
    """Refuse a model whose graph Keras does not record.

    Raises
    ------
    InputError
        If ``model`` is a subclassed model, or was never given an input shape.
    """
    if not getattr(model, "_is_graph_network", False):
        raise InputError(
            N_("The model '{model}' is not a functional model, so its layers cannot be walked. "
               "Rebuild it with the functional or sequential interface and a known input shape."),
            model=getattr(model, "name", "?"),
        )


def operations(model: Any) -> list[Operation]:
    """Return the calls of ``model``'s layers in topological order, inputs left out.

    Raises
    ------
    InputError
        See :func:`require_functional`.
    """
    require_functional(model)
    nodes = [
        node
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
        if not node.is_input
    ]
    return [
        Operation(index, node.layer, node, tuple(node.flat_input_ids), tuple(node.flat_output_ids))
        for index, node in enumerate(nodes)
    ]


class Graph:
    """The operations of one functional model, runnable from any position to any later one.

    Position ``p`` is the moment before operation ``p``: 0 is the input, ``len(graph.operations)`` the output.
    Weights are read when a stretch runs, so a kernel assigned in between takes effect.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.operations = operations(model)
        self.inputs = [str(id(tensor)) for tensor in model.inputs]
        self.outputs = [str(id(tensor)) for tensor in model.outputs]
        self._functions: dict[tuple[int, int], Any] = {}

    @cached_property
    def consumers(self) -> dict[str, list[Operation]]:
        """Tensor identifier to the operations that read it."""
        found: dict[str, list[Operation]] = {}
        for operation in self.operations:
            for name in dict.fromkeys(operation.inputs):
                found.setdefault(name, []).append(operation)
        return found

    def calls(self, layer: str) -> list[Operation]:
        """Return every call of the layer of that name; more than one if its weights are shared."""
        return [operation for operation in self.operations if operation.layer.name == layer]

    def alive(self, position: int) -> list[str]:
        """Return the tensors that exist at ``position`` and are read there or later, in the order of making."""
        made = self.inputs + [name for o in self.operations[:position] for name in o.outputs]
        wanted = {name for o in self.operations[position:] for name in o.inputs} | set(self.outputs)
        return [name for name in dict.fromkeys(made) if name in wanted]

    def run(self, values: Tensors, start: int, stop: int) -> Tensors:
        """Run operations ``start`` to ``stop - 1``.

        Parameters
        ----------
        values
            At least the tensors alive at ``start``, float32, batch first.

        Returns
        -------
        dict
            The tensors alive at ``stop``.
        """
        if start == stop:
            return {name: values[name] for name in self.alive(stop)}
        sources, results = self.alive(start), self.alive(stop)
        if (start, stop) not in self._functions:
            self._functions[start, stop] = self._compile(sources, results, start, stop)
        made = self._functions[start, stop](*(tf.convert_to_tensor(values[name]) for name in sources))
        return dict(zip(results, made, strict=True))

    def _compile(self, sources: list[str], results: list[str], start: int, stop: int) -> Any:
        def stretch(*tensors: Any) -> list[Any]:
            values: Tensors = dict(zip(sources, tensors, strict=True))
            for operation in self.operations[start:stop]:
                made = tf.nest.flatten(operation(values))
                values.update(zip(operation.outputs, made, strict=True))
            return [values[name] for name in results]

        return tf.function(stretch, reduce_retracing=True)

    def elements(self, batch: np.ndarray | list[np.ndarray]) -> dict[str, int]:
        """Return how many numbers each tensor holds per example, by running one example of ``batch``."""
        values: Tensors = dict(zip(self.inputs, self.split(batch), strict=True))
        values = {name: value[:1] for name, value in values.items()}
        counts = {name: int(np.prod(value.shape[1:])) for name, value in values.items()}
        for operation in self.operations:
            made = dict(zip(operation.outputs, tf.nest.flatten(operation(values)), strict=True))
            counts.update({name: int(np.prod(value.shape[1:])) for name, value in made.items()})
            values.update(made)
        return counts

    def split(self, batch: np.ndarray | list[np.ndarray]) -> list[np.ndarray]:
        """Return a batch as one array per model input."""
        return list(batch) if isinstance(batch, (list, tuple)) else [batch]


def copy_of(model: tf_keras.Model) -> tf_keras.Model:
    """Return a model of the same architecture and layer names with its own copy of the weights."""
    twin = tf_keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    return twin
