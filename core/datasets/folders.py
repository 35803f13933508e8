"""Photos in a folder of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from core.datasets.naming import is_passed_over, is_photo
from core.errors import InputError, StorageError
from core.images import display_name, has_hidden_characters
from core.locales import N_
from core.settings import Limits


class FolderSource:
    """The photos under one folder.

    A link is followed only where it stays inside the folder: a set that someone else made must not
    bring in files from elsewhere.

    Parameters
    ----------
    path
        The folder.
    limits
        ``photo_mb`` bounds each file, ``dataset_images`` the photos.

    Raises
    ------
    InputError
        If there are too many photos, a link leads out of the folder, or a name has invisible characters.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path.resolve()
        self.name = display_name(self.path.name)
        self._largest = int(limits.photo_mb * 1e6)
        self.paths = sorted(self._find(limits))

    def read(self, parts: tuple[str, ...]) -> bytes:
        """Return one file's bytes, at most one more than the limit."""
        try:
            with self.path.joinpath(*parts).open("rb") as file:
                return file.read(self._largest + 1)
        except OSError as error:
            raise StorageError(
                N_("The data '{file}' could not be read from the disk. Try again."),
                file=display_name(parts[-1]),
            ) from error

    def _find(self, limits: Limits) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = []
        for folder, folders, names in os.walk(self.path, onerror=_refuse):
            here = Path(folder)
            for name in [*folders, *names]:
                parts = (*here.relative_to(self.path).parts, name)
                if is_passed_over(parts):
                    continue
                self._check_name(here / name, name)
                if name in folders or not is_photo(parts) or not (here / name).is_file():
                    continue
                found.append(parts)
                if len(found) > limits.dataset_images:
                    raise InputError(
                        N_("'{file}' holds more than {limit} photos, the most that is read. Use fewer."),
                        file=self.name, limit=limits.dataset_images,
                    )
            folders[:] = sorted(name for name in folders if not is_passed_over((name,)))
        return found

    def _check_name(self, path: Path, name: str) -> None:
        if has_hidden_characters(name):
            raise InputError(
                N_("'{name}' in the data has invisible characters in its name. Rename it."),
                name=display_name(name),
            )
        if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(self.path)):
            raise InputError(
                N_("'{name}' in the data is a link that leads elsewhere. Put the files themselves there."),
                name=display_name(name),
            )


def _refuse(error: OSError) -> None:
    raise InputError(
        N_("The folder '{name}' cannot be read. Check its permissions."),
        name=display_name(str(error.filename)),
    ) from error
