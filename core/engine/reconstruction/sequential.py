"""Walk a network layer by layer with two streams of activations: the reference's and the compressed model's.

For each chosen layer, in topological order, the walk hands out its problem: second moments of the inputs as the
*already compressed* layers before it make them, against the outputs that the *reference* has there. What the layer
gets in return takes effect for everything after it, so each layer also mends what the ones before it broke.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from core.engine.reconstruction import kernels
from core.engine.reconstruction.graph import Graph, Operation, Tensors
from core.engine.reconstruction.solvers import Problem
from core.engine.reconstruction.statistics import Accumulator
from core.engine.reconstruction.streams import Streams

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class WalkOptions:
    """How activations are sampled.

    Attributes
    ----------
    rows
        About how many rows (output positions of photos) the moments of a layer are made from.
    correction
        How much of the error on a residual branch the layer that is added to it is asked to undo, 0 to 1.
    unpooled
        Whether a layer behind a global average pooling is also fitted on the positions before it: what holds there
        holds for their mean, and there are as many rows as positions instead of one per photo.
    held_out
        How many of the last batches stay out of the moments, for views to be judged on.
    seed
        Of the choice of positions.
    """

    rows: int = 32000
    correction: float = 1.0
    unpooled: bool = True
    held_out: int = 0
    seed: int = 0


class LayerView:
    """One layer of the walk, ready to be solved; valid until the walk goes on.

    Attributes
    ----------
    name, layer
        The layer in the compressed model.
    problem
        What a :data:`core.engine.reconstruction.solvers.Solver` needs.
    """

    def __init__(self, walk: Walk, layer: Any, problem: Problem) -> None:
        self._walk = walk
        self.layer = layer
        self.name: str = layer.name
        self.problem = problem

    def replace(self, kernel: Array, bias: Array | None) -> None:
        """Give the layer a kernel [g, d, m] and, if it has one, a bias [g, m]; later layers will see them."""
        kernels.kernel_of(self.layer).assign(kernels.from_matrix(kernel, self.layer))
        if self.layer.use_bias and bias is not None:
            self.layer.bias.assign(bias.reshape(-1))

    def outputs(self) -> Iterator[list[Array]]:
        """Yield the model's outputs for each batch held out, with the layer's present weights."""
        return self._walk.streams.outputs(self._walk.judges)


class Walk:
    """A pass over chosen layers; use as a context manager and iterate once.

    Parameters
    ----------
    model
        Flat functional model (see ``fold``); its weights are changed in place through the views.
    reference
        Same architecture with the weights to be imitated, or None to imitate ``model`` as it is.
    calibration
        Batches of float32 inputs, read once.
    layers
        Names of the layers to visit; each a linear layer called once.
    folder
        Where activations may be kept.
    allowed
        Layer name to bool kernel mask in Keras's layout: False must stay zero.
    check
        Called once per batch; may raise to stop the walk.

    Raises
    ------
    InputError, StorageError
        See :class:`core.engine.reconstruction.streams.Streams`.
    """

    def __init__(
        self, model: Any, reference: Any | None, calibration: Iterable[Array], layers: Sequence[str],
        folder: Path, options: WalkOptions | None = None, allowed: Mapping[str, Array] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = options = options or WalkOptions()
        self._allowed = allowed or {}
        graphs = [Graph(model)] if reference is None else [Graph(model), Graph(reference)]
        self._graph, self._twin = graphs[0], graphs[-1]
        self._alone = reference is None
        self._chosen = sorted((self._graph.calls(name)[0] for name in layers), key=lambda o: o.index)
        self.streams = Streams(graphs, calibration, folder, check=check)
        batches = len(self.streams.sizes)
        self.judges = range(batches - min(options.held_out, batches - 1), batches)

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *details: object) -> None:
        self.streams.__exit__(*details)

    def __iter__(self) -> Iterator[LayerView]:
        """Yield each chosen layer's view in topological order."""
        generator = np.random.default_rng(self._options.seed)
        for operation in self._chosen:
            layer = operation.layer
            source = self._twin.operations[operation.index].layer
            matrix = kernels.to_matrix(kernels.kernel_of(source).numpy(), layer)
            bias = source.bias.numpy() if layer.use_bias else np.zeros(matrix.shape[0] * matrix.shape[2])
            offset = bias.reshape(matrix.shape[0], 1, matrix.shape[2]).astype(np.float32)
            sums = Accumulator(*matrix.shape)
            pooling = self._pooling_before(operation) if self._options.unpooled else None
            # Meanwhile TensorFlow computes the next batch on every core, and BLAS threads would wait for theirs.
            with threadpool_limits(1, "blas"):
                for number, values in enumerate(self.streams.at((pooling or operation).index)):
                    if number >= self.judges.start:
                        continue
                    if pooling is None:
                        self._add_rows(sums, operation, values, matrix, offset, generator)
                    else:
                        self._add_positions(sums, pooling, values, matrix, offset)
            allowed = self._allowed.get(layer.name)
            yield LayerView(self, layer, Problem(
                matrix, sums.moments(), None if allowed is None else kernels.to_matrix(allowed, layer)
            ))

    def _add_rows(
        self, sums: Accumulator, operation: Operation, values: list[Tensors], matrix: Array, offset: Array,
        generator: np.random.Generator,
    ) -> None:
        layer = operation.layer
        twin = self._twin.operations[operation.index]
        inputs = np.asarray(values[0][operation.inputs[0]])
        height, width = kernels.output_positions(layer, inputs.shape)
        photos = sum(self.streams.sizes[: self.judges.start])
        count = min(max(1, -(-self._options.rows // photos)), height * width)
        picked = np.stack([generator.choice(height * width, count, replace=False) for _ in inputs])
        rows, columns = picked // width, picked % width
        seen = original = kernels.patches(inputs, layer, rows, columns)
        if not self._alone:
            original = kernels.patches(np.asarray(values[-1][twin.inputs[0]]), layer, rows, columns)
        reference = targets = original @ matrix + offset
        gap = None if self._alone else self._residual_gap(operation, values, rows, columns)
        if gap is not None:
            gap = gap.reshape(-1, matrix.shape[0], matrix.shape[2]).transpose(1, 0, 2)
            targets = reference + self._options.correction * gap
        sums.add(seen, targets, reference)

    def _pooling_before(self, operation: Operation) -> Operation | None:
        """Return the global average pooling whose result alone a dense layer reads, if there is one."""
        makers = {name: o for o in self._graph.operations for name in o.outputs}
        maker = makers.get(operation.inputs[0])
        while maker is not None and isinstance(maker.layer, tf_keras.layers.Dropout):
            maker = makers.get(maker.inputs[0])
        average = tf_keras.layers.GlobalAveragePooling2D
        if maker is None or not isinstance(maker.layer, average) or maker.layer.data_format != "channels_last":
            return None
        return maker if isinstance(operation.layer, tf_keras.layers.Dense) else None

    def _add_positions(
        self, sums: Accumulator, pooling: Operation, values: list[Tensors], matrix: Array, offset: Array
    ) -> None:
        """Add each photo's mean, and with the same weight in all its positions."""
        twin = self._twin.operations[pooling.index]
        seen, original = (
            np.asarray(stream[o.inputs[0]]).reshape(len(stream[o.inputs[0]]), -1, matrix.shape[1])
            for stream, o in ((values[0], pooling), (values[-1], twin))
        )
        positions = seen.shape[1]
        for x, y, weight in ((seen.mean(1), original.mean(1), positions),
                             (seen.reshape(-1, matrix.shape[1]), original.reshape(-1, matrix.shape[1]), 1)):
            reference = y[None] @ matrix + offset
            sums.add(x[None], reference, reference, weight)

    def _residual_gap(
        self, operation: Operation, values: list[Tensors], rows: Array, columns: Array
    ) -> Array | None:
        """Return reference minus compressed on the branch that this layer's output is added to, at the positions.

        None unless the output goes to one addition and the other branch is known already.
        """
        output = operation.outputs[0]
        readers = self._graph.consumers.get(output, [])
        linear = operation.layer.activation is tf_keras.activations.linear
        if len(readers) != 1 or not linear or type(readers[0].layer) is not tf_keras.layers.Add:
            return None
        twin = self._twin.operations[readers[0].index]
        pairs = [p for p in zip(readers[0].inputs, twin.inputs, strict=True) if p[0] != output]
        each = np.arange(rows.shape[0])[:, None]
        gap: Array | None = None
        for here, there in pairs:
            if here not in values[0] or there not in values[-1]:
                return None
            mine, wanted = np.asarray(values[0][here]), np.asarray(values[-1][there])
            if isinstance(operation.layer, tf_keras.layers.Dense):
                mine, wanted = (a.reshape(a.shape[0], -1, 1, a.shape[-1]) for a in (mine, wanted))
            if mine.shape[1] <= rows.max() or mine.shape[2] <= columns.max():
                return None  # the addition broadcasts this branch
            difference = wanted[each, rows, columns] - mine[each, rows, columns]
            gap = difference if gap is None else gap + difference
        return gap
