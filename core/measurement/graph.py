"""A ``.tflite`` as plain objects: tensors with their values, operators, and which constants weigh."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import InputError
from core.locales import N_
from core.measurement.tensor_data import Array, Sparsity, densify, unpack

FLOATS = frozenset({"float16", "float32", "float64", "bfloat16"})
WEIGHT_INPUT = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 1,
    "FULLY_CONNECTED": 1,
    "TRANSPOSE_CONV": 1,
    "CONV_3D": 1,
    "BATCH_MATMUL": 1,
}
BIAS_INPUT = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
# How TensorFlow ends the names of weighted operations; digits that make them unique may follow.
_OPERATIONS = ("Conv2D", "depthwise", "MatMul", "conv2d_transpose", "Tensordot")
Content = bytes
_PASSES_ON = frozenset({"DEQUANTIZE", "DENSIFY"})
# What reading a damaged file raises before any check of ours sees the value.
DAMAGE = (
    struct.error, IndexError, ValueError, TypeError, AttributeError, KeyError, OverflowError,
)


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor: ``scale`` float32 and ``zero_point`` int64 are empty where it is not quantized."""

    index: int
    name: str
    shape: tuple[int, ...]
    type: str
    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.int64]
    axis: int
    sparsity: Sparsity | None
    data: memoryview | None = field(repr=False)

    @property
    def constant(self) -> bool:
        """True when the file holds the values."""
        return self.data is not None

    @property
    def size(self) -> int:
        """Number of elements, zeros that a sparse encoding leaves out included."""
        return math.prod(self.shape)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the values in the file; for a sparse tensor the index arrays too."""
        index = 0 if self.sparsity is None else self.sparsity.index_bytes
        return index + (0 if self.data is None else len(self.data))

    @cached_property
    def values(self) -> Array:
        """The stored values in the tensor's shape: int4 and int2 as int8, sparse ones densified.

        Raises
        ------
        InputError
            If the file holds no values, or not as many as the shape asks for.
        """
        if self.data is None:
            raise InputError(N_("Tensor '{name}' has no values in the file."), name=self.name)
        try:
            if self.sparsity is not None:
                return densify(self.data, self.type, self.shape, self.sparsity)
            return unpack(self.data, self.type, self.size).reshape(self.shape)
        except DAMAGE as error:
            raise InputError(
                N_("The values of tensor '{name}' are damaged. Convert the model again."),
                name=self.name,
            ) from error

    @cached_property
    def zero(self) -> npt.NDArray[np.int64]:
        """The stored value that stands for zero, shaped to broadcast over ``values``."""
        if self.scale.size == 0 or self.zero_point.size == 0:
            return np.zeros((), np.int64)
        return self._along_axis(self.zero_point)

    def real(self) -> npt.NDArray[np.float32]:
        """Return the values that the file stands for: ``scale * (stored - zero point)``, float32."""
        if self.scale.size == 0:
            return self.values.astype(np.float32)
        steps = self.values.astype(np.float32) - self.zero.astype(np.float32)
        return np.asarray(steps * self._along_axis(self.scale), np.float32)

    def nonzero(self) -> int:
        """Return how many values stand for something else than zero."""
        return int(np.count_nonzero(self.values != self.zero.astype(self.values.dtype)))

    def _along_axis(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if values.size == 1 or not self.shape:
            return values.reshape(-1)[:1].reshape(())
        shape = [1] * len(self.shape)
        shape[self.axis] = values.size
        return values.reshape(shape)


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator; inputs and outputs are indices of tensors, -1 for an optional one left out."""

    index: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Weight:
    """The constant weights of one operator, traced through DEQUANTIZE and DENSIFY.

    ``name`` is the name of the operator's output, into which converters write the original layers.
    """

    name: str
    operator: Operator
    tensor: Tensor
    bias: Tensor | None

    @property
    def layer(self) -> str:
        """The original layer's name where it shows: "stem" of "net/stem_bn/Norm;net/stem/Conv2D1".

        Fused names list what was fused; the part that ends in the weighted operation is the one.
        """
        parts = [part.split("/") for part in f"{self.tensor.name};{self.name}".split(";")]
        for part in parts:
            if len(part) > 1 and part[-1].startswith(_OPERATIONS):
                return part[-2]
        last = self.name.split(";")[0].split("/")
        return last[-2] if len(last) > 1 else last[0]

    def is_of(self, layer: str) -> bool:
        """Tell whether ``layer`` is a component of the names that the file gives to this weight."""
        names = f"{self.name};{self.tensor.name}".replace(";", "/").split("/")
        return layer in names or layer in (self.name, self.tensor.name)


@dataclass(frozen=True, eq=False)
class TfliteModel:
    """The main subgraph of a ``.tflite`` file of ``bytes`` bytes."""

    path: Path
    bytes: int
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    content: Content = field(repr=False)

    @cached_property
    def producers(self) -> dict[int, Operator]:
        """The operator that makes each tensor that an operator makes."""
        return {output: operator for operator in self.operators for output in operator.outputs}

    @cached_property
    def consumers(self) -> dict[int, list[Operator]]:
        """The operators that read each tensor."""
        found: dict[int, list[Operator]] = {}
        for operator in self.operators:
            for index in operator.inputs:
                found.setdefault(index, []).append(operator)
        return found

    def constant_behind(self, index: int) -> Tensor | None:
        """Return the constant that tensor ``index`` is, or is a dequantized or densified form of."""
        for _ in range(4):
            if index < 0:
                return None
            if self.tensors[index].constant:
                return self.tensors[index]
            maker = self.producers.get(index)
            if maker is None or maker.name not in _PASSES_ON or not maker.inputs:
                return None
            index = maker.inputs[0]
        return None

    @cached_property
    def weights(self) -> tuple[Weight, ...]:
        """The weights of convolutions, dense layers and their kin, in the order of the graph."""
        found = []
        for operator in self.operators:
            place = WEIGHT_INPUT.get(operator.name)
            if place is None or len(operator.inputs) <= place or not operator.outputs:
                continue
            tensor = self.constant_behind(operator.inputs[place])
            if tensor is None:
                continue
            bias, at = None, BIAS_INPUT.get(operator.name, 99)
            if len(operator.inputs) > at:
                bias = self.constant_behind(operator.inputs[at])
            name = self.tensors[operator.outputs[0]].name
            found.append(Weight(name=name, operator=operator, tensor=tensor, bias=bias))
        return tuple(found)

    def without_parameters(self) -> Content:
        """Return the file's bytes with the values of ``parameters`` cut out: graph, names, scales."""
        start = np.frombuffer(self.content, np.uint8).ctypes.data
        kept, end = [], 0
        spans = sorted(
            (np.frombuffer(t.data, np.uint8).ctypes.data - start, len(t.data))
            for t in self.parameters
            if t.data is not None
        )
        for offset, length in spans:
            kept.append(self.content[end : max(end, offset)])
            end = max(end, offset + length)
        return b"".join([*kept, self.content[end:]])

    @cached_property
    def parameters(self) -> tuple[Tensor, ...]:
        """Every constant of floats or of quantized values: weights, biases, folded norms.

        Shapes, axes and paddings (plain integers) are not parameters.
        """
        used = {i for operator in self.operators for i in operator.inputs if i >= 0}
        return tuple(
            t
            for t in self.tensors
            if t.index in used and t.constant and (t.type in FLOATS or t.scale.size)
        )
