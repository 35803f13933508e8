"""What quantization did to each layer: two files compared layer by layer on the same images."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from core.measurement.graph import Tensor, TfliteModel, Weight
from core.measurement.tflite_file import read_tflite

Array = np.ndarray[Any, np.dtype[Any]]
_THREADS = 2


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
    ratios = _output_decibels((reference, first), (other, second), images)
    rows = []
    for weight in first.weights:
        twin = weights.get(weight.name)
        rows.append({
            "layer": own_name(weight, names),
            "output": weight.name,
            "type": twin.tensor.type if twin else None,
            "weights": weight.tensor.size,
            "weight_db": decibels(weight.tensor.real(), twin.tensor.real()) if twin else None,
            "output_db": ratios.get(weight.name),
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
    return None if signal.shape != noisy.shape else _ratio(*_powers(signal, noisy))


def _powers(signal: Array, noisy: Array) -> Array:
    """Return the power of the signal and of the error, float64 [2]."""
    exact = signal.astype(np.float64)
    return np.array([np.square(exact).sum(), np.square(exact - noisy).sum()])


def _ratio(power: float, error: float) -> float | None:
    return 10 * math.log10(power / error) if error > 0 and power > 0 else None


def _output_decibels(
    first: tuple[bytes, TfliteModel], second: tuple[bytes, TfliteModel], images: Array
) -> dict[str, float | None]:
    """Return the ratio of each layer whose output both files have in the same shape, by the name of its tensor.

    Powers are added up image by image: all outputs of a network on a few images would fill a gigabyte.
    """
    totals: dict[str, Array] = {}
    for exact, noisy in zip(_outputs(*first, images), _outputs(*second, images), strict=True):
        for name, signal in exact.items():
            if name in noisy and noisy[name].shape == signal.shape:
                totals[name] = totals.get(name, 0.0) + _powers(signal, noisy[name])
    return {name: _ratio(*powers) for name, powers in totals.items()}


def _outputs(content: bytes, model: TfliteModel, images: Array) -> Iterator[dict[str, Array]]:
    """Yield for each image every layer's output as float32 [1, ...] by the name of its tensor."""
    interpreter = Interpreter(
        model_content=content, experimental_preserve_all_tensors=True, num_threads=_THREADS,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    entrance = interpreter.get_input_details()[0]
    wanted = {w.name: w.operator.outputs[0] for w in model.weights}
    for image in images:
        interpreter.set_tensor(entrance["index"], _as_input(image[np.newaxis], entrance))
        interpreter.invoke()
        yield {name: _real(interpreter.get_tensor(index), model.tensors[index]) for name, index in wanted.items()}


def _real(value: Array, tensor: Tensor) -> Array:
    real = value.astype(np.float32)
    return (real - float(tensor.zero_point[0])) * float(tensor.scale[0]) if tensor.scale.size else real


def _as_input(image: Array, details: dict[str, Any]) -> Array:
    if details["dtype"] == np.float32:
        return image.astype(np.float32)
    scale, zero = details["quantization"]
    limits = np.iinfo(details["dtype"])
    steps: Array = np.clip(np.rint(image / scale) + zero, limits.min, limits.max)
    return steps.astype(details["dtype"])
