"""What a run keeps after each finished step, so that a lost worker costs one step at most."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras

from core.engine.canonical import read_model, write_model
from core.engine.methods.frame import Array, Promise, State
from core.errors import InputError
from core.recipes import Recipe


def identity(model: tf_keras.Model, recipe: Recipe, seed: int, images: Mapping[str, Array]) -> str:
    """Return the SHA-256 of everything that decides what a run does: model, recipe, seed and images.

    Of large image arrays a sample of evenly spaced images is read.
    """
    digest = hashlib.sha256(model.to_json().encode())
    for weights in model.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    digest.update(json.dumps([step.as_dict() for step in recipe.steps], sort_keys=True).encode())
    digest.update(str(seed).encode())
    for name, array in sorted(images.items()):
        digest.update(f"{name}{array.shape}".encode())
        for index in np.unique(np.linspace(0, len(array) - 1, 16).astype(int)) if len(array) else ():
            digest.update(np.ascontiguousarray(array[index]).tobytes())
    return digest.hexdigest()


class Checkpoints:
    """One folder with the model, masks, promise and records after the last finished step."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key

    def save(self, state: State, records: list[dict[str, Any]]) -> None:
        """Keep the state after step ``len(records)``; the one before is dropped once this one is whole."""
        partial = self.folder / f".step-{len(records)}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_model(state.model, partial / "model")
        masks: dict[str, Any] = dict(state.masks)
        np.savez(partial / "masks.npz", **masks)
        content = {"key": self.key, "records": records, "promise": asdict(state.promise)}
        (partial / "state.json").write_text(json.dumps(content), "utf-8")
        final = self.folder / f"step-{len(records)}"
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        shutil.rmtree(self.folder / f"step-{len(records) - 1}", ignore_errors=True)

    def load(self, state: State) -> tuple[State, list[dict[str, Any]]]:
        """Return the last state kept for the same run, or ``state`` and no records."""
        for folder in sorted(self.folder.glob("step-*"), key=_number, reverse=True):
            try:
                content = json.loads((folder / "state.json").read_text("utf-8"))
                if content["key"] != self.key:
                    continue
                with np.load(folder / "masks.npz", allow_pickle=False) as stored:
                    masks = {name: stored[name] for name in stored.files}
                promise = content["promise"]
                kept = Promise(**{**promise, "two_four": tuple(promise["two_four"]),
                                  "float_layers": tuple(promise["float_layers"])})
                model = read_model(folder / "model")
            except (OSError, ValueError, KeyError, TypeError, InputError):
                continue
            return State(model, state.original, masks, kept), list(content["records"])
        return state, []

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _number(folder: Path) -> int:
    return int(folder.name.rsplit("-", 1)[1])
