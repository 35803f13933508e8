"""Read the weights of a legacy PyTorch file without PyTorch and without trusting it.

The format (``torch.save`` before version 1.6) is a row of pickles: a magic number, the protocol
version, facts about the writer's system, the state dictionary, and the keys of its storages; then
for each storage an int64 element count and its raw little-endian values. The unpickler admits three
kinds of names only and gives them to functions of ours, so a hostile file can name nothing else.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from core.errors import InputError
from core.locales import N_

Array = np.ndarray[Any, np.dtype[Any]]

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
MAX_BYTES = 512 * 2**20
MAX_TENSORS = 10_000
MAX_RANK = 8
STORAGES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
}


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _whole(value: object, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise pickle.UnpicklingError("a size is out of bounds")
    return value


def _rebuild_tensor(
    storage: object, offset: object, shape: object, strides: object, *_rest: object
) -> _Tensor:
    if not (isinstance(storage, _Storage) and isinstance(shape, tuple) and isinstance(strides, tuple)):
        raise pickle.UnpicklingError("a tensor is malformed")
    if len(shape) != len(strides) or len(shape) > MAX_RANK:
        raise pickle.UnpicklingError("a tensor is malformed")
    tensor = _Tensor(
        storage,
        _whole(offset, storage.count),
        tuple(_whole(n, MAX_BYTES) for n in shape),
        tuple(_whole(n, MAX_BYTES) for n in strides),
    )
    last = tensor.offset + sum(
        (n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True) if n > 0
    )
    if prod(tensor.shape) and last >= storage.count:
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    return tensor


class _Unpickler(pickle.Unpickler):
    """Knows tensors, storages and ordered dictionaries; every other name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"the name {module}.{name} is not admitted")

    def persistent_load(self, pid: object) -> _Storage:
        match pid:
            case ("storage", np.dtype() as dtype, str(key), str(), int(count), *_):
                return _Storage(key, dtype, _whole(count, MAX_BYTES // dtype.itemsize))
        raise pickle.UnpicklingError("a storage is malformed")


def _refuse(path: Path, reason: str, cause: BaseException | None = None) -> NoReturn:
    raise InputError(
        N_("The weights file {file} cannot be used: {reason}. Install the package again."),
        file=path.name, reason=reason,
    ) from cause


def _state(stream: io.BytesIO) -> tuple[dict[str, _Tensor], list[str]]:
    if _Unpickler(stream).load() != MAGIC or _Unpickler(stream).load() != PROTOCOL:
        raise pickle.UnpicklingError("it is not a legacy PyTorch file")
    system = _Unpickler(stream).load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise pickle.UnpicklingError("it was not written little-endian")
    state, keys = _Unpickler(stream).load(), _Unpickler(stream).load()
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, _Tensor) for name, tensor in state.items()
    ):
        raise pickle.UnpicklingError("it does not hold named tensors")
    if len(state) > MAX_TENSORS or not isinstance(keys, list) or len(set(keys)) != len(keys):
        raise pickle.UnpicklingError("its list of storages is malformed")
    return dict(state), keys


def read_weights(path: Path, sha256: str) -> dict[str, Array]:
    """Return the named arrays of a legacy PyTorch file, with the shapes and dtypes it states.

    Parameters
    ----------
    path
        The file, at most 512 MB.
    sha256
        The digest that the file must have; "" skips the check.

    Raises
    ------
    InputError
        If the file is missing, too large, not the stated one, truncated, of another format, or
        names anything but tensors.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            _refuse(path, "it is too large")
        content = path.read_bytes()
    except OSError as error:
        _refuse(path, error.strerror or "it cannot be read", error)
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        _refuse(path, "it is not the file that the model card names")
    return parse_weights(content, path)


def parse_weights(content: bytes, path: Path) -> dict[str, Array]:
    """Return the named arrays in ``content``; ``path`` only names it. Raises as `read_weights`."""
    stream = io.BytesIO(content)
    try:
        state, keys = _state(stream)
        storages = {tensor.storage.key: tensor.storage for tensor in state.values()}
        if set(storages) != set(keys):
            raise pickle.UnpicklingError("its list of storages is malformed")
        values: dict[str, Array] = {}
        for key in keys:
            (count,) = struct.unpack("<q", stream.read(8))
            storage = storages[key]
            if count != storage.count:
                raise pickle.UnpicklingError("a storage has another size than stated")
            values[key] = np.frombuffer(stream.read(count * storage.dtype.itemsize), storage.dtype)
            if values[key].size != count:
                raise pickle.UnpicklingError("it is truncated")
    except (pickle.UnpicklingError, struct.error) as error:
        _refuse(path, str(error) or "it is truncated", error)
    except Exception as error:  # a malformed pickle raises nearly anything; none of it is our bug
        _refuse(path, "it is not a legacy PyTorch file", error)
    return {name: _materialise(tensor, values[tensor.storage.key]) for name, tensor in state.items()}


def _materialise(tensor: _Tensor, values: Array) -> Array:
    size = values.itemsize
    view = np.lib.stride_tricks.as_strided(
        values[tensor.offset:], tensor.shape, [step * size for step in tensor.strides], writeable=False
    )
    return view.astype(view.dtype.newbyteorder("="), copy=True)
