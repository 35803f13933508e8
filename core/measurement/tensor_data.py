"""The bytes of a tensor as an array: packed small integers and TFLite's sparse encoding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Level = tuple[int, Array | None, Array | None]

_PACKED = {"int4": (4, True), "uint4": (4, False), "int2": (2, True)}
_DTYPES = {
    "float32": np.float32, "float16": np.float16, "float64": np.float64,
    "int8": np.int8, "uint8": np.uint8, "int16": np.int16, "uint16": np.uint16,
    "int32": np.int32, "uint32": np.uint32, "int64": np.int64, "uint64": np.uint64,
    "bool": np.bool_, "complex64": np.complex64, "complex128": np.complex128,
}


@dataclass(frozen=True, eq=False)
class Sparsity:
    """A sparse encoding: levels in the order of traversal, blocks last.

    Each level is (dense size, None, None) or (0, segments, indices) of a compressed row.
    """

    order: tuple[int, ...]
    block_map: tuple[int, ...]
    dimensions: tuple[Level, ...]

    @property
    def index_bytes(self) -> int:
        """Bytes of the segments and indices as stored."""
        return sum(
            array.nbytes for _, *arrays in self.dimensions for array in arrays if array is not None
        )


def item_bits(kind: str) -> int:
    """Return the bits of one element of TFLite type ``kind``; 16 for bfloat16, 8 for unknown ones."""
    if kind in _PACKED:
        return _PACKED[kind][0]
    if kind in _DTYPES:
        return int(np.dtype(_DTYPES[kind]).itemsize) * 8
    return 16 if kind == "bfloat16" else 8


def unpack(data: memoryview, kind: str, size: int) -> Array:
    """Return ``size`` elements of ``data``; 2 and 4 bit ones as (u)int8, bfloat16 as float32.

    Small integers are packed with the first one in the lowest bits.

    Raises
    ------
    ValueError, KeyError
        If there are too few bytes, or the type has no array form.
    """
    if kind in _PACKED:
        bits, signed = _PACKED[kind]
        per_byte = 8 // bits
        packed = np.frombuffer(data, np.uint8, count=-(-size // per_byte))
        shifts = np.arange(per_byte, dtype=np.uint8) * np.uint8(bits)
        parts = ((packed[:, None] >> shifts) & np.uint8(2**bits - 1)).reshape(-1)[:size]
        if not signed:
            return np.asarray(parts)
        half = np.int16(2 ** (bits - 1))
        return np.asarray((parts.astype(np.int16) ^ half) - half, np.int8)
    if kind == "bfloat16":
        halves = np.frombuffer(data, "<u2", count=size).astype(np.uint32) << np.uint32(16)
        return np.asarray(halves.view(np.float32))
    dtype: Any = _DTYPES[kind]
    return np.frombuffer(data, dtype, count=size)


def densify(data: memoryview, kind: str, shape: tuple[int, ...], sparsity: Sparsity) -> Array:
    """Return the dense array of ``shape`` behind a sparse encoding.

    The format is that of the TFLite schema (after TACO, Kjolstad et al. 2017): levels are walked in
    traversal order, a compressed level lists the positions that its parents hold, and levels beyond
    the tensor's rank are positions within blocks.

    Raises
    ------
    ValueError, IndexError
        If the encoding contradicts itself or the shape.
    """
    rank, levels = len(shape), len(sparsity.dimensions)
    if len(sparsity.order) != levels or sorted(sparsity.order) != list(range(levels)):
        raise ValueError("the traversal order is no permutation")
    if levels != rank + len(sparsity.block_map):
        raise ValueError("as many block levels as mapped blocks are needed")
    block = [1] * rank
    for extra, dimension in enumerate(sparsity.block_map):
        level = sparsity.order.index(rank + extra)
        block[dimension] *= sparsity.dimensions[level][0]
    limit = math.prod(shape)
    parents = np.zeros(1, np.int64)
    coordinates: list[Array] = []
    for dense, segments, indices in sparsity.dimensions:
        if segments is None or indices is None:
            if dense <= 0 or len(parents) * dense > limit:
                raise ValueError("more positions than the shape holds")
            repeats, own = np.full(len(parents), dense), np.tile(np.arange(dense), len(parents))
            following = np.repeat(parents * dense, dense) + own
        else:
            bounds = segments.astype(np.int64)
            repeats = bounds[parents + 1] - bounds[parents]
            if (repeats < 0).any() or repeats.sum() > limit:
                raise ValueError("segments out of order")
            first = np.repeat(bounds[parents], repeats)
            within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
            following = first + within
            own = indices[following].astype(np.int64)
        coordinates = [np.repeat(c, repeats) for c in coordinates] + [own]
        parents = following
    place: list[Array] = [np.zeros(len(parents), np.int64) for _ in shape]
    for level, target in enumerate(sparsity.order):
        if target < rank:
            place[target] = place[target] + coordinates[level] * block[target]
        else:
            dimension = sparsity.block_map[target - rank]
            place[dimension] = place[dimension] + coordinates[level]
    values = unpack(data, kind, int(parents.max()) + 1 if len(parents) else 0)
    result = np.zeros(shape, values.dtype)
    result[tuple(place)] = values[parents]
    return result
