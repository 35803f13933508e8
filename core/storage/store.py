"""One store for artifacts, whatever it stands on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem

from core.errors import InputError, StorageError
from core.locales import N_
from core.storage.caching import default_cache
from core.storage.retrying import attempt, refusal

T = TypeVar("T")
_CHUNK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = ".unfinished"
CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0


@dataclass(frozen=True)
class Artifact:
    """A stored file: the name to show it under, its length in bytes and its SHA-256 (hex)."""

    name: str
    bytes: int
    sha256: str


class Storage:
    """Files addressed by content: equal content is stored once, and what comes back is what went in.

    A file lies at ``<root>/<first two digits>/<sha256>``. It appears there complete or not at all: on a
    disk by renaming a finished temporary file, in an object store by the upload's own completion. Two
    writers of the same content therefore do each other no harm.

    Parameters
    ----------
    url
        ``file:///folder`` (or a path), ``s3://bucket/prefix``, or any address that fsspec knows. An
        S3-compatible server is named by ``AWS_ENDPOINT_URL`` in the environment, where credentials
        belong too; an address that contains any is refused.
    cache
        Folder for local copies of remote files; by default one of this user below the
        temporary folder.
    pause
        Waits between tries, in seconds.

    Raises
    ------
    InputError
        If the address carries credentials or is of a kind that is not installed.
    """

    def __init__(
        self, url: str, cache: Path | None = None, pause: Callable[[float], None] = time.sleep
    ) -> None:
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise InputError(
                N_("The storage address contains credentials. Put them into the environment instead.")
            )
        self._url, self._pause = url, pause
        try:
            self._fs, root = fsspec.core.url_to_fs(url, **_options(parts.scheme))
        except (ImportError, ValueError) as error:
            raise InputError(
                N_("The storage address of kind '{scheme}' is not supported here. "
                   "Install its fsspec package or use another."),
                scheme=parts.scheme,
            ) from error
        self._root = str(root).rstrip("/")
        self._remote = not isinstance(self._fs, LocalFileSystem)
        self._cache = cache

    def __reduce__(self) -> tuple[Any, ...]:
        return Storage, (self._url, self._cache)

    def put(self, content: Path | bytes, name: str | None = None) -> Artifact:
        """Store a file or bytes; storing the same again changes nothing, and repairs a damaged copy.

        Parameters
        ----------
        content
            A file's path, or the bytes.
        name
            The name to show; by default the path's last part, or the digest.

        Raises
        ------
        StorageError
            If the store refuses (a full disk, no permission, no answer after several tries). Nothing
            half-written stays behind.
        """
        digest, size = self._local(lambda: _measure(content))
        artifact = Artifact(name or (content.name if isinstance(content, Path) else digest), size, digest)
        if not self._holds(digest, size):
            if self._remote:
                self._try(lambda: self._upload(content, digest))
                if not self._holds(digest, size):
                    raise refusal(True, "incomplete")
            else:
                self._local(lambda: self._write(content, digest))
        return artifact

    def exists(self, sha256: str) -> bool:
        """Whether something is stored under this digest; its content is not looked at."""
        return bool(self._try(lambda: self._fs.exists(self._place(sha256))))

    def path(self, sha256: str) -> Path:
        """Return a local file with exactly this content; read it, never write to it.

        Raises
        ------
        StorageError
            If it is not there, or its content is another one.
        """
        if not self._remote:
            path = Path(self._place(sha256))
            self._verify(path, sha256)
            return path
        cache = self._local(self._cached)
        path = cache / sha256
        with contextlib.suppress(StorageError):
            self._verify(path, sha256)
            return path
        temporary = cache / f"{uuid.uuid4().hex}{_UNFINISHED}"
        try:
            self._found(lambda: self._fs.get_file(self._place(sha256), str(temporary)), sha256)
            self._verify(temporary, sha256)
            self._local(lambda: temporary.replace(path))
        finally:
            temporary.unlink(missing_ok=True)
        return path

    def read(self, sha256: str) -> bytes:
        """Return the content as bytes, verified; errors as ``path``."""
        if not self._remote:
            content = self._found(lambda: Path(self._place(sha256)).read_bytes(), sha256)
        else:
            content = self._found(lambda: bytes(self._fs.cat_file(self._place(sha256))), sha256)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise _damaged(sha256)
        return content

    def delete(self, sha256: str) -> None:
        """Remove one file; one that is not there is no error."""
        with contextlib.suppress(FileNotFoundError):
            self._try(lambda: self._fs.rm_file(self._place(sha256)))
        if self._remote:
            self._local(lambda: (self._cached() / sha256).unlink(missing_ok=True))

    def digests(self) -> Iterator[str]:
        """Yield the SHA-256 of everything stored, sorted."""
        if not self._try(lambda: self._fs.exists(self._root)):
            return
        for path in sorted(self._try(lambda: self._fs.find(self._root))):
            name = str(path).rsplit("/", 1)[-1]
            if _DIGEST.fullmatch(name):
                yield name

    def clean(self, older: float = 3600) -> int:
        """Remove what killed writers left unfinished more than ``older`` seconds ago; return how many."""
        removed = 0
        if not self._remote:
            for path in Path(self._root).glob(f"*/*{_UNFINISHED}"):
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime >= older:
                        path.unlink()
                        removed += 1
        return removed

    def _place(self, sha256: str) -> str:
        if not _DIGEST.fullmatch(sha256):
            raise StorageError(N_("'{digest}' is not an artifact's SHA-256."), digest=sha256[:80])
        return f"{self._root}/{sha256[:2]}/{sha256}"

    def _cached(self) -> Path:
        folder = self._cache or default_cache()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def _holds(self, digest: str, size: int) -> bool:
        place = self._place(digest)
        try:
            if self._remote:
                self._fs.invalidate_cache()
                return int(self._try(lambda: self._fs.info(place))["size"]) == size
            return _measure(Path(place))[0] == digest
        except FileNotFoundError:
            return False
        except OSError:
            return False

    def _write(self, content: Path | bytes, digest: str) -> None:
        place = Path(self._place(digest))
        temporary = place.with_name(f"{uuid.uuid4().hex}{_UNFINISHED}")
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                for chunk in _chunks(content):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if _measure(temporary)[0] != digest:
                raise OSError("changed while it was copied")
            temporary.replace(place)
            _sync(place.parent)
        finally:
            temporary.unlink(missing_ok=True)

    def _upload(self, content: Path | bytes, digest: str) -> None:
        try:
            if isinstance(content, Path):
                self._fs.put_file(str(content), self._place(digest))
            else:
                self._fs.pipe_file(self._place(digest), content)
        except FileNotFoundError:
            raise refusal(True, "NoSuchBucket") from None

    def _verify(self, path: Path, sha256: str) -> None:
        if self._found(lambda: _measure(path), sha256, remote=False)[0] != sha256:
            raise _damaged(sha256)

    def _found(self, action: Callable[[], T], sha256: str, remote: bool | None = None) -> T:
        try:
            return attempt(action, self._remote if remote is None else remote, self._pause)
        except FileNotFoundError:
            raise StorageError(
                N_("The stored file {digest} is missing. Run again what made it."), digest=sha256[:12]
            ) from None

    def _try(self, action: Callable[[], T]) -> T:
        return attempt(action, self._remote, self._pause)

    def _local(self, action: Callable[[], T]) -> T:
        try:
            return attempt(action, False, self._pause)
        except FileNotFoundError as error:
            raise refusal(False, type(error).__name__) from error


def _options(scheme: str) -> dict[str, Any]:
    if scheme != "s3":
        return {}
    # The retries here are the only ones: botocore's own would multiply with them.
    return {"config_kwargs": {"retries": {"total_max_attempts": 1},
                              "connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}}


def _chunks(content: Path | bytes) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _measure(content: Path | bytes) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(content):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def _sync(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can open folders."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _damaged(sha256: str) -> StorageError:
    return StorageError(
        N_("The stored file {digest} is damaged. Run again what made it."), digest=sha256[:12]
    )
