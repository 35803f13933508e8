"""Walk a network layer by layer with two streams of activations: the reference's and the compressed model's.

For each chosen layer, in topological order, the walk hands out its problem: second moments of the inputs as the
*already compressed* layers before it make them, against the outputs that the *reference* has there. What the layer
gets in return takes effect for everything after it, so each layer also mends what the ones before it broke.

Activations are kept on disk at a few narrow places only and recomputed from there, in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import tf_keras

from core.engine.reconstruction import kernels
from core.engine.reconstruction.graph import Graph, Operation
from core.engine.reconstruction.solvers import Problem
from core.engine.reconstruction.spool import Spool
from core.engine.reconstruction.statistics import Accumulator

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class WalkOptions:
    """How activations are sampled and kept.

    Attributes
    ----------
    rows
        About how many rows (output positions of photos) the moments of a layer are made from.
    correction
        How much of the error on a residual branch the layer that is added to it is asked to undo, 0 to 1.
    reach
        A stretch with this many chosen layers is kept on disk even where it is not narrow.
    seed
        Of the choice of positions.
    """

    rows: int = 32000
    correction: float = 1.0
    reach: int = 3
    seed: int = 0


class LayerView:
    """One layer of the walk, ready to be solved; valid until the walk goes on."""

    def __init__(self, walk: Walk, operation: Operation, problem: Problem) -> None:
        self._walk = walk
        self._operation = operation
        self.layer = operation.layer
        self.name: str = operation.layer.name
        self.problem = problem

    def replace(self, kernel: Array, bias: Array | None) -> None:
        """Give the layer a kernel [g, d, m] and, if it has one, a bias [g, m]; later layers will see them."""
        kernels.kernel_of(self.layer).assign(kernels.from_matrix(kernel, self.layer))
        if self.layer.use_bias and bias is not None:
            self.layer.bias.assign(bias.reshape(-1))

    def outputs(self, batches: int) -> Iterator[list[Array]]:
        """Yield the model's outputs for the first ``batches`` batches with the layer's present weights."""
        return self._walk._from_checkpoint(batches)


class Walk:
    """The two streams and their place in the network.

    Parameters
    ----------
    model
        Flat functional model (see ``fold``); its weights are changed in place through the views.
    reference
        Same architecture and layer names with the weights to be imitated, or None to imitate ``model`` as it was.
    calibration
        Batches of float32 inputs, read once.
    layers
        Names of the layers to visit; each a linear layer called once.
    folder
        Where activations may be kept; a sub-folder is made and removed.
    allowed
        Layer name to bool kernel mask in Keras's layout: False must stay zero.
    check
        Called once per batch; may raise to stop the walk.

    Use as a context manager and iterate.
    """

    def __init__(
        self, model: Any, reference: Any | None, calibration: Iterable[Array], layers: Sequence[str],
        folder: Path, options: WalkOptions = WalkOptions(), allowed: dict[str, Array] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.options = options
        self.graph = Graph(model)
        self.reference = Graph(reference) if reference is not None else None
        self._allowed = allowed or {}
        self._check = check
        self._chosen = sorted((self.graph.calls(name)[0] for name in layers), key=lambda o: o.index)
        self._spool = Spool(folder / f"walk-{uuid4().hex}")
        self._position = 0
        self._sizes: list[int] = []
        self._elements: dict[str, int] = {}
        for number, batch in enumerate(calibration):
            parts = self.graph.split(batch)
            if not self._elements:
                self._elements = self.graph.elements(batch)
            self._sizes.append(len(parts[0]))
            for stream, graph in enumerate(self._streams):
                for name, part in zip(graph.inputs, parts, strict=True):
                    self._spool.write(f"{stream}-{name}", number, np.asarray(part, np.float32))

    @property
    def _streams(self) -> list[Graph]:
        """The compressed model's graph, then the reference's if it is another."""
        return [self.graph] if self.reference is None else [self.graph, self.reference]

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *details: object) -> None:
        self._spool.__exit__(*details)

    def __iter__(self) -> Iterator[LayerView]:
        """Yield each chosen layer's view in topological order."""
        generator = np.random.default_rng(self.options.seed)
        for number, operation in enumerate(self._chosen):
            behind = self._chosen[:number]
            problem = self._collect(operation, self._next_checkpoint(operation, behind), generator)
            yield LayerView(self, operation, problem)

    def _next_checkpoint(self, operation: Operation, behind: Sequence[Operation]) -> int:
        """Return where to keep activations next: a place as narrow as the present one, or the narrowest if far."""
        if operation.index == self._position:
            return self._position
        def width(position: int) -> int:
            return sum(self._elements[name] for name in self.graph.alive(position))

        best = min(range(self._position + 1, operation.index + 1), key=lambda p: (width(p), -p))
        passed = sum(self._position <= o.index < best for o in behind)
        far = passed >= self.options.reach
        return best if far or width(best) <= 2 * width(self._position) else self._position

    def _load(self, stream: int, graph: Graph, number: int) -> dict[str, Array]:
        return {
            name: self._spool.read(f"{stream}-{name}", number) for name in graph.alive(self._position)
        }

    def _collect(self, operation: Operation, checkpoint: int, generator: np.random.Generator) -> Problem:
        """Go through the batches once: move the checkpoint on, add the layer's rows up."""
        layer = operation.layer
        source = operation if self.reference is None else self.reference.operations[operation.index]
        matrix = kernels.to_matrix(kernels.kernel_of(source.layer).numpy(), layer)
        offset = source.layer.bias.numpy() if layer.use_bias else np.zeros(matrix.shape[0] * matrix.shape[2])
        offset = offset.reshape(matrix.shape[0], 1, matrix.shape[2]).astype(np.float32)
        sums = Accumulator(*matrix.shape)
        samples = max(1, -(-self.options.rows // max(sum(self._sizes), 1)))
        kept_before = [set(graph.alive(self._position)) for graph in self._streams]
        for number, size in enumerate(self._sizes):
            self._check()
            values = []
            for stream, graph in enumerate(self._streams):
                found = self._load(stream, graph, number)
                if checkpoint != self._position:
                    found = graph.run(found, self._position, checkpoint)
                    for name in found:
                        if name not in kept_before[stream]:
                            self._spool.write(f"{stream}-{name}", number, found[name])
                values.append(graph.run(found, checkpoint, operation.index))
            self._add_rows(sums, operation, values, matrix, offset, samples, size, generator)
        for stream, graph in enumerate(self._streams):
            for name in kept_before[stream] - set(graph.alive(checkpoint)):
                self._spool.drop(f"{stream}-{name}")
        self._position = checkpoint
        allowed = self._allowed.get(layer.name)
        return Problem(
            matrix, sums.moments(), None if allowed is None else kernels.to_matrix(allowed, layer)
        )

    def _add_rows(
        self, sums: Accumulator, operation: Operation, values: list[dict[str, Any]], matrix: Array,
        offset: Array, samples: int, size: int, generator: np.random.Generator,
    ) -> None:
        layer = operation.layer
        inputs = np.asarray(values[0][operation.inputs[0]])
        height, width = kernels.output_positions(layer, inputs.shape)
        count = min(samples, height * width)
        picked = np.stack([generator.choice(height * width, count, replace=False) for _ in range(size)])
        rows, columns = picked // width, picked % width
        seen = kernels.patches(inputs, layer, rows, columns)
        reference = seen
        if self.reference is not None:
            twin = self.reference.operations[operation.index]
            original = np.asarray(values[1][twin.inputs[0]])
            reference = kernels.patches(original, layer, rows, columns)
        wanted = reference @ matrix + offset
        targets = wanted
        if self.reference is not None and self.options.correction:
            gap = self._residual_gap(operation, values, rows, columns)
            if gap is not None:
                gap = gap.reshape(-1, matrix.shape[0], matrix.shape[2]).transpose(1, 0, 2)
                targets = wanted + self.options.correction * gap
        sums.add(seen, targets, wanted)

    def _residual_gap(
        self, operation: Operation, values: list[dict[str, Any]], rows: Array, columns: Array
    ) -> Array | None:
        """Return reference minus compressed on the branch that this layer's output is added to, at the positions.

        None unless the output goes to one addition and the other branch is known already.
        """
        assert self.reference is not None  # noqa: S101 - for the type checker; callers have checked
        readers = self.graph.consumers.get(operation.outputs[0], [])
        linear = operation.layer.activation is tf_keras.activations.linear
        if len(readers) != 1 or not linear or type(readers[0].layer) is not tf_keras.layers.Add:
            return None
        addition = readers[0]
        twin = self.reference.operations[addition.index]
        gap: Array | None = None
        each = np.arange(rows.shape[0])[:, None]
        for name, other in zip(addition.inputs, twin.inputs, strict=True):
            if name == operation.outputs[0]:
                continue
            if name not in values[0] or other not in values[1]:
                return None
            here, there = np.asarray(values[0][name]), np.asarray(values[1][other])
            if here.ndim != 4:
                here, there = (a.reshape(a.shape[0], -1, 1, a.shape[-1]) for a in (here, there))
            if here.shape[1] <= rows.max() or here.shape[2] <= columns.max():
                return None
            difference = there[each, rows, columns] - here[each, rows, columns]
            gap = difference if gap is None else gap + difference
        return gap

    def _from_checkpoint(self, batches: int) -> Iterator[list[Array]]:
        end = len(self.graph.operations)
        for number in range(min(batches, len(self._sizes))):
            self._check()
            values = self.graph.run(self._load(0, self.graph, number), self._position, end)
            yield [np.asarray(values[name]) for name in self.graph.outputs]
