"""A classifier that many sessions can ask at once: a bounded pool of interpreters of a file."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import BusyError, InputError, StorageError
from core.inference.interpreter import UNREADABLE, LiteRT
from core.locales import N_

INTERPRETERS = 2  # per model; each holds its own packed copy of the weights
WAIT_S = 20.0
KEPT = 4  # models held in memory at a time


class Classifier:
    """Class probabilities from a ``.tflite`` file; safe to share between threads.

    Parameters
    ----------
    path
        The file; see :class:`core.inference.interpreter.LiteRT` for what it must be.
    threads
        Threads of one call.
    logits
        Whether the file gives raw scores, to which softmax is applied, instead of probabilities.
    interpreters
        How many calls run at the same time; the second interpreter is made when first needed.
    wait_s
        How long a call waits for a free interpreter, in seconds.

    Raises
    ------
    StorageError, InputError
        If the file is damaged, or not an image classifier.
    """

    def __init__(self, path: Path, threads: int = 1, *, logits: bool = False,
                 interpreters: int = INTERPRETERS, wait_s: float = WAIT_S) -> None:
        self._path, self._threads, self._logits, self._wait_s = path, threads, logits, wait_s
        first = LiteRT(path, threads)
        self.input_shape = first.input_shape
        self.classes = first.classes
        self.bytes = path.stat().st_size
        self._idle = [first]
        self._permits = threading.BoundedSemaphore(interpreters)
        self._closed = False

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities, float32 ``[n, k]``, for prepared images, float32 ``[n, h, w, c]``.

        Rows of a quantized file sum to 1 only within its output step (1/256 for int8).

        Raises
        ------
        InputError
            If the images do not have the model's shape, or the model does not answer with numbers.
        BusyError
            If no interpreter came free in time.
        StorageError
            If the interpreter fails on the file.
        """
        if batch.ndim != 4 or batch.shape[1:] != self.input_shape:
            raise InputError(
                N_("The model expects images of {expected}, but got {got}."),
                expected=" x ".join(map(str, self.input_shape)),
                got=" x ".join(map(str, batch.shape[1:])))
        with self._borrow() as interpreter:
            rows = interpreter.run(batch)
        if not np.isfinite(rows).all():
            raise InputError(
                N_("The model {file} gives scores that are not numbers. Import it again."),
                file=self._path.name)
        return softmax(rows) if self._logits else np.clip(rows, 0.0, 1.0)

    def close(self) -> None:
        """Let go of the interpreters; running calls finish, later ones raise StorageError."""
        self._closed = True
        self._idle.clear()

    @contextmanager
    def _borrow(self) -> Iterator[LiteRT]:
        if not self._permits.acquire(timeout=self._wait_s):
            raise BusyError(N_("The model is busy with other photos. Try again in a few seconds."))
        interpreter = None
        try:
            if self._closed:
                raise StorageError(N_("The model has been closed. Load it again."))
            try:
                interpreter = self._idle.pop()
            except IndexError:
                interpreter = LiteRT(self._path, self._threads)
            yield interpreter
        finally:
            if interpreter is not None and not self._closed:
                self._idle.append(interpreter)
            self._permits.release()


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``exp(scores) / sum`` along the last axis, float32, without overflow."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: NDArray[np.float32] = (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)
    return shares


_kept: OrderedDict[tuple[Path, int, int, bool], Classifier] = OrderedDict()
_lock = threading.Lock()


def classifier(path: Path, threads: int = 1, *, logits: bool = False) -> Classifier:
    """Return this process's classifier of ``path``, made anew when the file changes.

    The four used last stay in memory; one that falls out finishes its running calls and is freed.

    Raises
    ------
    StorageError, InputError
        As :class:`Classifier`.
    """
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise StorageError(UNREADABLE, file=path.name) from error
    key = (path, changed, threads, logits)
    with _lock:
        if key not in _kept:
            _kept[key] = Classifier(path, threads, logits=logits)
        _kept.move_to_end(key)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
        return _kept[key]
