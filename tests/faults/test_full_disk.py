"""A disk that is full, or a file that may not grow: an error that says so, and nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import StorageError
from core.storage import Storage

LIMITED = """
import resource, sys
from pathlib import Path
from core.errors import StorageError
from core.storage import Storage
storage = Storage(sys.argv[1])
small = storage.put(b"small")
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    storage.put(bytes(5_000_000), "model.tflite")
except StorageError as error:
    print(error)
assert storage.read(small.sha256) == b"small"
storage.put(b"still works")
"""


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_that_may_not_grow_leaves_nothing_behind(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True,
                         timeout=60, check=True)
    assert "EFBIG" in run.stdout
    assert "Free some space" in run.stdout
    assert sorted(path.stat().st_size for path in files(tmp_path)) == [5, 11]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)],
                             capture_output=True, check=False) if os.geteuid() == 0 else None
    if mounted is None or mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_survived_and_used_again_when_there_is_space(small_disk: Path) -> None:
    storage = Storage(small_disk.as_uri())
    first = storage.put(os.urandom(1_500_000))
    with pytest.raises(StorageError, match="ENOSPC"):
        storage.put(os.urandom(6_000_000))
    assert len(files(small_disk)) == 1
    assert storage.path(first.sha256).stat().st_size == 1_500_000
    storage.delete(first.sha256)
    assert storage.put(os.urandom(3_000_000)).bytes == 3_000_000


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    storage = Storage((tmp_path / "file" / "below").as_uri())
    with pytest.raises(StorageError):
        storage.put(b"x")
    assert not storage.exists("0" * 64)
