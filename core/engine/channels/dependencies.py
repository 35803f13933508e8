"""The channels of a whole model, sorted into units that can only be removed together, and groups of like units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from core.engine.channels.following import Call, Labels, Tracker, UnfollowedError, follow, is_depthwise
from core.engine.reconstruction.graph import Graph, Operation

STAYS = -1
"""The unit of channels that cannot be removed."""


@dataclass(frozen=True)
class Map:
    """One call of a convolution or dense layer: what it costs and which units it reads and makes.

    Attributes
    ----------
    layer
        The layer's name.
    positions
        Output positions times the kernel's size, over which every pair of channels costs one multiply-accumulate.
    kernel
        The kernel's size alone, over which every pair of channels holds one weight.
    groups
        Independent groups of channels.
    depthwise
        Whether each output is made from one input.
    reads, makes
        The unit of each input and output channel; ``STAYS`` where it cannot be removed.
    """

    layer: str
    positions: int
    kernel: int
    groups: int
    depthwise: bool
    reads: Labels
    makes: Labels


@dataclass(frozen=True)
class Group:
    """Units that the same layers read and make, and that cost the same.

    Attributes
    ----------
    name
        The layer that makes them first.
    units
        Their numbers, ascending.
    """

    name: str
    units: Labels


@dataclass(frozen=True)
class Dependencies:
    """What can be removed from a model.

    Attributes
    ----------
    graph
        Of the model that was traced.
    channels
        Tensor identifier to the unit of each channel.
    at_layer
        (layer, "in" or "out") to the unit of each channel that its weights meet.
    count
        Number of units; they are numbered from 0.
    maps
        In topological order.
    groups
        In the order in which they are made.
    unfollowed
        Layers whose channels could not be followed, so that all around them stay.
    """

    graph: Graph
    channels: dict[str, Labels]
    at_layer: dict[tuple[str, str], Labels]
    count: int
    maps: tuple[Map, ...]
    groups: tuple[Group, ...]
    unfollowed: tuple[str, ...]

    def keep(self, removed: Iterable[int]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return [count + 1] bool to be indexed with units: false for the removed ones, true for ``STAYS``."""
        kept = np.ones(self.count + 1, bool)
        kept[list(removed)] = False
        return kept

    def readers(self) -> list[Map]:
        """Return the maps that mix removable channels, where the damage of removing them shows."""
        return [m for m in self.maps if not m.depthwise and (m.reads != STAYS).any()]


def trace(model: Any) -> Dependencies:
    """Follow every channel of a flat functional model from its inputs to its outputs.

    Raises
    ------
    InputError
        If the model is not functional.
    """
    graph, tracker = Graph(model), Tracker()
    shapes = {str(id(tensor)): tuple(tensor.shape) for tensor in model.inputs}
    labels = {name: tracker.locked(_width(shape)) for name, shape in shapes.items()}
    unfollowed: list[str] = []
    for operation in graph.operations:
        for tensor, name in zip(tf.nest.flatten(operation.node.outputs), operation.outputs, strict=True):
            shapes[name] = tuple(tensor.shape)
        given, made = ([shapes[name] for name in names] for names in (operation.inputs, operation.outputs))
        before = [labels[name] for name in operation.inputs]
        try:
            after = follow(Call(operation, before, given, made, tracker))
            if [len(a) for a in after] != [_width(shape) for shape in made]:
                raise UnfollowedError
        except UnfollowedError:
            lost = bool(operation.layer.weights) or any(tracker.root(int(x)) for part in before for x in part)
            if lost and not _harmless(operation, graph):
                unfollowed.append(operation.layer.name)
            for part in before:
                tracker.lock(part)
            after = [tracker.locked(_width(shape)) for shape in made]
        labels.update(zip(operation.outputs, after, strict=True))
    for name in graph.outputs:
        tracker.lock(labels[name])
    return _resolved(graph, tracker, labels, shapes, unfollowed)


def _harmless(operation: Operation, graph: Graph) -> bool:
    """Whether nothing is lost by not following an operation: it stands at the model's inputs or outputs."""
    return any(name in graph.outputs for name in operation.outputs) or set(operation.inputs) <= set(graph.inputs)


def _width(shape: tuple[int | None, ...]) -> int:
    return int(shape[-1] or 0) if len(shape) > 1 else 0


def _resolved(
    graph: Graph, tracker: Tracker, labels: dict[str, Labels], shapes: dict[str, tuple[int | None, ...]],
    unfollowed: list[str],
) -> Dependencies:
    """Number the units in the order in which they are made."""
    numbers: dict[int, int] = {Tracker.LOCKED: STAYS}

    def units(part: Labels) -> Labels:
        roots = [tracker.root(int(x)) for x in part]
        return np.array([numbers.setdefault(r, len(numbers) - 1) for r in roots], np.int64)

    maps, channels = [], {}
    for operation in graph.operations:
        layer = operation.layer
        for name in operation.outputs:
            channels[name] = units(labels[name])
        if layer.name in unfollowed or (layer.name, "out") not in tracker.at_layer:
            continue
        source = operation.inputs[0]
        if source not in channels:
            channels[source] = units(labels[source])
        kernel = int(np.prod(getattr(layer, "kernel_size", 1)))
        maps.append(Map(layer.name, _positions(shapes[operation.outputs[0]]) * kernel, kernel,
                        int(getattr(layer, "groups", 1)), is_depthwise(layer), channels[source],
                        channels[operation.outputs[0]]))
    for name in graph.inputs:
        channels[name] = units(labels[name])
    at_layer = {key: units(part) for key, part in tracker.at_layer.items()}
    found = Dependencies(graph, channels, at_layer, len(numbers) - 1, tuple(maps), (), tuple(unfollowed))
    return Dependencies(graph, channels, at_layer, found.count, found.maps, _groups(found), found.unfollowed)


def _positions(made: tuple[int | None, ...]) -> int:
    """Return output positions; inputs of unknown size count as one."""
    return int(np.prod([n or 1 for n in made[1:-1]]))


def _groups(found: Dependencies) -> tuple[Group, ...]:
    signatures: dict[int, list[tuple[int, str, int]]] = defaultdict(list)
    for number, one in enumerate(found.maps):
        for role, part in (("reads", one.reads), ("makes", one.makes)):
            for unit, times in zip(*np.unique(part, return_counts=True), strict=True):
                signatures[int(unit)].append((number, role, int(times)))
    members: dict[tuple[tuple[int, str, int], ...], list[int]] = defaultdict(list)
    for unit, signature in signatures.items():
        if unit != STAYS and any(role == "makes" for _, role, _ in signature):
            members[tuple(signature)].append(unit)
    groups = []
    for key, units in members.items():
        first = next(number for number, role, _ in key if role == "makes")
        groups.append((first, Group(found.maps[first].layer, np.sort(np.array(units, np.int64)))))
    return tuple(group for _, group in sorted(groups, key=lambda pair: (pair[0], int(pair[1].units[0]))))

