"""Activations on disk, batch by batch, in half precision.

Ordinary files rather than memory maps: what was read counts as the system's cache, not as this process's memory.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from core.errors import StorageError
from core.locales import N_

_HALF_LIMIT = 6.0e4


class Spool:
    """Arrays by (tensor, batch) in a folder of its own, removed by ``close``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._dtypes: dict[tuple[str, int], np.dtype[Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str, batch: int) -> Path:
        return self.folder / f"{name}-{batch}.npy"

    def write(self, name: str, batch: int, value: Any) -> None:
        """Store one batch of a tensor, as float16 unless its values are too large or not floating.

        Raises
        ------
        StorageError
            If the disk refuses.
        """
        array = np.asarray(value)
        self._dtypes[name, batch] = array.dtype
        if array.dtype == np.float32 and (not array.size or max(array.max(), -array.min()) < _HALF_LIMIT):
            # NumPy casts to half precision on one core and takes three times as long.
            array = tf.cast(array, tf.float16).numpy()
        try:
            np.save(self._path(name, batch), array)
        except OSError as error:
            raise StorageError(
                N_("Intermediate results could not be written to {folder}: {reason}. Free some space there."),
                folder=str(self.folder), reason=error.strerror or str(error),
            ) from error

    def read(self, name: str, batch: int) -> np.ndarray[Any, Any]:
        """Return what was stored, in its first precision (rounded to float16 in between)."""
        stored: np.ndarray[Any, Any] = np.load(self._path(name, batch))
        wanted = self._dtypes[name, batch]
        return stored if stored.dtype == wanted else np.asarray(tf.cast(stored, wanted))

    def drop(self, name: str) -> None:
        """Remove every batch of a tensor."""
        for key in [key for key in self._dtypes if key[0] == name]:
            self._path(*key).unlink(missing_ok=True)
            del self._dtypes[key]
