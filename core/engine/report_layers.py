"""What quantization did to each layer: two files compared layer by layer on the same images."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from core.measurement.graph import TfliteModel, Weight
from core.measurement.tflite_file import read_tflite

Array = np.ndarray[Any, np.dtype[Any]]


def compare_layers(
    reference: bytes, other: bytes, images: Array, names: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Return one row per layer with weights, in the order of the graph.

    Parameters
    ----------
    reference
        A float32 ``.tflite`` file.
    other
        The same model in other numbers.
    images
        Prepared, float32 [n, h, w, c].
    names
        The model's own names of its layers; the file's may be those of a fused activation.

    Returns
    -------
    list of dict
        ``layer``; ``output``, the name of its output in the file; ``type`` of the stored weights;
        ``weights``; ``weight_db`` and ``output_db``: ten times the decimal logarithm of signal over error
        power, of the weights and of the layer's outputs. The outputs' error includes what comes from the
        layers before. None where the layers cannot be matched or there is no error.
    """
    first, second = parse(reference), parse(other)
    weights = {w.name: w for w in second.weights}
    outputs = _outputs(reference, first, images), _outputs(other, second, images)
    rows = []
    for weight in first.weights:
        twin = weights.get(weight.name)
        rows.append({
            "layer": own_name(weight, names),
            "output": weight.name,
            "type": twin.tensor.type if twin else None,
            "weights": weight.tensor.size,
            "weight_db": decibels(weight.tensor.real(), twin.tensor.real()) if twin else None,
            "output_db": decibels(outputs[0][weight.name], outputs[1][weight.name])
            if weight.name in outputs[1] else None,
        })
    return rows


def own_name(weight: Weight, names: Collection[str]) -> str:
    """Return the model's name of the layer that a weight in the file belongs to."""
    parts = weight.tensor.name.replace(";", "/").split("/")
    known = [part for part in parts if part in names]
    return known[0] if known else next((n for n in names if weight.is_of(n)), weight.layer)


def parse(content: bytes) -> TfliteModel:
    """Read a ``.tflite`` file from its bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        return read_tflite(path)


def decibels(signal: Array, noisy: Array) -> float | None:
    """Return 10 log10 of signal power over error power; None for different shapes, or without error."""
    if signal.shape != noisy.shape:
        return None
    error = float(np.square(signal.astype(np.float64) - noisy).sum())
    power = float(np.square(signal.astype(np.float64)).sum())
    return 10 * math.log10(power / error) if error > 0 and power > 0 else None


def _outputs(content: bytes, model: TfliteModel, images: Array) -> dict[str, Array]:
    """Return each layer's outputs as float32 [n, ...] by the name of its tensor."""
    interpreter = Interpreter(
        model_content=content, experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    entrance = interpreter.get_input_details()[0]
    wanted = {w.name: w.operator.outputs[0] for w in model.weights}
    found: dict[str, list[Array]] = {name: [] for name in wanted}
    for image in images:
        interpreter.set_tensor(entrance["index"], _as_input(image[np.newaxis], entrance))
        interpreter.invoke()
        for name, index in wanted.items():
            tensor = model.tensors[index]
            value = interpreter.get_tensor(index).astype(np.float32)
            if tensor.scale.size:
                value = (value - float(tensor.zero_point[0])) * float(tensor.scale[0])
            found[name].append(value)
    return {name: np.concatenate(parts) for name, parts in found.items() if parts}


def _as_input(image: Array, details: dict[str, Any]) -> Array:
    if details["dtype"] == np.float32:
        return image.astype(np.float32)
    scale, zero = details["quantization"]
    limits = np.iinfo(details["dtype"])
    steps: Array = np.clip(np.rint(image / scale) + zero, limits.min, limits.max)
    return steps.astype(details["dtype"])
