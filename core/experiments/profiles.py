"""What a model's weights alone tell about compressing them: measured once per file, kept as JSON.

Per layer and for a grid of sparsities: how many bytes the pruned weights take once packed (deflate, as gzip does), as
float32 and as int8, and how much of the weights' energy the zeroed ones held. Reading a profile needs no TensorFlow
and interpolating in it takes microseconds, which is what a slider needs.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from core.measurement.graph import Weight
from core.measurement.macs import macs_of
from core.measurement.tflite_file import read_tflite

Array = np.ndarray[Any, Any]
LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
PRUNED = ("CONV_2D", "FULLY_CONNECTED")
_QUANTILES = 65
_SAMPLE = 12_288
_VERSION = 3


class LayerProfile(BaseModel):
    """One weighted layer.

    Attributes
    ----------
    shape
        As Keras stores the kernel: [h, w, in, out] or [in, out].
    macs
        Multiply-accumulates for one image.
    prunable
        Whether pruning steps act on it: convolutions and dense layers, not depthwise ones.
    float_bytes, int8_bytes
        Packed bytes at each of ``LEVELS``.
    error
        Share of the squared weights that pruning by magnitude zeroes, at each of ``LEVELS``.
    quantiles
        Of the absolute weights over their root mean square, evenly spaced from 0 to 1.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    shape: tuple[int, ...]
    weights: int
    channels: int
    macs: int
    prunable: bool
    float_bytes: tuple[float, ...]
    int8_bytes: tuple[float, ...]
    error: tuple[float, ...]
    quantiles: tuple[float, ...]


class ModelProfile(BaseModel):
    """A model's float file: ``key`` names its content, sizes are bytes, ``gzip_bytes`` is gzip -9 of the whole file."""

    model_config = ConfigDict(frozen=True)

    key: str
    tflite_bytes: int
    gzip_bytes: int
    layers: tuple[LayerProfile, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def prunable(self) -> tuple[LayerProfile, ...]:
        """The layers that pruning steps act on."""
        return tuple(layer for layer in self.layers if layer.prunable)


def profile(path: Path, cache: Path) -> ModelProfile:
    """Return the profile of a float32 ``.tflite``, from ``cache`` or made now (seconds for a mobile network).

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    key = _key(path)
    kept = cache / f"profile-{key[:24]}.json"
    try:
        found = ModelProfile.model_validate_json(kept.read_text("utf-8"))
        if found.key == key:
            return found
    except (OSError, ValidationError):
        pass
    made = make_profile(path, key)
    partial = kept.with_suffix(f".{os.getpid()}.part")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        partial.write_text(made.model_dump_json(), "utf-8")
        partial.replace(kept)
    except OSError:  # a full disk costs the next reader the time, not this one the answer
        partial.unlink(missing_ok=True)
    return made


def make_profile(path: Path, key: str = "") -> ModelProfile:
    """Measure the file at ``path``."""
    model = read_tflite(path)
    content = path.read_bytes()
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    return ModelProfile(
        key=key, tflite_bytes=len(content), gzip_bytes=len(packed.compress(content) + packed.flush()),
        layers=tuple(_layer(weight, macs_of(model, weight)) for weight in model.weights),
    )


def _layer(weight: Weight, macs: int) -> LayerProfile:
    values = weight.tensor.real()
    axis = 3 if weight.operator.name == "DEPTHWISE_CONV_2D" else 0
    flat = np.abs(values).ravel()
    order = np.sort(flat)
    energy = np.concatenate([[0.0], np.cumsum(np.square(order, dtype=np.float64))])
    rms = float(np.sqrt(energy[-1] / max(1, order.size))) or 1.0
    peaks = np.abs(values).max(axis=tuple(i for i in range(values.ndim) if i != axis), keepdims=True)
    steps = np.rint(values / np.where(peaks > 0, peaks / 127, 1)).astype(np.int8)
    sample = slice(0, _SAMPLE)
    chosen, whole, small = flat[sample], values.ravel()[sample], steps.ravel()[sample]
    scale = flat.size / chosen.size
    floats, integers, errors = [], [], []
    for level in LEVELS:
        removed = round(level * order.size)
        threshold = order[removed - 1] if removed else -1.0
        kept = chosen > threshold
        floats.append(scale * len(zlib.compress((whole * kept).astype(np.float32).tobytes(), 6)))
        integers.append(scale * len(zlib.compress((small * kept).astype(np.int8).tobytes(), 6)))
        errors.append(float(energy[removed] / (energy[-1] or 1.0)))
    shape = weight.tensor.shape
    return LayerProfile(
        name=weight.layer, shape=(*shape[1:], shape[0]) if axis == 0 else shape, weights=int(flat.size),
        channels=int(shape[axis]), macs=macs, prunable=weight.operator.name in PRUNED, float_bytes=tuple(floats),
        int8_bytes=tuple(integers), error=tuple(errors),
        quantiles=tuple(float(q) for q in np.quantile(order, np.linspace(0, 1, _QUANTILES)) / rms),
    )


def _key(path: Path) -> str:
    digest = hashlib.sha256(f"{_VERSION}".encode())
    digest.update(path.read_bytes())
    return digest.hexdigest()
