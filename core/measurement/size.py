"""How large a model is: as a file, as a download, and how small it could be."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import zstandard
from pydantic import BaseModel, ConfigDict

from core.measurement.graph import Tensor, TfliteModel
from core.measurement.macs import total_macs
from core.measurement.tensor_data import item_bits
from core.measurement.tflite_file import read_tflite

GZIP_LEVEL, ZSTD_LEVEL = 9, 19


class Size(BaseModel):
    """The size part of a run's record; bytes, counts, and multiply-accumulates for one image."""

    model_config = ConfigDict(frozen=True)

    tflite_bytes: int
    gzip_bytes: int
    zstd_bytes: int
    parameters: int
    nonzero_parameters: int
    macs: int


class Bounds(BaseModel):
    """What other encodings of the same weights would come to; none of these files exists.

    ``entropy_bytes`` is the least that coding single values by their frequency in a tensor could
    reach: each tensor's number of values times their empirical order-0 entropy, plus zstd of the
    rest of the file. A compressor that sees more than frequencies (rows of zeros, channels of
    different scale) can get below it. ``sparse_bytes`` is an estimate: one bit per weight and the
    non-zero values, where that is smaller than what is stored.
    """

    model_config = ConfigDict(frozen=True)

    entropy_bytes: int
    sparse_bytes: int


def measure_size(path: Path) -> Size:
    """Measure the ``.tflite`` file at ``path``; gzip -9 and zstd -19 of the file as it is.

    Parameters are constants of floats or quantized values (see ``TfliteModel.parameters``).

    Raises
    ------
    InputError
        As ``read_tflite`` does.
    """
    model = read_tflite(path)
    content = path.read_bytes()
    return Size(
        tflite_bytes=len(content),
        gzip_bytes=len(gzip.compress(content, GZIP_LEVEL, mtime=0)),
        zstd_bytes=len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(content)),
        parameters=sum(t.size for t in model.parameters),
        nonzero_parameters=sum(t.nonzero() for t in model.parameters),
        macs=total_macs(model),
    )


def entropy_bytes(tensor: Tensor) -> float:
    """Return the values' number times their order-0 entropy (Shannon 1948), in bytes.

    The table that a decoder would need is left out: it is a bound, no file.
    """
    values = np.ascontiguousarray(tensor.values)
    _, counts = np.unique(values.reshape(-1), return_counts=True)
    share = counts / max(1, counts.sum())
    return float(-(counts * np.log2(share)).sum() / 8)


def bounds(model: TfliteModel) -> Bounds:
    """Return what entropy coding and a bitmap of zeros would make of the parameters of ``model``."""
    rest = model.without_parameters()
    entropy = float(len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(rest)))
    sparse = float(model.bytes)
    for tensor in model.parameters:
        stored = tensor.stored_bytes
        entropy += entropy_bytes(tensor)
        bitmap = (tensor.size + tensor.nonzero() * item_bits(tensor.type)) / 8
        sparse += min(bitmap, stored) - stored
    return Bounds(entropy_bytes=round(entropy), sparse_bytes=round(sparse))
