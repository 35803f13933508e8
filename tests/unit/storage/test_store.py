"""Artifacts on a disk: addressed by content, complete or absent, verified on the way out."""

from __future__ import annotations

import hashlib
import pickle
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InputError, StorageError
from core.storage import Artifact, Storage

CONTENT = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage((tmp_path / "artifacts").as_uri())


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.rglob("*") if path.is_file())


def test_put_returns_name_length_and_digest(storage: Storage, tmp_path: Path) -> None:
    source = tmp_path / "model.tflite"
    source.write_bytes(CONTENT)
    assert storage.put(source) == Artifact("model.tflite", len(CONTENT), DIGEST)
    assert storage.path(DIGEST).read_bytes() == CONTENT
    assert storage.read(DIGEST) == CONTENT
    assert storage.exists(DIGEST)


def test_the_same_content_is_stored_once(storage: Storage, tmp_path: Path) -> None:
    storage.put(CONTENT, "a")
    before = storage.path(DIGEST).stat().st_mtime_ns
    assert storage.put(CONTENT, "b").name == "b"
    assert storage.path(DIGEST).stat().st_mtime_ns == before
    assert files(tmp_path) == [DIGEST]
    assert list(storage.digests()) == [DIGEST]


def test_a_plain_path_is_an_address(tmp_path: Path) -> None:
    assert Storage(str(tmp_path / "plain")).put(b"x").bytes == 1
    assert list((tmp_path / "plain").rglob("*"))


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "longer"])
def test_damage_is_found_and_mended_by_storing_again(storage: Storage, harm: str) -> None:
    storage.put(CONTENT)
    other = storage.put(b"another file")
    path = storage.path(DIGEST)
    harmed = {"flip": CONTENT[:-1] + b"\0", "cut": CONTENT[:1000], "empty": b"", "longer": CONTENT + b"\0"}
    path.write_bytes(harmed[harm])
    with pytest.raises(StorageError, match="damaged"):
        storage.path(DIGEST)
    with pytest.raises(StorageError, match="damaged"):
        storage.read(DIGEST)
    assert storage.read(other.sha256) == b"another file"
    storage.put(CONTENT)
    assert storage.read(DIGEST) == CONTENT


def test_what_is_missing_is_an_error_and_deleting_twice_is_not(storage: Storage) -> None:
    storage.put(CONTENT)
    storage.delete(DIGEST)
    storage.delete(DIGEST)
    assert not storage.exists(DIGEST)
    assert list(storage.digests()) == []
    for read in (storage.path, storage.read):
        with pytest.raises(StorageError, match="missing"):
            read(DIGEST)


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 63 + "\n"])
def test_only_a_digest_reaches_a_path(storage: Storage, name: str) -> None:
    for action in (storage.path, storage.read, storage.exists, storage.delete):
        with pytest.raises(StorageError):
            action(name)


def test_many_writers_of_one_content(storage: Storage, tmp_path: Path) -> None:
    results: list[Artifact] = []
    threads = [
        threading.Thread(target=lambda: results.append(storage.put(CONTENT, "same"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [Artifact("same", len(CONTENT), DIGEST)] * 8
    assert files(tmp_path) == [DIGEST]
    assert storage.read(DIGEST) == CONTENT


def test_a_missing_source_stores_nothing(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        storage.put(tmp_path / "nowhere")
    assert files(tmp_path) == []


def test_leftovers_of_killed_writers_are_cleaned(storage: Storage, tmp_path: Path) -> None:
    storage.put(CONTENT)
    leftover = storage.path(DIGEST).parent / "0123.unfinished"
    leftover.write_bytes(b"half")
    assert storage.clean() == 0
    assert storage.clean(older=0) == 1
    assert files(tmp_path) == [DIGEST]


def test_it_travels_to_another_process(storage: Storage) -> None:
    storage.put(CONTENT)
    assert pickle.loads(pickle.dumps(storage)).read(DIGEST) == CONTENT


@pytest.mark.parametrize("url", ["s3://key:SECRET@bucket/x", "ftp://me:SECRET@host/x"])
def test_credentials_in_the_address_are_refused_unrepeated(url: str) -> None:
    with pytest.raises(InputError) as caught:
        Storage(url)
    assert "SECRET" not in repr(caught.value)


def test_an_unknown_kind_of_address_is_refused() -> None:
    with pytest.raises(InputError, match="nonsense"):
        Storage("nonsense://somewhere")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.binary(max_size=2000), max_size=8))
def test_whatever_goes_in_comes_out(contents: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    storage = Storage(tmp_path_factory.mktemp("any").as_uri())
    artifacts = [storage.put(content) for content in contents]
    assert [storage.read(artifact.sha256) for artifact in artifacts] == contents
    assert set(storage.digests()) == {hashlib.sha256(content).hexdigest() for content in contents}
