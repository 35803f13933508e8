"""Decide from its text alone whether a stranger's Keras file may be built: an allow-list, no scanner.

Keras's own loader runs code that a file names (a ``Lambda``, a ``TFOpLambda`` on a file operation)
and reads other files through HDF5 links, whatever its safe mode says. So the configuration is read
as plain JSON first, every class in it must be on the list below, and the HDF5 file may hold nothing
but plain numbers of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from core.errors import InputError
from core.locales import N_

MODELS = frozenset({"Sequential", "Functional", "Model"})
LAYERS = frozenset({
    "InputLayer", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense", "BatchNormalization",
    "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Dropout", "SpatialDropout2D",
    "GaussianNoise", "MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D",
    "GlobalMaxPooling2D", "Flatten", "Reshape", "ZeroPadding2D", "Cropping2D", "UpSampling2D",
    "Add", "Multiply", "Subtract", "Average", "Maximum", "Concatenate", "Permute", "Rescaling",
    "Normalization", "LayerNormalization", "RandomFlip", "RandomRotation", "RandomZoom",
    "RandomTranslation", "RandomContrast", "Resizing", "CenterCrop",
})
PARTS = frozenset({
    "Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "GlorotNormal",
    "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "VarianceScaling",
    "Orthogonal", "Identity", "L1", "L2", "L1L2", "MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm",
})
KNOWN = MODELS | LAYERS | PARTS
ACTIVATIONS = frozenset({
    "linear", "relu", "relu6", "softmax", "sigmoid", "tanh", "swish", "silu", "gelu", "elu", "selu",
    "hard_sigmoid", "softplus", "softsign", "leaky_relu", "mish", "exponential",
})
MODULES = frozenset({"keras", "tf_keras", "builtins"})
NAME = re.compile(r"\A[\w./-]{1,128}\Z")
MAX_JSON, MAX_DEPTH, MAX_NUMBER, MAX_NODES = 8 * 2**20, 60, 1_000_000, 500_000
MAX_OBJECTS, MAX_BYTES = 20_000, 2 * 2**30
FREE_NUMBERS = frozenset({"shared_object_id", "seed"})


def _refuse(file: str, reason: str, cause: BaseException | None = None) -> NoReturn:
    raise InputError(
        N_("The model file {file} is not admitted: {reason}. Save a plain Keras image classifier "
           "and try again."),
        file=file, reason=reason,
    ) from cause


def check_config(config: object, file: str) -> None:
    """Admit a parsed model configuration, or raise InputError with what is not admitted in it."""
    if not isinstance(config, dict) or not _among(config.get("class_name"), MODELS):
        _refuse(file, "its root is not a Sequential or functional model")
    for count, (key, value, depth) in enumerate(_walk(config)):
        if count > MAX_NODES or depth > MAX_DEPTH:
            _refuse(file, "its configuration is too large")
        if key == "class_name" and not _among(value, KNOWN):
            _refuse(file, f"it uses {str(value)[:40]!r}, which is not on the list of plain layers")
        if key == "module" and str(value).split(".")[0] not in MODULES:
            _refuse(file, f"it names the module {str(value)[:40]!r}")
        if key == "registered_name" and value is not None and not _among(value, KNOWN):
            _refuse(file, f"it uses {str(value)[:40]!r}, which is not on the list of plain layers")
        if key == "function":
            _refuse(file, "it names a function")
        if key == "activation" and value is not None and not _among(value, ACTIVATIONS):
            _refuse(file, f"the activation {str(value)[:40]!r} is not on the list")
        if key == "name" and not (isinstance(value, str) and NAME.match(value) and ".." not in value):
            _refuse(file, "a layer's name has characters other than letters, digits, '_', '.' or '-'")
        if (isinstance(value, int | float) and not isinstance(value, bool)
                and key not in FREE_NUMBERS and not abs(value) <= MAX_NUMBER):
            _refuse(file, f"the number {value} is out of bounds")


def _among(value: object, names: frozenset[str]) -> bool:
    return isinstance(value, str) and value in names


def _walk(root: object) -> Iterator[tuple[str, Any, int]]:
    stack: list[tuple[str, object, int]] = [("", root, 0)]
    while stack:
        key, value, depth = stack.pop()
        yield key, value, depth
        if isinstance(value, dict):
            stack.extend((str(k), v, depth + 1) for k, v in value.items())
        elif isinstance(value, list | tuple):
            stack.extend((key if isinstance(v, int | float) else "", v, depth + 1) for v in value)


def check_h5(path: Path) -> None:
    """Admit a Keras ``.h5`` file, or raise InputError with what is not admitted in it.

    Only hard links, stored numbers (no external, virtual or object data), the filters deflate,
    shuffle and fletcher32, and at most 2 GB declared; then its configuration, by `check_config`.
    Run it in a child process: the HDF5 parser itself is not safe from a hostile file.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _check_objects(file, path.name)
            text = file.attrs.get("model_config")
            if isinstance(text, bytes):
                text = text.decode("utf-8")
            if not isinstance(text, str) or len(text) > MAX_JSON:
                _refuse(path.name, "it holds no model, only weights" if text is None
                        else "its configuration is too large")
            config = json.loads(text)
    except (OSError, ValueError, KeyError, RuntimeError, RecursionError) as error:
        _refuse(path.name, "it is not a readable HDF5 file", error)
    check_config(config, path.name)


def _check_objects(root: Any, file: str) -> None:
    import h5py

    stack, objects, declared, seen = [root], 0, 0, set()
    while stack:
        group = stack.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            _refuse(file, "its groups form a cycle")
        seen.add(address)
        for name in group:
            objects += 1
            if objects > MAX_OBJECTS:
                _refuse(file, "it holds too many objects")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                _refuse(file, "it links to another place or file")
            item = group[name]
            if isinstance(item, h5py.Group):
                stack.append(item)
                continue
            if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
                _refuse(file, "it reads numbers from another file")
            if item.dtype.kind not in "fiub":
                _refuse(file, "it stores something other than numbers")
            filters = item.id.get_create_plist()
            used = {filters.get_filter(i)[0] for i in range(filters.get_nfilters())}
            if used - {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}:
                _refuse(file, "it uses an unknown compression")
            declared += item.size * item.dtype.itemsize
            if declared > MAX_BYTES:
                _refuse(file, "it declares more than 2 GB")
