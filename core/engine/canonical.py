"""Our own form of a Keras model on disk: the architecture as JSON and the arrays as ``.npz``.

Neither holds code: the JSON passes the same gate as a stranger's, and the arrays are read without
pickle.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras

from core.engine.gate import check_config
from core.errors import InputError
from core.locales import N_

Array = np.ndarray[Any, np.dtype[Any]]


def write_arrays(model: tf_keras.Model, path: Path) -> None:
    """Write every weight of ``model`` to ``path`` (``.npz``) as ``NNN:name``, in Keras's order."""
    arrays = {f"{i:04d}:{w.name}": w.numpy() for i, w in enumerate(model.weights)}
    partial = path.with_name(f".{path.name}.partial.npz")
    np.savez(partial, **arrays)
    partial.replace(path)


def read_arrays(model: tf_keras.Model, path: Path) -> None:
    """Give ``model`` the weights that `write_arrays` wrote.

    Raises
    ------
    InputError
        If the file is missing or damaged, or its arrays do not fit the model.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            values = [stored[name] for name in sorted(stored.files)]
        model.set_weights(values)
    except Exception as error:  # zipfile and numpy raise a dozen kinds for a damaged file
        raise InputError(
            N_("The weights file {file} is missing, damaged, or of another architecture. "
               "Restore it from where it came."),
            file=path.name,
        ) from error


def write_model(model: tf_keras.Model, stem: Path) -> None:
    """Write ``model`` as ``<stem>.json`` and ``<stem>.npz``; the JSON appears last."""
    write_arrays(model, stem.with_name(stem.name + ".npz"))
    path = stem.with_name(stem.name + ".json")
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(model.to_json(), "utf-8")
    partial.replace(path)


def read_model(stem: Path) -> tf_keras.Model:
    """Read what `write_model` wrote. Raises InputError if a file is missing or not admitted."""
    path = stem.with_name(stem.name + ".json")
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            N_("The architecture file {file} is missing or damaged. Prepare the model again."),
            file=path.name,
        ) from error
    check_config(config, path.name)
    model = tf_keras.models.model_from_json(json.dumps(config))
    read_arrays(model, stem.with_name(stem.name + ".npz"))
    return model
