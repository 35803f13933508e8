"""What every image set offers, whatever it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


@runtime_checkable
class Dataset(Protocol):
    """An ordered, unchanging set of images, with or without classes.

    All implementations can be pickled (they carry paths, not open files) and read from several threads.
    """

    @property
    def name(self) -> str:
        """What people call it: a built-in name or a file name, never a path."""

    @property
    def classes(self) -> list[str] | None:
        """The class names that ``targets`` count, or None for unlabelled images."""

    @property
    def ids(self) -> list[str]:
        """A name for each image, unique within the set."""

    @property
    def targets(self) -> Indices | None:
        """int64 ``[n]``: an index into ``classes`` for each image."""

    @property
    def splits(self) -> Mapping[str, Indices]:
        """The division that the set itself comes with: name to int64 indices; often empty."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all contents and classes in order, whatever container they came in."""

    def __len__(self) -> int:
        """Return the number of images."""

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return one image: uint8 RGB ``[h, w, 3]``, or ``[h, w, 1]`` for grey sets.

        Raises
        ------
        InputError
            If its file is not a photo that can be read; the message names it.
        """

    def sha256(self, index: int) -> str:
        """Return the SHA-256 (hex) of one image's stored bytes, by which duplicates are known."""


class Subset:
    """Some images of another set, in the order of ``indices``; classes keep their numbers."""

    def __init__(self, whole: Dataset, indices: Sequence[int] | Indices, name: str) -> None:
        self.whole = whole
        self.indices: Indices = np.asarray(indices, np.int64)
        self.name = name
        self.splits: Mapping[str, Indices] = {}

    @property
    def classes(self) -> list[str] | None:
        """Those of the whole set."""
        return self.whole.classes

    @cached_property
    def ids(self) -> list[str]:
        """The chosen images' names."""
        names = self.whole.ids
        return [names[i] for i in self.indices]

    @property
    def targets(self) -> Indices | None:
        """int64 ``[n]``, or None."""
        targets = self.whole.targets
        return None if targets is None else targets[self.indices]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the chosen images."""
        return digest_of(self)

    def __len__(self) -> int:
        return len(self.indices)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return one image of the whole set."""
        return self.whole.image(int(self.indices[index]))

    def sha256(self, index: int) -> str:
        """Return the digest of one image of the whole set."""
        return self.whole.sha256(int(self.indices[index]))


def digest_of(dataset: Dataset) -> str:
    """Return the SHA-256 (hex) over every image's digest and class name, in order.

    File and folder names of single images do not enter, so a folder and the zip made of it agree.
    """
    total = hashlib.sha256()
    classes, targets = dataset.classes, dataset.targets
    for index in range(len(dataset)):
        label = "" if classes is None or targets is None else classes[targets[index]]
        total.update(f"{dataset.sha256(index)}\t{label}\n".encode())
    return total.hexdigest()


def digests(dataset: Dataset, parts: Mapping[str, Indices]) -> dict[str, list[str]]:
    """Return, for the record of a run, which images were in which part: SHA-256 (hex) per image."""
    return {name: [dataset.sha256(int(i)) for i in indices] for name, indices in parts.items()}
