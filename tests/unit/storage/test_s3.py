"""The same store on an S3-compatible server: moto's, on loopback, and one that misbehaves in front of it."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import s3fs
from moto.server import ThreadedMotoServer

from core.errors import StorageError
from core.storage import Artifact, Storage, caching, store

CONTENT = bytes(range(256)) * 400
DIGEST = hashlib.sha256(CONTENT).hexdigest()
SECRET = "wJalrXUtnFEMI-not-a-real-key"


class Faulty(http.server.ThreadingHTTPServer):
    """Passes requests on to moto, after ``fault`` had a chance to answer otherwise."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = port
        self.fault: Callable[[str, str, int], str | None] = lambda method, path, turn: None
        self.turns = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Faulty
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def handle_one(self) -> None:
        body = self._body()
        self.server.turns += 1
        fault = self.server.fault(self.command, self.path, self.server.turns)
        if fault == "stalls":
            time.sleep(1.5)
            self.close_connection = True
            return
        if fault == "500":
            self._answer(500, [], b"<Error><Code>InternalError</Code></Error>")
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        if fault == "partial":
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        elif fault == "corrupt":
            self._answer(answer.status, answer.getheaders(), content[:-1] + b"\0")
        else:
            self._answer(answer.status, answer.getheaders(), content)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_one  # noqa: N815 - http.server's names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            del self.headers["Transfer-Encoding"]
            self.headers["Content-Length"] = str(len(body))
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = {name.lower(): value for name, value in headers}.get("content-length", str(len(content)))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@pytest.fixture(scope="module")
def moto() -> Iterator[int]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture(scope="module")
def proxy(moto: int) -> Iterator[Faulty]:
    server = Faulty(moto)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setattr(s3fs.S3FileSystem, "retries", 1)
        yield server
    s3fs.S3FileSystem.clear_instance_cache()
    server.shutdown()
    server.server_close()


@pytest.fixture
def faulty(proxy: Faulty) -> Faulty:
    proxy.fault = lambda method, path, turn: None
    proxy.turns = 0
    return proxy


@pytest.fixture
def storage(faulty: Faulty, tmp_path: Path, request: pytest.FixtureRequest) -> Storage:
    bucket = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    s3fs.S3FileSystem().mkdir(bucket)
    faulty.turns = 0
    return Storage(f"s3://{bucket}/artifacts", cache=tmp_path / "cache", pause=lambda seconds: None)


def test_round_trip(storage: Storage, tmp_path: Path) -> None:
    source = tmp_path / "model.tflite"
    source.write_bytes(CONTENT)
    assert not storage.exists(DIGEST)
    assert storage.put(source) == Artifact("model.tflite", len(CONTENT), DIGEST)
    assert storage.put(CONTENT, "again").sha256 == DIGEST
    assert storage.exists(DIGEST)
    assert storage.read(DIGEST) == CONTENT
    assert storage.path(DIGEST).read_bytes() == CONTENT
    assert list(storage.digests()) == [DIGEST]
    storage.delete(DIGEST)
    storage.delete(DIGEST)
    assert not storage.exists(DIGEST)
    with pytest.raises(StorageError, match="missing"):
        storage.path(DIGEST)


def test_a_damaged_local_copy_is_fetched_again(storage: Storage) -> None:
    storage.put(CONTENT)
    storage.path(DIGEST).write_bytes(b"spoiled")
    assert storage.path(DIGEST).read_bytes() == CONTENT


def test_errors_of_the_server_are_tried_again(storage: Storage, faulty: Faulty) -> None:
    faulty.fault = lambda method, path, turn: "500" if turn <= 2 else None
    assert storage.put(CONTENT).sha256 == DIGEST
    faulty.turns = 0
    assert storage.read(DIGEST) == CONTENT


def test_a_server_that_only_fails_is_given_up(storage: Storage, faulty: Faulty, tmp_path: Path) -> None:
    faulty.fault = lambda method, path, turn: "500"
    for action in (lambda: storage.put(CONTENT), lambda: storage.path(DIGEST), lambda: storage.exists(DIGEST)):
        faulty.turns = 0
        with pytest.raises(StorageError) as caught:
            action()
        assert faulty.turns < 40
        for text in (str(caught.value), repr(caught.value), repr(caught.value.__cause__)):
            assert SECRET not in text
            assert "AKIATEST" not in text
        assert caught.value.__cause__ is None
    assert list((tmp_path / "cache").glob("*")) == []


@pytest.mark.parametrize("harm", ["partial", "corrupt"])
def test_half_an_answer_is_never_taken_for_the_whole(
    storage: Storage, faulty: Faulty, tmp_path: Path, harm: str
) -> None:
    storage.put(CONTENT)
    faulty.fault = lambda method, path, turn: harm if method == "GET" and DIGEST in path else None
    with pytest.raises(StorageError):
        storage.path(DIGEST)
    with pytest.raises(StorageError):
        storage.read(DIGEST)
    assert list((tmp_path / "cache").glob("*")) == []
    faulty.fault = lambda method, path, turn: None
    assert storage.path(DIGEST).read_bytes() == CONTENT


def test_no_half_artifact_is_visible_after_a_failed_upload(storage: Storage, faulty: Faulty) -> None:
    faulty.fault = lambda method, path, turn: "500" if method == "PUT" else None
    with pytest.raises(StorageError):
        storage.put(CONTENT)
    faulty.fault = lambda method, path, turn: None
    assert not storage.exists(DIGEST)
    assert list(storage.digests()) == []


def test_damage_on_the_server_is_found(storage: Storage) -> None:
    storage.put(CONTENT)
    bucket = next(iter(s3fs.S3FileSystem().find(storage._root)))
    s3fs.S3FileSystem().pipe_file(bucket, CONTENT[:-1] + b"\0")
    with pytest.raises(StorageError, match="damaged"):
        storage.path(DIGEST)


def test_wrong_bucket_is_an_error_without_secrets(faulty: Faulty, tmp_path: Path) -> None:
    storage = Storage("s3://no-such-bucket-here/x", cache=tmp_path, pause=lambda seconds: None)
    with pytest.raises(StorageError) as caught:
        storage.put(CONTENT)
    assert SECRET not in str(caught.value)


def test_a_server_that_stalls_is_not_waited_for(
    storage: Storage, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "READ_SECONDS", 0.2)
    hasty = Storage(storage._url, pause=lambda seconds: None)
    faulty.fault = lambda method, path, turn: "stalls"
    with pytest.raises(StorageError, match="does not answer"):
        hasty.read(DIGEST)
    faulty.fault = lambda method, path, turn: None
    hasty.put(CONTENT)
    assert hasty.path(DIGEST).read_bytes() == CONTENT
    hasty.delete(DIGEST)


def test_the_default_cache_belongs_to_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    caching.default_cache.cache_clear()
    try:
        folder = caching.default_cache()
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o077 == 0
        folder.chmod(0o777)
        caching.default_cache.cache_clear()
        assert caching.default_cache() != folder
    finally:
        caching.default_cache.cache_clear()
