"""Write a finished run's model in another format, in a process of its own: ``python -m core.engine.exporting FOLDER``.

``FOLDER/export.json`` says what to do. Progress goes to standard output as lines of JSON, the file to
``FOLDER/result``, and what was checked of it to ``FOLDER/checked.json``. When standard input closes, whoever asked is
gone and this process ends.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import sys
import traceback
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from core.engine.exporting_onnx import to_onnx
from core.engine.parent import end_with_parent, tell, tell_error
from core.errors import PromiseError, SecateurError
from core.inference.interpreter import LiteRT
from core.locales import N_

IMAGES, SEED = 4, 0
CLOSE = 1e-3
"""How far probabilities of a float model may be apart in two runtimes."""


def write_saved_model(keras: Path, folder: Path) -> dict[str, Any]:
    """Write ``keras`` as a zipped SavedModel to ``folder/result``; return how far its answers are from the model's.

    Raises
    ------
    PromiseError
        If the SavedModel answers differently.
    """
    import tensorflow as tf
    import tf_keras

    _tell(N_("Loading the model"), 0.1)
    model = tf_keras.models.load_model(keras, compile=False)
    _tell(N_("Writing the file"), 0.4)
    saved = folder / "saved_model"
    model.export(str(saved))
    _tell(N_("Checking its answers"), 0.7)
    images = _images(tuple(model.input_shape[1:]))
    again = tf.saved_model.load(str(saved))  # named, because its variables go with it
    apart = float(np.abs(again.serve(images).numpy() - model(images).numpy()).max())
    if not apart <= CLOSE:
        raise PromiseError(N_("The file that was written answers differently from the model, by up to {apart}."),
                           apart=f"{apart:.2g}")
    with zipfile.ZipFile(folder / "result.partial", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in saved.rglob("*") if p.is_file()):
            archive.write(path, Path("saved_model") / path.relative_to(saved))
    shutil.rmtree(saved)
    (folder / "result.partial").replace(folder / "result")
    return {"images": IMAGES, "apart": apart, "same": 1.0}


def write_onnx(tflite: Path, folder: Path) -> dict[str, Any]:
    """Write the ``.tflite`` that ships as ONNX to ``folder/result``, and compare both where ONNX Runtime is installed.

    Raises
    ------
    InputError
        If the converter is not installed or knows one of the operators not.
    PromiseError
        If a float model's answers differ, or one of numbers of few bits mostly names another class.
    """
    _tell(N_("Converting"), 0.2)
    content = to_onnx(tflite)
    (folder / "result.partial").write_bytes(content)
    checked: dict[str, Any] = {}
    if importlib.util.find_spec("onnxruntime") is not None:
        _tell(N_("Checking its answers"), 0.7)
        checked = _compare(tflite, content)
    (folder / "result.partial").replace(folder / "result")
    return checked


def _compare(tflite: Path, content: bytes) -> dict[str, Any]:
    runtime: Any = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    given, reference = session.get_inputs()[0], LiteRT(tflite)
    images = _images(reference.input_shape)
    wanted = reference.run(images)
    if given.type != "tensor(float)":  # whole numbers in and out: their scales are the file's affair
        return {}
    found = np.concatenate([session.run(None, {given.name: image[np.newaxis]})[0] for image in images])
    same, apart = float((found.argmax(1) == wanted.argmax(1)).mean()), float(np.abs(found - wanted).max())
    exact = all(node.op_type != "QuantizeLinear" for node in _graph(content).node)
    if (exact and not apart <= CLOSE) or same < 0.5:
        raise PromiseError(N_("The file that was written answers differently from the model, by up to {apart}."),
                           apart=f"{apart:.2g}")
    return {"images": IMAGES, "apart": apart, "same": same}


def _graph(content: bytes) -> Any:
    onnx: Any = importlib.import_module("onnx")
    return onnx.load_from_string(content).graph


def _images(shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(SEED).random((IMAGES, *shape), np.float32)


def _tell(stage: str, fraction: float) -> None:
    tell(stage=stage, fraction=fraction, seconds_left=None)


def main(folder: Path) -> int:
    """Carry out the order in ``folder``; return the exit code."""
    end_with_parent()
    try:
        order = json.loads((folder / "export.json").read_text("utf-8"))
        write = {"onnx": write_onnx, "saved_model": write_saved_model}[order["format"]]
        checked = write(Path(order["source"]), folder)
        (folder / "checked.json").write_text(json.dumps(checked), "utf-8")
    except SecateurError as error:
        tell_error(error)
        return 2
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
