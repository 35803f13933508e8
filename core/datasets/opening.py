"""From what a person typed or picked to a dataset."""

from __future__ import annotations

import difflib
from pathlib import Path

from core.datasets.archives import ZipSource
from core.datasets.base import Dataset, Subset
from core.datasets.builtin import PHOTOS, digits, photos
from core.datasets.downloads import DOWNLOADS, downloaded
from core.datasets.fetching import Progress
from core.datasets.folders import FolderSource
from core.datasets.layout import SPLITS
from core.datasets.photofiles import PhotoFiles
from core.errors import InputError
from core.images import display_name
from core.locales import N_
from core.settings import Settings

BUILT_IN = ("digits", "photos")


def open_dataset(
    spec: str | Path, settings: Settings, split: str | None = None, progress: Progress | None = None
) -> Dataset:
    """Open a set of images.

    Parameters
    ----------
    spec
        ``digits``; ``photos`` or ``photos:500`` (that many crops); the name of a download
        (``imagenette-160``, ``cifar-10``, ``fashion-mnist``), fetched on first use; or the path of a
        folder or zip of photos. A name may carry a split: ``digits:train``. To open a folder that is
        named like a built-in set, write ``./digits``.
    settings
        Limits, and the data folder that holds downloads.
    split
        ``train``, ``validation`` (or ``val``) or ``test``; None for all images, in which case
        ``splits`` of the result still tells them apart.
    progress
        Called during a download with the bytes that are here and the bytes in all, per file.

    Raises
    ------
    InputError
        If nothing of that name exists, the files cannot be used, or the set has no such split.
    StorageError
        If a download fails or does not have the expected content.
    """
    name, _, option = str(spec).partition(":")
    whole: Dataset
    if isinstance(spec, str) and name in (*BUILT_IN, *DOWNLOADS):
        if name == "photos":
            return photos(_number(option) if option else PHOTOS)
        split = option or split
        whole = digits() if name == "digits" else downloaded(name, settings, progress)
    else:
        whole = _from_disk(Path(spec).expanduser(), settings)
    return whole if split is None else _part(whole, split)


def open_for_evaluation(spec: str | Path, settings: Settings) -> Dataset:
    """Open the images on which a figure should be stated.

    That is the test part where the set has one, else the validation part, else everything.
    """
    whole = open_dataset(spec, settings)
    for split in ("test", "validation"):
        if split in whole.splits:
            return _part(whole, split)
    return whole


def _from_disk(path: Path, settings: Settings) -> Dataset:
    try:
        if path != Path() and path.is_dir():  # an empty field is no wish to read the current folder
            return PhotoFiles(FolderSource(path, settings.limits), settings.limits)
        if path.is_file():
            source = ZipSource(path, settings.limits)
            try:
                return PhotoFiles(source, settings.limits)
            except InputError:
                source.close()
                raise
    except (OSError, ValueError):  # names that no file system takes
        pass
    known = (*BUILT_IN, *DOWNLOADS)
    near = difflib.get_close_matches(str(path), known, n=1, cutoff=0)[0]
    raise InputError(
        N_("There is no data '{data}': give a folder or zip of photos, or a name such as '{nearest}'."),
        data=display_name(str(path)), nearest=near,
    )


def _part(whole: Dataset, split: str) -> Dataset:
    wanted = SPLITS.get(split.casefold(), split)
    if wanted not in whole.splits:
        raise InputError(
            N_("The data '{data}' has no part '{split}'; it has: {splits}."),
            data=whole.name, split=display_name(split), splits=", ".join(whole.splits) or "-",
        )
    return Subset(whole, whole.splits[wanted], f"{whole.name}:{wanted}")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise InputError(
            N_("'{text}' is not a number of images. Write for example photos:500."),
            text=display_name(text),
        )
    return int(text[:9])
