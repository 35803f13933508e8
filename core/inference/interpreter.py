"""One LiteRT interpreter: float32 in, float32 out, whatever the file's own types are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from core.errors import InputError, StorageError
from core.locales import N_

_IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every TensorFlow Lite flatbuffer
_INTEGERS = (np.int8, np.uint8, np.int16)

_DAMAGED = N_(
    "The model file {file} is damaged or not a .tflite file. Prepare or import the model again.")
_NOT_CLASSIFIER = N_(
    "{file} is not an image classifier: it needs one image as input and one row of class scores as "
    "output.")
UNREADABLE = N_("The model file {file} cannot be read. Prepare or import the model again.")


class LiteRT:
    """An interpreter of one ``.tflite`` file for batches of one; not safe for two threads at once.

    A batch is a loop: on one or two threads LiteRT gains nothing from a larger batch, and files
    with a fixed batch inside (a Reshape, say) break when resized.

    Parameters
    ----------
    path
        A file that this installation made or checked. The parser is native code: a file from a
        stranger is first opened in a sandboxed process.
    threads
        Threads of one call.

    Raises
    ------
    StorageError
        If the file is missing, unreadable or damaged.
    InputError
        If it is sound but no image classifier: one input ``[1, h, w, c]``, one output ``[1, k]``.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        check_identifier(path)
        try:
            self._interpreter: Any = Interpreter(model_path=str(path), num_threads=threads)
            inputs = self._interpreter.get_input_details()
            outputs = self._interpreter.get_output_details()
        except Exception as error:
            raise StorageError(_DAMAGED, file=path.name) from error
        if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0]["shape"]) != 4:
            raise InputError(_NOT_CLASSIFIER, file=path.name)
        try:
            if inputs[0]["shape"][0] != 1:
                shape = [1, *(int(side) for side in inputs[0]["shape"][1:])]
                self._interpreter.resize_tensor_input(inputs[0]["index"], shape)
            self._interpreter.allocate_tensors()
            self._input = self._interpreter.get_input_details()[0]
            self._output = self._interpreter.get_output_details()[0]
        except Exception as error:
            raise StorageError(_DAMAGED, file=path.name) from error
        if len(self._output["shape"]) != 2 or self._output["shape"][0] != 1:
            raise InputError(_NOT_CLASSIFIER, file=path.name)
        self.name = path.name
        _, height, width, channels = (int(side) for side in self._input["shape"])
        self.input_shape: tuple[int, int, int] = (height, width, channels)
        self.classes = int(self._output["shape"][1])

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the output rows, float32 ``[n, k]``, for float32 ``[n, h, w, c]``.

        Integer inputs and outputs are converted by the file's own scale and zero point (the affine
        scheme of the LiteRT quantization specification: ``real = scale * (integer - zero)``).
        """
        rows = np.empty((len(batch), self.classes), np.float32)
        try:
            for row, image in enumerate(batch):
                given = _quantize(image[None], self._input)
                self._interpreter.set_tensor(self._input["index"], given)
                self._interpreter.invoke()
                answer = self._interpreter.get_tensor(self._output["index"])
                rows[row] = _dequantize(answer, self._output)[0]
        except (RuntimeError, ValueError) as error:
            raise StorageError(_DAMAGED, file=self.name) from error
        return rows


def check_identifier(path: Path) -> None:
    """Refuse a file that does not begin as a TensorFlow Lite flatbuffer before it is parsed.

    Raises
    ------
    StorageError
        If ``path`` is missing, unreadable or something else.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise StorageError(UNREADABLE, file=path.name) from error
    if head[4:] != _IDENTIFIER:
        raise StorageError(_DAMAGED, file=path.name)


def _quantize(values: NDArray[np.float32], detail: dict[str, Any]) -> NDArray[Any]:
    kind = detail["dtype"]
    if kind not in _INTEGERS:
        return values.astype(kind, copy=False)
    scale, zero = detail["quantization"]
    if not scale:
        scale = 1.0
    steps = np.rint(values / np.float32(scale)) + zero
    integers: NDArray[Any] = np.clip(steps, np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)
    return integers


def _dequantize(values: NDArray[Any], detail: dict[str, Any]) -> NDArray[np.float32]:
    scale, zero = detail["quantization"]
    if detail["dtype"] not in _INTEGERS or not scale:
        return values.astype(np.float32, copy=False)
    real: NDArray[np.float32] = np.float32(scale) * (values.astype(np.float32) - np.float32(zero))
    return real
