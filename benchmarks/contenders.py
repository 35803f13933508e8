"""One contender of the serving benchmark, alone in its process: ``python -m benchmarks.contenders``.

It loads its model, answers "ready", then for each number N on stdin classifies N photos one
by one and prints a JSON line with the seconds each took and its answers.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

Batch = NDArray[np.float32]
Answer = Callable[[Batch], Batch]


def _keras(threads: int) -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def load_and_predict(folder: Path, threads: int) -> Answer:
    """Load the .h5 for every request and call ``predict``, as the course project did."""
    _keras(threads)
    import tf_keras

    def answer(batch: Batch) -> Batch:
        model = tf_keras.models.load_model(folder / "model.h5", compile=False)
        return model.predict(batch, verbose=0)

    return answer


def predict(folder: Path, threads: int) -> Answer:
    """Load once, call ``model.predict`` for every request."""
    _keras(threads)
    import tf_keras

    model = tf_keras.models.load_model(folder / "model.h5", compile=False)
    return lambda batch: model.predict(batch, verbose=0)


def call(folder: Path, threads: int) -> Answer:
    """Load once, call ``model(x)`` for every request."""
    _keras(threads)
    import tf_keras

    model = tf_keras.models.load_model(folder / "model.h5", compile=False)
    return lambda batch: model(batch, training=False).numpy()


def _litert(path: Path, threads: int) -> Answer:
    from core.inference import classifier

    return classifier(path, threads).predict


def _onnx(path: Path, threads: int) -> Answer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})[0]


CONTENDERS: dict[str, tuple[str, Callable[[Path, int], Answer]]] = {
    "load-and-predict": ("load the .h5, then predict, per request", load_and_predict),
    "predict": ("model.predict", predict),
    "call": ("model(x)", call),
    "litert-float32": ("LiteRT float32", lambda f, t: _litert(f / "float32.tflite", t)),
    "litert-int8": ("LiteRT int8", lambda f, t: _litert(f / "int8.tflite", t)),
    "onnx-float32": ("ONNX Runtime float32", lambda f, t: _onnx(f / "float32.onnx", t)),
    "onnx-int8": ("ONNX Runtime int8", lambda f, t: _onnx(f / "int8.onnx", t)),
}


def set_up(folder: Path) -> None:
    """Write ``model.h5`` and, where tf2onnx is installed, both ONNX files into ``folder``.

    The int8 ONNX file is what ONNX Runtime's own static quantization makes of the float32 one, with
    the calibration photos of ``calibration.npy``: per-channel weights, QDQ form.
    """
    from core.engine.base import load_base
    from core.settings import settings
    from core.zoo import Library

    card = Library(settings()).card("efficientnet-lite0")
    load_base(card, settings()).save(folder / "model.h5", save_format="h5")
    try:
        import tf2onnx
        from onnxruntime import quantization
    except ImportError as error:
        (folder / "onnx-missing.txt").write_text(f"{error.name} is not installed", "utf-8")
        return
    tf2onnx.convert.from_tflite(
        str(folder / "float32.tflite"), opset=17, output_path=str(folder / "float32.onnx")
    )
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "float32.onnx")
    name, photos = session.get_inputs()[0].name, np.load(folder / "calibration.npy")

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Gives the calibration photos one by one."""

        def __init__(self) -> None:
            self.rest = iter(photos)

        def get_next(self) -> dict[str, Batch] | None:
            photo = next(self.rest, None)
            return None if photo is None else {name: photo[None]}

    quantization.quantize_static(
        folder / "float32.onnx", folder / "int8.onnx", Reader(), per_channel=True,
        quant_format=quantization.QuantFormat.QDQ,
    )


def serve(name: str, folder: Path, threads: int) -> None:
    """Load the contender ``name`` and time it on the photos of ``photos.npy`` until stdin ends."""
    answer = CONTENDERS[name][1](folder, threads)
    photos = np.load(folder / "photos.npy")
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries that print must not reach the parent
    print(json.dumps("ready"), file=out, flush=True)
    for line in sys.stdin:
        count = int(line)
        seconds, answers = [], []
        for photo in photos[:count]:
            batch = photo[None]
            start = time.perf_counter()
            row = answer(batch)
            seconds.append(time.perf_counter() - start)
            answers.append(int(np.asarray(row).argmax()))
        rss = psutil.Process().memory_info().rss
        print(json.dumps({"seconds": seconds, "answers": answers, "rss": rss}), file=out, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "set-up":
        set_up(Path(sys.argv[2]))
    else:
        serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
