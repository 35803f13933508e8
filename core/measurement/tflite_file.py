"""Read a ``.tflite`` without TensorFlow.

The bindings of the file's schema come with LiteRT. They check nothing, so everything taken from them
is checked here against the file's size before it is used. Only the main subgraph is read: image
classifiers have one.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from core.errors import InputError
from core.locales import N_
from core.measurement.graph import DAMAGE, Operator, Tensor, TfliteModel
from core.measurement.tensor_data import Level, Sparsity, item_bits

_TYPES: dict[int, str] = {
    value: name.lower() for name, value in vars(schema.TensorType).items() if name.isupper()
}
_OPERATORS: dict[int, str] = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
}
_MOST_ITEMS = 200_000


def read_tflite(path: Path) -> TfliteModel:
    """Read the ``.tflite`` file at ``path``; values are unpacked only when asked for.

    Raises
    ------
    InputError
        If the file cannot be read, is no ``.tflite``, or is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(N_("The file {file} cannot be read."), file=path.name) from error
    if len(content) < 16 or content[4:8] != b"TFL3":
        raise InputError(
            N_("{file} is not a .tflite file. Give the file that a converter wrote."),
            file=path.name,
        )
    try:
        return _parse(path, content)
    except DAMAGE as error:
        raise InputError(
            N_("{file} is damaged. Download or convert the model again."), file=path.name
        ) from error


def _parse(path: Path, content: bytes) -> TfliteModel:
    root = schema.Model.GetRootAs(content, 0)
    if root.SubgraphsLength() < 1:
        raise ValueError("no subgraph")
    graph = root.Subgraphs(0)
    for count in (graph.TensorsLength(), graph.OperatorsLength(), root.BuffersLength()):
        if not 0 < count < _MOST_ITEMS:
            raise ValueError("implausible count")
    names = [_operator_name(root.OperatorCodes(i)) for i in range(root.OperatorCodesLength())]
    tensors = tuple(
        _tensor(root, graph.Tensors(i), i, content) for i in range(graph.TensorsLength())
    )
    operators = tuple(
        _operator(graph.Operators(i), i, names, len(tensors))
        for i in range(graph.OperatorsLength())
    )
    inputs, outputs = _indices(graph.InputsAsNumpy()), _indices(graph.OutputsAsNumpy())
    for index in inputs + outputs:
        tensors[index]
    return TfliteModel(path, len(content), tensors, operators, inputs, outputs, content)


def _operator_name(code: Any) -> str:
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number == schema.BuiltinOperator.CUSTOM:
        return str((code.CustomCode() or b"CUSTOM").decode("utf-8", "replace"))
    return _OPERATORS[number]


def _indices(values: Any) -> tuple[int, ...]:
    return () if isinstance(values, int) else tuple(int(v) for v in values)


def _tensor(root: Any, raw: Any, index: int, content: bytes) -> Tensor:
    shape = _indices(raw.ShapeAsNumpy())
    if any(s < 0 for s in shape) or math.prod(shape) >= 2**40:
        raise ValueError("implausible shape")
    kind = _TYPES[raw.Type()]
    data = _buffer(root.Buffers(raw.Buffer()), content) if raw.Buffer() else None
    quantization = raw.Quantization()
    scale, zero_point, axis = np.empty(0, np.float32), np.empty(0, np.int64), 0
    if quantization is not None and quantization.ScaleLength():
        scale = np.array(quantization.ScaleAsNumpy(), np.float32)
        axis = int(quantization.QuantizedDimension())
        zero_point = np.zeros(scale.size, np.int64)
        if quantization.ZeroPointLength():
            zero_point = np.array(quantization.ZeroPointAsNumpy(), np.int64)
        if not (np.isfinite(scale).all() and scale.size in (1, *shape[axis : axis + 1])):
            raise ValueError("implausible scale")
        zero_point = np.broadcast_to(zero_point, scale.shape)
    sparsity = None
    if raw.Sparsity() is not None and data is not None:
        sparsity = _sparsity(raw.Sparsity())
    elif data is not None and kind in ("string", "resource", "variant"):
        data = None
    if data is not None and sparsity is None:
        bits = item_bits(kind)
        if len(data) * 8 < math.prod(shape) * bits:
            raise ValueError("fewer values than the shape")
    name = (raw.Name() or b"").decode("utf-8", "replace")
    return Tensor(index, name, shape, kind, scale, zero_point, axis, sparsity, data)


def _buffer(raw: Any, content: bytes) -> memoryview | None:
    if raw.Offset() > 1:
        start, size = raw.Offset(), raw.Size()
        if start + size > len(content):
            raise ValueError("buffer beyond the end of the file")
        return memoryview(content)[start : start + size]
    data = raw.DataAsNumpy()
    return None if isinstance(data, int) or data.size == 0 else memoryview(data).cast("B")


def _sparsity(raw: Any) -> Sparsity:
    dimensions: list[Level] = []
    for i in range(raw.DimMetadataLength()):
        dimension = raw.DimMetadata(i)
        if dimension.Format() == schema.DimensionType.DENSE:
            dimensions.append((int(dimension.DenseSize()), None, None))
            continue
        segments = _index_vector(dimension.ArraySegmentsType(), dimension.ArraySegments())
        indices = _index_vector(dimension.ArrayIndicesType(), dimension.ArrayIndices())
        dimensions.append((int(dimension.DenseSize()), segments, indices))
    return Sparsity(
        order=_indices(raw.TraversalOrderAsNumpy()),
        block_map=_indices(raw.BlockMapAsNumpy()),
        dimensions=tuple(dimensions),
    )


def _index_vector(kind: int, table: Any) -> npt.NDArray[Any]:
    reader = {
        schema.SparseIndexVector.Int32Vector: schema.Int32Vector,
        schema.SparseIndexVector.Uint16Vector: schema.Uint16Vector,
        schema.SparseIndexVector.Uint8Vector: schema.Uint8Vector,
    }[kind]()
    reader.Init(table.Bytes, table.Pos)
    values = reader.ValuesAsNumpy()
    return np.empty(0, np.int32) if isinstance(values, int) else np.asarray(values)


def _operator(raw: Any, index: int, names: list[str], tensors: int) -> Operator:
    inputs, outputs = _indices(raw.InputsAsNumpy()), _indices(raw.OutputsAsNumpy())
    if any(not -1 <= i < tensors for i in inputs) or any(not 0 <= i < tensors for i in outputs):
        raise ValueError("operator on a tensor that is not there")
    options: dict[str, Any] = {}
    if raw.BuiltinOptions() is not None:
        unpacked = schema.BuiltinOptionsCreator(raw.BuiltinOptionsType(), raw.BuiltinOptions())
        options = vars(unpacked) if unpacked is not None else {}
    return Operator(index, names[raw.OpcodeIndex()], inputs, outputs, options)
