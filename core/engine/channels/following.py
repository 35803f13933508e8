"""How each kind of layer passes channels on from its inputs to its outputs.

A channel is an index of a tensor's last axis. Every channel carries a label; channels that can only be removed together
have their labels united. The idea of a dependency graph is from Fang et al., "DepGraph: Towards Any Structural
Pruning" (CVPR 2023, arXiv:2301.12900); working on labels of single channels instead of whole layers makes
concatenation, flattening and depth multipliers need no special case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from core.engine.reconstruction.graph import Operation

_L = tf_keras.layers
Labels = np.ndarray[Any, np.dtype[np.int64]]

LINEAR = (_L.Dense, _L.Conv1D, _L.Conv2D, _L.Conv3D, _L.Conv2DTranspose, _L.SeparableConv2D, _L.SeparableConv1D)
"""Layers that make new channels out of all of their input's."""

_MERGES = (_L.Add, _L.Subtract, _L.Multiply, _L.Average, _L.Maximum, _L.Minimum)
_SAME = (
    _L.ReLU, _L.LeakyReLU, _L.ELU, _L.ThresholdedReLU, _L.Dropout, _L.SpatialDropout1D, _L.SpatialDropout2D,
    _L.GaussianNoise, _L.GaussianDropout, _L.ActivityRegularization, _L.InputLayer,
    _L.MaxPooling1D, _L.MaxPooling2D, _L.AveragePooling1D, _L.AveragePooling2D, _L.GlobalAveragePooling1D,
    _L.GlobalAveragePooling2D, _L.GlobalMaxPooling1D, _L.GlobalMaxPooling2D, _L.ZeroPadding1D, _L.ZeroPadding2D,
    _L.Cropping1D, _L.Cropping2D, _L.UpSampling1D, _L.UpSampling2D, _L.Resizing,
)
_ELEMENTWISE = frozenset((
    "linear", "relu", "relu6", "sigmoid", "hard_sigmoid", "tanh", "swish", "silu", "gelu", "mish", "elu", "selu",
    "softplus", "softsign", "exponential", "leaky_relu",
))
_FUNCTIONS = frozenset((
    "__operators__.add", "math.add", "math.subtract", "math.multiply", "math.truediv", "math.divide", "math.maximum",
    "math.minimum", "nn.relu", "nn.relu6", "nn.silu", "nn.swish", "nn.gelu", "nn.elu", "nn.leaky_relu", "nn.sigmoid",
    "math.sigmoid", "nn.tanh", "math.tanh", "math.abs", "identity", "clip_by_value", "math.negative",
))


class UnfollowedError(Exception):
    """A layer whose channels cannot be followed; its inputs and outputs keep all theirs."""


class Tracker:
    """Labels of channels, united where channels go together (union-find) and locked where they must stay."""

    def __init__(self) -> None:
        self._parent: list[int] = [0]
        self.at_layer: dict[tuple[str, str], Labels] = {}

    LOCKED = 0

    def fresh(self, count: int) -> Labels:
        """Return new labels [count]."""
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        return np.arange(start, start + count)

    def root(self, label: int) -> int:
        """Return the label that stands for all that are united with ``label``."""
        while self._parent[label] != label:
            self._parent[label] = self._parent[self._parent[label]]
            label = self._parent[label]
        return label

    def unite(self, one: Labels, other: Labels) -> None:
        """Make the channels of two label arrays of equal length go together, pair by pair."""
        if len(one) != len(other):
            raise UnfollowedError
        for a, b in zip(one, other, strict=True):
            first, second = sorted((self.root(int(a)), self.root(int(b))))
            self._parent[second] = first

    def lock(self, labels: Labels) -> None:
        """Make channels stay."""
        self.unite(labels, np.zeros(len(labels), np.int64))

    def locked(self, count: int) -> Labels:
        """Return labels of channels that stay."""
        return np.zeros(count, np.int64)

    def remember(self, layer: str, slot: str, labels: Labels) -> Labels:
        """Tie what a layer's weights meet in one call to what they meet in the others; return the first labels."""
        known = self.at_layer.setdefault((layer, slot), labels)
        if known is not labels:
            self.unite(known, labels)
        return known


@dataclass(frozen=True)
class Call:
    """One call of a layer to be followed.

    Attributes
    ----------
    operation
        The call.
    labels
        Of the last axis of each input.
    given, made
        Shapes of inputs and outputs, batch first.
    tracker
        Where labels are united and locked.
    """

    operation: Operation
    labels: Sequence[Labels]
    given: Sequence[tuple[int | None, ...]]
    made: Sequence[tuple[int | None, ...]]
    tracker: Tracker

    @property
    def layer(self) -> Any:
        """Return the layer that is called."""
        return self.operation.layer


def follow(call: Call) -> list[Labels]:
    """Return the labels of a call's outputs.

    Raises
    ------
    UnfollowedError
        If this room does not know what the layer does with channels.
    """
    if getattr(call.layer, "data_format", "channels_last") != "channels_last":
        raise UnfollowedError
    for types, rule in _RULES:
        if type(call.layer) in types:
            return [rule(call)]
    raise UnfollowedError


def is_depthwise(layer: Any) -> bool:
    """Whether each output channel is made from one input channel."""
    if isinstance(layer, _L.DepthwiseConv2D):
        return True
    groups = int(getattr(layer, "groups", 1))
    return groups > 1 and isinstance(layer, _L.Conv2D) and int(layer.kernel.shape[-2]) == 1


def elementwise(activation: Any) -> bool:
    """Whether an activation acts on every number alone."""
    return getattr(activation, "__name__", "") in _ELEMENTWISE


def _linear(call: Call) -> Labels:
    layer, tracker = call.layer, call.tracker
    source = call.labels[0]
    tracker.remember(layer.name, "in", source)
    count = int(call.made[0][-1] or 0)
    if is_depthwise(layer):
        out = np.repeat(source, count // len(source))
        tracker.remember(layer.name, "out", out)
    else:
        known = tracker.at_layer.get((layer.name, "out"))
        out = tracker.remember(layer.name, "out", tracker.fresh(count) if known is None else known)
        groups = int(getattr(layer, "groups", 1))
        if groups > 1:  # every group must keep as many channels as the others: position by position
            for part in (source, out):
                table = part.reshape(groups, -1)
                for row in table[1:]:
                    tracker.unite(table[0], row)
    if not elementwise(getattr(layer, "activation", tf_keras.activations.linear)):
        tracker.lock(out)
    return out


def _weighted(call: Call) -> Labels:
    """Follow batch norm and PReLU: channel by channel, with weights for each."""
    layer = call.layer
    if isinstance(layer, _L.BatchNormalization) and list(layer.axis) != [len(call.given[0]) - 1]:
        raise UnfollowedError
    call.tracker.remember(layer.name, "in", call.labels[0])
    return call.labels[0]


def _same(call: Call) -> Labels:
    if len(call.labels) != 1:
        raise UnfollowedError
    return call.labels[0]


def _activation(call: Call) -> Labels:
    if not elementwise(call.layer.activation):
        raise UnfollowedError
    return call.labels[0]


def _rescaling(call: Call) -> Labels:
    if np.ndim(call.layer.scale) or np.ndim(call.layer.offset):
        raise UnfollowedError
    return call.labels[0]


def _normalization(call: Call) -> Labels:
    """Follow a normalization by fixed statistics where it usually stands: near the inputs, where all channels stay."""
    if any(call.tracker.root(int(label)) != Tracker.LOCKED for label in call.labels[0]):
        raise UnfollowedError
    return call.labels[0]


def _merge(call: Call) -> Labels:
    if len({len(shape) for shape in call.given}) != 1:
        raise UnfollowedError
    widest = max(call.labels, key=len)
    for part in call.labels:
        if len(part) == 1 < len(widest):
            call.tracker.lock(part)  # one channel spread over many: it is needed as long as any of them is
        else:
            call.tracker.unite(widest, part)
    return widest


def _concatenate(call: Call) -> Labels:
    if call.layer.axis in (-1, len(call.made[0]) - 1):
        return np.concatenate(call.labels)
    for part in call.labels[1:]:
        call.tracker.unite(call.labels[0], part)
    return call.labels[0]


def _reshape(call: Call) -> Labels:
    before, after = call.given[0][1:], call.made[0][1:]
    if None in before or None in after:
        raise UnfollowedError
    table = np.broadcast_to(call.labels[0], [int(n or 0) for n in before])
    rows = table.reshape(-1, int(after[-1] or 0))
    if not (rows == rows[0]).all():
        raise UnfollowedError  # channels end up in another axis
    return np.array(rows[0])


def _function(call: Call) -> Labels:
    """Follow an arithmetic function on tensors and plain numbers."""
    name = call.layer.get_config().get("function", "")
    constants = [value for value in tf.nest.flatten((call.operation.node.call_args, call.operation.node.call_kwargs))
                 if not hasattr(value, "node")]
    if name not in _FUNCTIONS or any(np.ndim(value) for value in constants):
        raise UnfollowedError
    if len(call.labels) == 1:
        return call.labels[0]
    return _merge(call)


Rule = Callable[[Call], Labels]
_RULES: tuple[tuple[tuple[Any, ...], Rule], ...] = (
    ((*LINEAR, _L.DepthwiseConv2D), _linear),
    ((_L.BatchNormalization, _L.PReLU), _weighted),
    (_SAME, _same),
    ((_L.Activation,), _activation),
    ((_L.Rescaling,), _rescaling),
    ((_L.Normalization,), _normalization),
    (_MERGES, _merge),
    ((_L.Concatenate,), _concatenate),
    ((_L.Flatten, _L.Reshape), _reshape),
    ((tf_keras.src.layers.core.tf_op_layer.TFOpLambda,), _function),
)
