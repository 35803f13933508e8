"""Fetch one file over HTTP: resumed where it stopped, and kept only when its content is the expected one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pooch
import requests

from core.errors import StorageError
from core.locales import N_

_CHUNK = 1 << 16
_TRIES = 5
_TIMEOUT = 30.0
Progress = Callable[[int, int], None]


def fetch(
    url: str, folder: Path, size: int, sha256: str,
    progress: Progress | None = None, pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Return the local file of a URL, downloading what is missing of it.

    What has arrived is kept beside the file as ``.part``, so that a broken connection or a stopped
    process costs nothing. A server that does not know ranges is read from the start. Pooch checks the
    hash and puts the file in its place.

    Parameters
    ----------
    url
        Where it is.
    folder
        Where it goes, under its own name.
    size
        Its length in bytes; more is never read.
    sha256
        Its SHA-256, hex.
    progress
        Called with the bytes that are here and ``size``.
    pause
        Waits between tries, in seconds.

    Raises
    ------
    StorageError
        If the server cannot be reached or answers with errors five times, the disk refuses, or the
        content is another one (which is then removed).
    """
    name = url.rsplit("/", 1)[-1]
    part = folder / f"{name}.part"
    download = _Download(part, size, progress, pause)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pooch.get_logger().setLevel("WARNING")
        return Path(pooch.retrieve(url, f"sha256:{sha256}", name, folder, downloader=download))
    except ValueError as error:
        part.unlink(missing_ok=True)
        raise StorageError(
            N_("'{file}' arrived with another content than expected and was removed. "
               "Try again later or set a mirror."),
            file=name,
        ) from error
    except requests.RequestException as error:
        raise StorageError(
            N_("'{file}' could not be downloaded. Check the connection; it resumes where it stopped."),
            file=name,
        ) from error
    except OSError as error:
        raise StorageError(
            N_("'{file}' could not be written to the data folder. Free some space and try again."),
            file=name,
        ) from error
    finally:
        if (folder / name).exists():
            part.unlink(missing_ok=True)


class _Download:
    """A downloader as pooch calls it, with tries and ranges."""

    def __init__(
        self, part: Path, size: int, progress: Progress | None, pause: Callable[[float], None]
    ) -> None:
        self.part, self.size, self.progress, self.pause = part, size, progress, pause

    def __call__(self, url: str, output_file: Any, _: Any) -> None:
        last: Exception = requests.ConnectionError(url)
        if self._here() > self.size:
            self.part.unlink()
        for attempt in range(_TRIES):
            if attempt:
                self.pause(min(0.5 * 2**attempt, 8))
            try:
                if self._here() < self.size:
                    self._continue(url)
            except requests.RequestException as error:
                last = error
            if self._here() >= self.size:
                self.part.replace(output_file)
                return
        raise last

    def _here(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _continue(self, url: str) -> None:
        here = self._here()
        headers = {"Range": f"bytes={here}-", "Accept-Encoding": "identity"} if here else {
            "Accept-Encoding": "identity"}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == 416:  # what is here does not fit what the server has
                self.part.unlink(missing_ok=True)
            answer.raise_for_status()
            resumed = answer.status_code == 206 and _starts_at(answer, here)
            here = here if resumed else 0
            with self.part.open("ab" if resumed else "wb") as file:
                for chunk in answer.iter_content(_CHUNK):
                    chunk = chunk[: self.size - here]
                    file.write(chunk)
                    here += len(chunk)
                    if self.progress:
                        self.progress(here, self.size)
                    if here >= self.size:
                        break


def _starts_at(answer: requests.Response, here: int) -> bool:
    return answer.headers.get("Content-Range", "").replace("=", " ").startswith(f"bytes {here}-")
