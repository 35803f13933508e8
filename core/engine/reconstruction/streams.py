"""Run the same batches through one or several twin models, stopping at ever later places.

Activations are kept on disk at a few narrow places (checkpoints) and recomputed from there, so that neither memory nor
disk holds the wide middle of a network, and no stretch is computed more than a few times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from core.engine.reconstruction.graph import Graph, Tensors
from core.engine.reconstruction.spool import Spool
from core.errors import InputError
from core.locales import N_

Array = np.ndarray[Any, Any]


class Streams:
    """The activations of some graphs of one architecture at one position, batch by batch.

    Parameters
    ----------
    graphs
        Same operations in the same order; each has its own weights.
    calibration
        Batches of float32 inputs (one array, or a list for several inputs), read once.
    folder
        A sub-folder is made in it and removed at the end of the ``with`` block.
    reach
        After this many stops a checkpoint is kept even where the network is not narrow.
    check
        Called once per batch; may raise to stop.

    Raises
    ------
    InputError
        If there is no batch, or the graphs differ.
    StorageError
        If the disk refuses.
    """

    def __init__(
        self, graphs: Sequence[Graph], calibration: Iterable[Array], folder: Path, reach: int = 3,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        kinds = [[type(o.layer) for o in graph.operations] for graph in graphs]
        if any(other != kinds[0] for other in kinds):
            raise InputError(N_("The model and the one it is compared with have different layers, so they cannot "
                                "be followed side by side. Compare it with the model it came from."))
        self.graphs = list(graphs)
        self.sizes: list[int] = []
        self._check = check
        self._reach = reach
        self._position = 0
        self._stops: list[int] = []
        self._elements: dict[str, int] = {}
        self._spool = Spool(folder / f"activations-{uuid4().hex}")
        try:
            self._read(calibration)
        except BaseException:
            self._spool.close()
            raise

    def _read(self, calibration: Iterable[Array]) -> None:
        first = self.graphs[0]
        for number, batch in enumerate(calibration):
            self._check()
            parts = first.split(batch)
            if not self._elements:
                self._elements = first.elements(batch)
            self.sizes.append(len(parts[0]))
            for stream, graph in enumerate(self.graphs):
                for name, part in zip(graph.inputs, parts, strict=True):
                    self._spool.write(f"{stream}-{name}", number, np.asarray(part, np.float32))
        if not self.sizes:
            raise InputError(N_("There are no calibration images. Add some."))

    def __enter__(self) -> Streams:
        return self

    def __exit__(self, *details: object) -> None:
        self._spool.close()

    def at(self, stop: int) -> Iterator[list[Tensors]]:
        """Yield for each batch the tensors alive at position ``stop``, one dictionary per graph.

        Stops must not go back, and weights of operations before an earlier stop must not have changed since that
        stop, except for the operation there. The iterator must be run to its end.
        """
        checkpoint = self._next_checkpoint(stop)
        before = [set(graph.alive(self._position)) for graph in self.graphs]

        def values_of(number: int) -> list[Tensors]:
            self._check()
            values = []
            for stream, graph in enumerate(self.graphs):
                found = self._load(stream, number)
                if checkpoint != self._position:
                    found = graph.run(found, self._position, checkpoint)
                    for name in found.keys() - before[stream]:
                        self._spool.write(f"{stream}-{name}", number, found[name])
                values.append(graph.run(found, checkpoint, stop))
            return values

        # One batch ahead: reading and writing leave a core idle that the caller's sums can use.
        with ThreadPoolExecutor(1) as ahead:
            following = ahead.submit(values_of, 0)
            for number in range(len(self.sizes)):
                values = following.result()
                if number + 1 < len(self.sizes):
                    following = ahead.submit(values_of, number + 1)
                yield values
                del values
        for stream, graph in enumerate(self.graphs):
            for name in before[stream] - set(graph.alive(checkpoint)):
                self._spool.drop(f"{stream}-{name}")
        self._position = checkpoint
        self._stops = [s for s in (*self._stops, stop) if s >= checkpoint]

    def outputs(self, numbers: Iterable[int], stream: int = 0) -> Iterator[list[Array]]:
        """Yield the outputs of one graph for some batches, run on from the checkpoint with present weights."""
        graph = self.graphs[stream]
        for number in numbers:
            self._check()
            values = graph.run(self._load(stream, number), self._position, len(graph.operations))
            yield [np.asarray(values[name]) for name in graph.outputs]

    def _load(self, stream: int, number: int) -> Tensors:
        names = self.graphs[stream].alive(self._position)
        return {name: self._spool.read(f"{stream}-{name}", number) for name in names}

    def _next_checkpoint(self, stop: int) -> int:
        """Return the narrowest place up to ``stop``, or the present one when that is much narrower and near."""
        if stop == self._position:
            return stop
        graph = self.graphs[0]

        def width(position: int) -> int:
            return sum(self._elements[name] for name in graph.alive(position))

        best = min(range(self._position + 1, stop + 1), key=lambda p: (width(p), -p))
        far = sum(s < best for s in self._stops) >= self._reach
        return best if far or width(best) <= 2 * width(self._position) else self._position
