"""The reader of PyTorch files: right on real ones, and deaf to anything that is not a tensor."""

import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from core.engine.weights import MAGIC, PROTOCOL, parse_weights, read_weights
from core.errors import InputError
from core.settings import Settings
from core.zoo import Library

SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}


class Global:
    """A name in another module, pickled without importing it."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Storage:
    def __init__(self, key: object, values: np.ndarray, kind: str = "FloatStorage", count: object = None) -> None:
        self.key, self.values, self.kind = key, values, kind
        self.count = values.size if count is None else count


class Call:
    """A call of a global, as an object's reduction."""

    def __init__(self, target: Global, *arguments: object) -> None:
        self.target, self.arguments = target, arguments


class Writer(pickle._Pickler):  # type: ignore[name-defined]
    """Writes what PyTorch would, without PyTorch."""

    def persistent_id(self, thing: object) -> object:
        if isinstance(thing, Storage):
            return ("storage", Global("torch", thing.kind), thing.key, "cpu", thing.count, None)
        return None

    def save(self, thing: object, save_persistent_id: bool = True) -> None:
        if isinstance(thing, Global):
            self.write(b"c" + f"{thing.module}\n{thing.name}\n".encode())
        elif isinstance(thing, Call):
            self.save(thing.target)
            self.save(thing.arguments)
            self.write(b"R")
        else:
            super().save(thing, save_persistent_id)


def tensor(storage: object, shape: object, strides: object, offset: object = 0) -> Call:
    return Call(Global("torch._utils", "_rebuild_tensor_v2"), storage, offset, shape, strides, False, OrderedDict())


def written(state: object, storages: list[Storage], *, magic: int = MAGIC, protocol: int = PROTOCOL,
            system: object = SYSTEM, keys: object = None) -> bytes:
    out = io.BytesIO()
    for part in (magic, protocol, system, state, [s.key for s in storages] if keys is None else keys):
        Writer(out, 2).dump(part)
    for storage in storages:
        out.write(struct.pack("<q", storage.values.size) + storage.values.tobytes())
    return out.getvalue()


def parse(content: bytes) -> dict[str, np.ndarray]:
    return parse_weights(content, Path("file.pth"))


def test_shared_strided_and_offset_tensors() -> None:
    storage = Storage("0", np.arange(12, dtype="<f4"))
    count = Storage("1", np.array([7], "<i8"), "LongStorage")
    found = parse(written(OrderedDict(
        a=tensor(storage, (3, 4), (4, 1)), t=tensor(storage, (4, 3), (1, 4)),
        tail=tensor(storage, (2,), (1,), 10), n=tensor(count, (), ()), none=tensor(storage, (0, 3), (3, 1)),
    ), [storage, count]))
    np.testing.assert_array_equal(found["a"], np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(found["t"], found["a"].T)
    assert found["tail"].tolist() == [10, 11]
    assert found["n"].dtype == np.int64
    assert int(found["n"]) == 7
    assert found["none"].shape == (0, 3)
    assert found["a"].flags.writeable


def test_the_installed_package(settings: Settings) -> None:
    library = Library(settings)
    card = library.card("efficientnet-lite0")
    path = library.weights(card)
    assert path is not None
    found = read_weights(path, card.weights.sha256)
    assert found["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert found["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(value).all() for value in found.values())
    with pytest.raises(InputError, match="model card"):
        read_weights(path, "0" * 64)


@pytest.mark.parametrize(("module", "name"), [
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "getattr"), ("torch", "load"),
    ("torch", "FloatStorage.__init__"), ("torch._utils", "_rebuild_parameter"), ("collections", "Counter"),
    ("numpy", "load"), ("core.engine.weights", "read_weights"),
])
def test_no_other_name_is_admitted(module: str, name: str, tmp_path: Path) -> None:
    target = tmp_path / "ran"
    content = written(Call(Global(module, name), f"touch {target}"), [])
    with pytest.raises(InputError, match="not admitted"):
        parse(content)
    assert not target.exists()


STORAGE = Storage("0", np.arange(4, dtype="<f4"))
BAD = {
    "beyond the storage": written({"a": tensor(STORAGE, (5,), (1,))}, [STORAGE]),
    "stride beyond": written({"a": tensor(STORAGE, (2, 2), (3, 1))}, [STORAGE]),
    "offset beyond": written({"a": tensor(STORAGE, (2,), (1,), 3)}, [STORAGE]),
    "negative stride": written({"a": tensor(STORAGE, (2,), (-1,), 1)}, [STORAGE]),
    "negative offset": written({"a": tensor(STORAGE, (1,), (1,), -1)}, [STORAGE]),
    "huge shape": written({"a": tensor(STORAGE, (2**62,), (0,))}, [STORAGE]),
    "float shape": written({"a": tensor(STORAGE, (2.0,), (1,))}, [STORAGE]),
    "no storage": written({"a": tensor("0", (2,), (1,))}, [STORAGE]),
    "rank": written({"a": tensor(STORAGE, (1,) * 9, (1,) * 9)}, [STORAGE]),
    "key missing": written({"a": tensor(STORAGE, (2,), (1,))}, [STORAGE], keys=[]),
    "key twice": written({"a": tensor(STORAGE, (2,), (1,))}, [STORAGE], keys=["0", "0"]),
    "keys no list": written({"a": tensor(STORAGE, (2,), (1,))}, [STORAGE], keys="0"),
    "another count": written({"a": tensor(Storage("0", STORAGE.values, count=3), (2,), (1,))}, [STORAGE]),
    "huge count": written({"a": tensor(Storage("0", STORAGE.values, count=2**40), (2,), (1,))}, [STORAGE]),
    "no tensors": written({"a": 3}, []),
    "no dictionary": written([1], []),
    "magic": written({}, [], magic=1),
    "protocol": written({}, [], protocol=1002),
    "big endian": written({}, [], system={"little_endian": False}),
    "empty": b"",
    "zip": b"PK\3\4" + bytes(100),
    "text": b"<html></html>",
}


@pytest.mark.parametrize("name", BAD)
def test_malformed_files_are_refused_with_one_sentence(name: str) -> None:
    with pytest.raises(InputError, match=r"file\.pth"):
        parse(BAD[name])


def test_every_truncation_is_refused() -> None:
    content = written({"a": tensor(STORAGE, (4,), (1,))}, [STORAGE])
    assert parse(content)["a"].tolist() == [0, 1, 2, 3]
    for length in range(len(content)):
        with pytest.raises(InputError):
            parse(content[:length])


def test_mutated_files_never_raise_anything_else() -> None:
    content = written({"a": tensor(STORAGE, (4,), (1,))}, [STORAGE])
    rng = np.random.default_rng(0)
    for _ in range(2000):
        bad = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            bad[place] = rng.integers(0, 256)
        try:
            parse(bytes(bad))
        except InputError:
            continue


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_weights(tmp_path / "gone.pth", "")
    assert not list(tmp_path.iterdir())
