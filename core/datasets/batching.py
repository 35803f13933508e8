"""From a dataset to the batches that a model takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from core.datasets.base import Dataset
from core.errors import InputError
from core.images import Preprocessing, prepare


def batches(
    dataset: Dataset, indices: Iterable[int], preprocessing: Preprocessing, size: int = 32
) -> Iterator[NDArray[np.float32]]:
    """Yield prepared images in order, ``size`` at a time; only one batch is in memory.

    Yields
    ------
    numpy.ndarray
        float32 ``[b, h, w, c]``; the last batch may be smaller.

    Raises
    ------
    InputError
        If an image cannot be read; the message names it.
    """
    batch: list[NDArray[np.float32]] = []
    for index in indices:
        batch.append(prepare(dataset.image(int(index)), preprocessing))
        if len(batch) == size:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def unreadable(dataset: Dataset, indices: Iterable[int] | None = None) -> dict[int, InputError]:
    """Decode every image once and return those that cannot be read: index to what is wrong.

    For checking a set when it arrives, before minutes are spent on it.
    """
    found: dict[int, InputError] = {}
    for index in range(len(dataset)) if indices is None else indices:
        try:
            dataset.image(int(index))
        except InputError as error:
            found[int(index)] = error
    return found
