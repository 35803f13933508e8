"""Image sets made of photo files, wherever these lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.datasets.base import Indices, digest_of
from core.datasets.layout import arrange
from core.errors import InputError
from core.images import display_name, read_photo
from core.locales import N_
from core.settings import Limits


class Source(Protocol):
    """Something that lists photo files and reads one."""

    @property
    def name(self) -> str:
        """The file's or folder's name, fit to be shown."""

    @property
    def paths(self) -> list[tuple[str, ...]]:
        """The parts of each photo's path, sorted."""

    def read(self, parts: tuple[str, ...]) -> bytes:
        """Return one file's bytes."""


class PhotoFiles:
    """The photos of a folder or a zip, decoded when asked for.

    Raises
    ------
    InputError
        If the arrangement of folders cannot be understood (see ``core.datasets.layout.arrange``).
    """

    def __init__(self, source: Source, limits: Limits, name: str | None = None) -> None:
        self.name = name or source.name
        self._source, self._limits = source, limits
        self._paths = source.paths
        places = arrange(self._paths, self.name)
        labels = sorted({place.label for place in places if place.label is not None})
        self.ids = [place.path for place in places]
        self.classes: list[str] | None = labels or None
        self.targets: Indices | None = None
        if labels:
            numbers = {label: i for i, label in enumerate(labels)}
            self.targets = np.array([numbers[place.label or ""] for place in places], np.int64)
        split_of = np.array([place.split or "" for place in places])
        self.splits: Mapping[str, Indices] = {
            split: np.flatnonzero(split_of == split)
            for split in ("train", "validation", "test") if (split_of == split).any()
        }
        self._digests: dict[int, str] = {}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all files' bytes and classes; reads everything once."""
        return digest_of(self)

    def __len__(self) -> int:
        return len(self.ids)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return one photo, upright: uint8 ``[h, w, 3]``."""
        data = self._source.read(self._paths[index])
        try:
            return np.asarray(read_photo(data, self._limits))
        except InputError as error:
            raise InputError(
                N_("'{name}' in the data '{data}' is not a photo that can be read. "
                   "Remove or replace it."),
                name=display_name(self._paths[index][-1]), data=self.name,
            ) from error

    def sha256(self, index: int) -> str:
        """Return the digest of one file's bytes."""
        if index not in self._digests:
            data = self._source.read(self._paths[index])
            self._digests[index] = hashlib.sha256(data).hexdigest()
        return self._digests[index]
