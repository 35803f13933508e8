"""How the files of a folder or an archive become splits and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.datasets.naming import class_name
from core.errors import InputError
from core.images import display_name
from core.locales import N_

SPLITS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}


@dataclass(frozen=True)
class Place:
    """Where one photo belongs."""

    path: str
    split: str | None
    label: str | None


def arrange(paths: Sequence[tuple[str, ...]], source: str) -> list[Place]:
    """Assign a split and a class to each photo.

    Folders that all photos share are a wrapping and count for nothing, as long as they still leave a
    folder for each photo; so a single folder of photos is one class, not a wrapping. When every photo
    then lies under a folder named like a split (train, validation or val, test), that is its split. The
    next folder is its class; photos without one are unlabelled.

    Parameters
    ----------
    paths
        The parts of each photo's path.
    source
        The data's name, for messages.

    Returns
    -------
    list of Place
        One for each path, in order; ``path`` is without the wrapping.

    Raises
    ------
    InputError
        If there are no photos, if some are in class folders and some are not, or if a folder's name
        cannot be a class.
    """
    if not paths:
        raise InputError(
            N_("'{data}' holds no photos. Add JPEG, PNG, WebP, BMP or GIF files, "
               "in one folder for each class."),
            data=source,
        )
    wrapping = _wrapping(paths)
    bare = [parts[wrapping:] for parts in paths]
    splits = [SPLITS.get(parts[0].casefold()) if len(parts) > 1 else None for parts in bare]
    if not all(splits):
        splits = [None] * len(bare)
    depth = 0 if splits[0] is None else 1
    labelled = {len(parts) > depth + 1 for parts in bare}
    if len(labelled) > 1:
        odd = next(parts for parts in bare if len(parts) == depth + 1)
        raise InputError(
            N_("In '{data}' some photos are in class folders and others, such as '{file}', are not. "
               "Put every photo into a class folder, or none."),
            data=source, file=display_name(odd[-1]),
        )
    names: dict[str, str] = {}
    places = []
    for parts, split in zip(bare, splits, strict=True):
        label = None
        if len(parts) > depth + 1:
            folder = parts[depth]
            label = names[folder] if folder in names else names.setdefault(folder, class_name(folder))
        places.append(Place("/".join(parts), split, label))
    return places


def _wrapping(paths: Sequence[tuple[str, ...]]) -> int:
    depth = 0
    while all(len(parts) > depth + 2 for parts in paths):
        if len({parts[depth] for parts in paths}) > 1 or paths[0][depth].casefold() in SPLITS:
            break
        depth += 1
    return depth
