"""Divide a set so that no image, and no copy of one, is on two sides."""

from __future__ import annotations

import numpy as np

from core.datasets.base import Dataset, Indices
from core.errors import InputError
from core.locales import N_


def split(
    data: int | Indices | Dataset, seed: int, **sizes: int | float | None
) -> dict[str, Indices]:
    """Divide images into named parts, disjoint by construction.

    Images are put in one order and the parts are cut from it one after the other. With classes the order
    is stratified: every stretch of it holds each class in proportion, to within one image. Of images
    with the same bytes only the first counts; its copies follow it into the remainder or are left out,
    so that a sized part has exactly its size and none meets its own copy on the other side.

    Parameters
    ----------
    data
        A number of images, int64 targets ``[n]``, or a dataset (then its targets and contents count).
    seed
        Decides the order.
    **sizes
        Name of a part and its number of images, a fraction between 0 and 1 of all different images, or
        None for the remainder (one part at most).

    Returns
    -------
    dict
        Name to sorted int64 indices.

    Raises
    ------
    InputError
        If there are fewer different images than the parts need, or a size makes no sense.
    """
    targets, twins = _describe(data)
    first = np.flatnonzero(twins == np.arange(len(twins)))
    counts = {name: _count(name, size, len(first)) for name, size in sizes.items()}
    fixed = sum(count for count in counts.values() if count is not None)
    open_ended = [name for name, count in counts.items() if count is None]
    if len(open_ended) > 1:
        raise InputError(N_("Only one part of the data can be the remainder. Give the others a size."))
    if fixed + len(open_ended) > len(first):
        raise InputError(
            N_("The data has {n} different images; {needed} are needed. Add images or ask for fewer."),
            n=len(first), needed=fixed + len(open_ended),
        )
    order = first[_stratified(targets[first], np.random.default_rng(seed))]
    parts: dict[str, Indices] = {}
    start = 0
    for name, count in counts.items():
        if count is not None:
            parts[name] = np.sort(order[start:start + count])
            start += count
    for name in open_ended:
        parts[name] = np.flatnonzero(np.isin(twins, order[start:])).astype(np.int64)
    return {name: parts[name] for name in sizes}


def _describe(data: int | Indices | Dataset) -> tuple[Indices, Indices]:
    """Return the targets ``[n]`` and, for each image, the index of the first with the same bytes."""
    if isinstance(data, int | np.integer):
        return np.zeros(int(data), np.int64), np.arange(int(data))
    if isinstance(data, np.ndarray):
        return data.astype(np.int64), np.arange(len(data))
    seen: dict[str, int] = {}
    twins = [seen.setdefault(data.sha256(i), i) for i in range(len(data))]
    targets = data.targets
    return np.zeros(len(data), np.int64) if targets is None else targets, np.array(twins, np.int64)


def _count(name: str, size: int | float | None, available: int) -> int | None:
    if size is None:
        return None
    if isinstance(size, float) and 0 < size < 1:
        return max(1, round(size * available))
    if size != int(size) or size < 1:
        raise InputError(
            N_("{size} is not a size for the part '{part}'. Use a whole number, or a fraction below 1."),
            size=size, part=name,
        )
    return int(size)


def _stratified(targets: Indices, random: np.random.Generator) -> Indices:
    """Return an order in which every stretch holds each class in proportion."""
    place = np.empty(len(targets))
    for label in np.unique(targets):
        members = random.permutation(np.flatnonzero(targets == label))
        place[members] = (np.arange(len(members)) + random.random()) / len(members)
    return np.lexsort((random.random(len(targets)), place)).astype(np.int64)
