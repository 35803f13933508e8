"""Content addresses: the name of a prepared file says from which inputs it was made."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from functools import lru_cache
from pathlib import Path

from core.errors import NotFoundError
from core.locales import N_
from core.zoo.cards import ModelCard

RECIPE_OF_PREPARATION = 1  # raised when the way files are built changes, so that old ones are rebuilt


def weights_path(card: ModelCard, folder: Path, home: Path) -> Path | None:
    """Return the file that holds the card's weights, or None where there are none to read.

    Parameters
    ----------
    card
        The model's card.
    folder
        The folder of the card.
    home
        The model's folder in the data folder, where a person places a ``user`` file.

    Raises
    ------
    NotFoundError
        If the package that should hold the weights is not installed.
    """
    if card.weights.kind == "none":
        return None
    if card.weights.kind == "package":
        spec = importlib.util.find_spec(card.weights.package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            if found := next(iter(sorted(Path(place).rglob(card.weights.file))), None):
                return found
        raise NotFoundError(
            N_("The package {package} with the weights of {name} is not installed. Run pip install -r "
               "requirements.txt."),
            package=card.weights.package, name=card.name,
        )
    return (home if card.weights.kind == "user" else folder) / card.weights.file


@lru_cache(maxsize=64)
def _digest(path: Path, mtime_ns: int, size: int) -> str:
    del mtime_ns, size
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, hashed again only when its time or size changed."""
    status = path.stat()
    return _digest(path, status.st_mtime_ns, status.st_size)


def fingerprint(card: ModelCard, folder: Path, home: Path) -> str:
    """Return 12 hexadecimal digits over everything that decides what the prepared files contain.

    A ``user`` file counts by its content; any other by the SHA-256 that the card states, which is checked
    when the file is read.
    """
    weights = card.weights.sha256
    if card.weights.kind == "user":
        path = weights_path(card, folder, home)
        weights = file_digest(path) if path is not None and path.exists() else ""
    inputs = {
        "recipe": RECIPE_OF_PREPARATION,
        "weights": weights,
        "architecture": card.architecture,
        "input": card.input.shape,
        "preprocessing": card.preprocessing.model_dump(mode="json"),
        "classes": card.classes,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]
