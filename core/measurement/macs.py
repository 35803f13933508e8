"""How many multiplications a model does, how many of them by zero, and where its bytes are."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.measurement.graph import TfliteModel, Weight


class Layer(BaseModel):
    """One weighted layer: its work and its storage, as counts and as shares of the whole.

    ``macs`` are multiply-accumulates for one image; ``nonzero_macs`` those by a weight that is not
    zero. ``bytes`` are the weights' bytes as stored, sparse indices included. ``zeros`` is the
    fraction of weights that are zero.
    """

    model_config = ConfigDict(frozen=True)

    layer: str
    kind: str
    shape: tuple[int, ...]
    type: str
    parameters: int
    zeros: float
    distinct: int
    bytes: int
    macs: int
    nonzero_macs: int
    share_of_size: float
    share_of_macs: float


def macs_of(model: TfliteModel, weight: Weight) -> int:
    """Return the multiply-accumulates of one operator for one image, padding counted as work.

    Convolution (grouped too): output positions x weights per output. Depthwise: output elements x
    kernel area. Dense: outputs x inputs. Transposed convolution: input positions x weights.
    """
    output = model.tensors[weight.operator.outputs[0]].shape
    shape = weight.tensor.shape
    kind = weight.operator.name
    if kind in ("CONV_2D", "CONV_3D"):
        return math.prod(output[1:-1]) * weight.tensor.size
    if kind == "DEPTHWISE_CONV_2D":
        return math.prod(output[1:]) * math.prod(shape[1:3])
    if kind == "TRANSPOSE_CONV":
        image = model.tensors[weight.operator.inputs[2]].shape
        return math.prod(image[1:-1]) * weight.tensor.size
    rows = weight.tensor.size // max(1, shape[-1]) if kind == "FULLY_CONNECTED" else shape[-1]
    if kind == "BATCH_MATMUL" and weight.operator.options.get("adjY"):
        rows = shape[-2]
    # The positions that a dense layer is applied to: its output without batch and without outputs.
    positions = math.prod(output[1:]) // max(1, rows) if len(output) > 1 else 1
    return positions * weight.tensor.size


def layers(model: TfliteModel) -> list[Layer]:
    """Return every weighted layer in the order of the graph.

    The share of size is of the whole file, so the shares add up to less than one: biases, names and
    the graph itself are the rest.
    """
    counts = [macs_of(model, weight) for weight in model.weights]
    total = sum(counts) or 1
    found = []
    for weight, macs in zip(model.weights, counts, strict=True):
        size = weight.tensor.size
        nonzero = weight.tensor.nonzero()
        found.append(
            Layer(
                layer=weight.layer,
                kind=weight.operator.name,
                shape=weight.tensor.shape,
                type=weight.tensor.type,
                parameters=size,
                zeros=1 - nonzero / size if size else 0.0,
                distinct=int(np.unique(weight.tensor.values).size),
                bytes=weight.tensor.stored_bytes,
                macs=macs,
                nonzero_macs=round(macs * nonzero / size) if size else 0,
                share_of_size=weight.tensor.stored_bytes / model.bytes,
                share_of_macs=macs / total,
            )
        )
    return found


def total_macs(model: TfliteModel) -> int:
    """Return the multiply-accumulates of all weighted layers for one image."""
    return sum(macs_of(model, weight) for weight in model.weights)
