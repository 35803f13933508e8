"""Zip files from strangers: what they declare is checked before anything in them is read.

Nothing is ever unpacked to disk. A member is read into memory when its image is asked for, and never
beyond the size that the directory declared and the checks allowed.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
import threading
import zipfile
from pathlib import Path
from typing import Any

from core.datasets.naming import is_passed_over, is_photo, safe_parts
from core.errors import InputError, StorageError
from core.images import display_name
from core.locales import N_
from core.settings import Limits

_RECORD = re.compile(b"PK\x01\x02")
_LOCAL_HEADER = 30
_LARGEST_RATIO = 200
# Flat pictures in an uncompressed format deflate better than that; under this size it harms nobody.
_RATIO_FROM = 1_000_000
_TOTAL_BYTES = 2**30
_ENCRYPTED = 0x1 | 0x40 | 0x2000

_DAMAGED = N_("'{file}' is not a zip archive that can be read. Make it anew.")
_OVERLAP = N_("Files inside '{file}' overlap, which no ordinary archive does. Make it anew.")
_TOO_MUCH = N_("'{file}' unpacks to more than {limit} MB. Use smaller photos or fewer of them.")


class ZipSource:
    """The photos of one zip, open lazily, once per process; reading is safe from several threads.

    Parameters
    ----------
    path
        The archive.
    limits
        ``dataset_mb`` bounds the file, ``photo_mb`` each member, ``dataset_images`` the photos.

    Raises
    ------
    InputError
        If the file is not a zip or any member breaks a rule: overlapping data, encryption, a compression
        other than stored or deflated, links and devices, unsafe or double names, too many members, too
        large a member, total or compression ratio.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.name = display_name(path.name)
        self._largest = int(limits.photo_mb * 1e6)
        self._lock = threading.Lock()
        self._open: tuple[int, zipfile.ZipFile] | None = None
        try:
            self.members = self._check(limits)
        except InputError:
            self.close()
            raise

    @property
    def paths(self) -> list[tuple[str, ...]]:
        """The parts of each photo's path, sorted."""
        return list(self.members)

    def read(self, parts: tuple[str, ...]) -> bytes:
        """Return one member's bytes.

        Raises
        ------
        InputError
            If its data is damaged, or not what the directory declared.
        """
        try:
            with self._archive().open(self.members[parts]) as file:
                data = file.read(self._largest + 1)
                while len(data) <= self._largest and (more := file.read(self._largest)):
                    data += more
        except OSError as error:
            raise StorageError(
                N_("The data '{file}' could not be read from the disk. Try again."), file=self.name
            ) from error
        except Exception as error:  # zipfile and zlib leak BadZipFile, error, EOFError, struct.error
            raise self._bad_member(parts) from error
        if len(data) != self.members[parts].file_size:
            raise self._bad_member(parts)
        return data

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        with self._lock:
            if self._open is not None and self._open[0] == os.getpid():
                self._open[1].close()
            self._open = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "_open": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def _archive(self) -> zipfile.ZipFile:
        # A forked child shares the file position of its parent's handle, so each process has its own.
        with self._lock:
            if self._open is None or self._open[0] != os.getpid():
                self._open = os.getpid(), zipfile.ZipFile(self.path)
            return self._open[1]

    def _check(self, limits: Limits) -> dict[tuple[str, ...], zipfile.ZipInfo]:
        most = 2 * limits.dataset_images + 1000
        try:
            size = self.path.stat().st_size
            if size > limits.dataset_mb * 1e6:
                raise InputError(
                    N_("'{file}' has {size} MB; at most {limit} MB are read. "
                       "Use smaller photos or fewer of them."),
                    file=self.name, size=round(size / 1e6), limit=f"{limits.dataset_mb:g}",
                )
            if not zipfile.is_zipfile(self.path):
                raise InputError(_DAMAGED, file=self.name)
            if _records(self.path, most) > most:
                raise self._too_many(limits)
            archive = self._archive()
        except OSError as error:
            raise InputError(N_("'{file}' cannot be opened. Check that it exists and is readable."),
                             file=self.name) from error
        except InputError:
            raise
        except Exception as error:  # a malformed directory: BadZipFile, NotImplementedError, struct.error
            raise InputError(_DAMAGED, file=self.name) from error
        members = self._members(archive.infolist(), limits)
        self._check_overlap(archive)
        if len(members) > limits.dataset_images:
            raise self._too_many(limits)
        return dict(sorted(members.items()))

    def _members(
        self, infos: list[zipfile.ZipInfo], limits: Limits
    ) -> dict[tuple[str, ...], zipfile.ZipInfo]:
        seen: set[tuple[str, ...]] = set()
        members: dict[tuple[str, ...], zipfile.ZipInfo] = {}
        total, allowed = 0, max(_TOTAL_BYTES, int(2 * limits.dataset_mb * 1e6))
        for info in infos:
            parts = safe_parts(info.orig_filename)
            self._check_member(info)
            total += info.file_size
            if total > allowed:
                raise InputError(_TOO_MUCH, file=self.name, limit=allowed // 1_000_000)
            if info.is_dir() or not parts:
                continue
            if parts in seen:
                raise InputError(
                    N_("'{file}' holds two files named '{name}'. Make the archive anew."),
                    file=self.name, name=display_name(parts[-1]),
                )
            seen.add(parts)
            if not is_passed_over(parts) and is_photo(parts):
                members[parts] = info
        return members

    def _check_member(self, info: zipfile.ZipInfo) -> None:
        name = display_name(info.orig_filename)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(
                N_("'{name}' in the archive is a link or a device, not a file. Remove it."), name=name
            )
        if info.flag_bits & _ENCRYPTED:
            raise InputError(
                N_("'{file}' is protected with a password. Make it anew without one."), file=self.name
            )
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                N_("'{file}' uses an uncommon compression. Make it anew with the ordinary one."),
                file=self.name,
            )
        if info.file_size > self._largest:
            raise InputError(
                N_("'{name}' in the archive has {size} MB; at most {limit} MB are read. "
                   "Remove it or save it smaller."),
                name=name, size=round(info.file_size / 1e6), limit=f"{self._largest / 1e6:g}",
            )
        if info.file_size > max(_RATIO_FROM, _LARGEST_RATIO * info.compress_size):
            raise InputError(
                N_("'{name}' in the archive is compressed beyond what a photo can be. Remove it."),
                name=name,
            )

    def _check_overlap(self, archive: zipfile.ZipFile) -> None:
        end = -1
        for info in sorted(archive.infolist(), key=lambda each: each.header_offset):
            if info.header_offset < max(end, 0):
                raise InputError(_OVERLAP, file=self.name)
            end = info.header_offset + _LOCAL_HEADER + info.compress_size
        if end > archive.start_dir:
            raise InputError(_OVERLAP, file=self.name)

    def _bad_member(self, parts: tuple[str, ...]) -> InputError:
        return InputError(
            N_("'{name}' in '{file}' is damaged. Make the archive anew."),
            name=display_name(parts[-1]), file=self.name,
        )

    def _too_many(self, limits: Limits) -> InputError:
        return InputError(
            N_("'{file}' holds more than {limit} files, the most that is read. Use fewer."),
            file=self.name, limit=limits.dataset_images,
        )


def _records(path: Path, enough: int) -> int:
    """Count directory records without building an object for each, and stop when there are too many."""
    count = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        for count, _ in enumerate(_RECORD.finditer(view), 1):
            if count > enough:
                break
    return count
