"""Downloads against a server on loopback that is slow, breaks off, fails, or sends something else."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.datasets import downloads, open_dataset, unreadable
from core.datasets.downloads import DOWNLOADS, Download, File, downloaded
from core.datasets.fetching import fetch
from core.errors import InputError, StorageError
from core.settings import Settings
from tests.corpus.zips import photo

CONTENT = np.random.default_rng(5).bytes(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files``; ``fault`` may name a failure for the n-th request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {"data.bin": CONTENT}
        self.fault: Callable[[int], str] = lambda turn: ""
        self.ranges: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.ranges.append(wanted)
        fault = self.server.fault(len(self.server.ranges))
        content = self.server.files.get(self.path.strip("/"))
        if content is None or fault in ("404", "500"):
            self.send_error(int(fault or 404))
            return
        start = 0
        if wanted and fault != "no ranges":
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "breaks off":
            body = body[: len(body) // 2]
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def get(server: Server, folder: Path, sha256: str = DIGEST, size: int = len(CONTENT)) -> Path:
    return fetch(server.url + "data.bin", folder, size, sha256, pause=lambda seconds: None)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_it_arrives_whole_and_only_once(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [""]
    assert names(tmp_path) == ["data.bin"]


def test_progress_counts_bytes(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fetch(server.url + "data.bin", tmp_path, len(CONTENT), DIGEST, lambda here, whole: seen.append((here, whole)))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(seen) == seen


def test_a_set_opens_by_name(mirror: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = source(mirror, "tar of photos", {"x.tgz": packed({"train/a/1.jpg": photo(1), "val/b/2.jpg": photo(2)})})
    monkeypatch.setattr(downloads, "DOWNLOADS", {"imagenette-160": wanted})
    seen: list[int] = []
    dataset = open_dataset("imagenette-160:val", settings, progress=lambda here, whole: seen.append(here))
    assert dataset.ids == ["val/b/2.jpg"]
    assert dataset.name == "imagenette-160:validation"
    assert seen


def test_a_broken_connection_is_resumed(server: Server, tmp_path: Path) -> None:
    server.fault = lambda turn: "breaks off" if turn <= 2 else ""
    assert get(server, tmp_path).read_bytes() == CONTENT
    starts = [int(wanted.removeprefix("bytes=").rstrip("-") or 0) for wanted in server.ranges]
    assert len(starts) == 3
    assert 0 == starts[0] < 1_400_000 < starts[1] < 2_100_000 < starts[2]
    assert names(tmp_path) == ["data.bin"]


def test_what_a_killed_process_left_is_resumed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:1_000_000])
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000000-"]


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(b"x" * 1000)
    server.fault = lambda turn: "no ranges"
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_leftover_that_is_too_long_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT + b"more")
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [""]


def test_a_leftover_of_another_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(bytes(len(CONTENT)))
    with pytest.raises(StorageError, match="another content"):
        get(server, tmp_path)
    assert names(tmp_path) == []
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_errors_of_the_server_are_tried_again(server: Server, tmp_path: Path) -> None:
    server.fault = lambda turn: "500" if turn <= 3 else ""
    assert get(server, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["500", "404"])
def test_a_server_that_only_fails_is_given_up(server: Server, tmp_path: Path, fault: str) -> None:
    server.fault = lambda turn: fault
    with pytest.raises(StorageError, match="could not be downloaded"):
        get(server, tmp_path)
    assert len(server.ranges) == 5
    assert names(tmp_path) == []


def test_no_server_at_all(server: Server, tmp_path: Path) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(StorageError, match="could not be downloaded"):
        get(server, tmp_path)


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"\0", CONTENT + bytes(5_000_000), CONTENT[::-1]])
def test_another_content_is_removed(server: Server, tmp_path: Path, content: bytes) -> None:
    server.files["data.bin"] = content
    if content.startswith(CONTENT):
        assert get(server, tmp_path).read_bytes() == CONTENT  # nothing beyond the known length is read
        return
    with pytest.raises(StorageError, match="another content"):
        get(server, tmp_path)
    assert names(tmp_path) == []


def test_a_full_disk_is_a_storage_error(server: Server, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    with pytest.raises(StorageError, match="could not be written"):
        get(server, blocked)


def packed(members: dict[str, bytes], extra: tarfile.TarInfo | None = None) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        if extra is not None:
            tar.addfile(extra)
    return file.getvalue()


def source(server: Server, kind: str, files: dict[str, bytes], classes: tuple[str, ...] = ()) -> Download:
    server.files = dict(files)
    return Download(kind, tuple(  # type: ignore[arg-type]
        File(f"https://unreachable.invalid/{name}", len(data), hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    ), classes)


@pytest.fixture
def settings(settings: Settings, server: Server) -> Settings:
    """Settings that name the server as the mirror of all downloads."""
    return settings.model_copy(update={"mirror": server.url})


@pytest.fixture
def mirror(server: Server) -> Server:
    return server


def test_a_tar_of_photos(mirror: Server, settings: Settings) -> None:
    members = {f"set/{part}/{folder}/{i}.JPEG": photo(i) for part in ("train", "val")
               for folder in ("n01440764", "n02102040") for i in range(3)}
    tar = packed(members | {"set/noisy.csv": b"a,b"})
    dataset = downloaded("imagenette-160", settings, source=source(mirror, "tar of photos", {"x.tgz": tar}))
    assert len(dataset) == 12
    assert dataset.classes == ["n01440764", "n02102040"]
    assert {name: len(part) for name, part in dataset.splits.items()} == {"train": 6, "validation": 6}
    assert unreadable(dataset) == {}
    assert names(settings.home / "datasets" / "imagenette-160") == ["imagenette-160.zip"]
    mirror.files = {}
    assert downloaded("imagenette-160", settings).digest == dataset.digest


def test_two_at_a_time_download_once(mirror: Server, settings: Settings) -> None:
    wanted = source(mirror, "tar of photos", {"x.tgz": packed({"a/1.jpg": photo(1), "b/2.jpg": photo(2)})})
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: downloaded("t", settings, source=wanted).digest, range(4)))
    assert len(set(found)) == 1
    assert mirror.ranges == [""]


def hostile(kind: bytes, name: str, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("extra", [
    hostile(tarfile.SYMTYPE, "set/a/link.jpg", "/etc/passwd"), hostile(tarfile.LNKTYPE, "set/a/h.jpg", "set/a/1.jpg"),
    hostile(tarfile.CHRTYPE, "set/a/dev.jpg"), hostile(tarfile.FIFOTYPE, "set/a/pipe.jpg"),
])
def test_links_and_devices_in_a_tar_are_left_out(mirror: Server, settings: Settings, extra: tarfile.TarInfo) -> None:
    tar = packed({"set/a/1.jpg": photo(1), "set/b/2.jpg": photo(2)}, extra)
    dataset = downloaded("t", settings, source=source(mirror, "tar of photos", {"x.tgz": tar}))
    assert dataset.ids == ["a/1.jpg", "b/2.jpg"]


@pytest.mark.parametrize("name", ["../evil.jpg", "/tmp/evil.jpg", "a/../../evil.jpg", "a/\u202egpj.jpg"])
def test_names_that_lead_out_of_a_tar_are_refused(
    mirror: Server, settings: Settings, name: str, tmp_path: Path
) -> None:
    tar = packed({"a/1.jpg": photo(1), name: photo(2)})
    with pytest.raises(InputError):
        downloaded("t", settings, source=source(mirror, "tar of photos", {"x.tgz": tar}))
    assert not list(tmp_path.rglob("*evil*"))
    assert names(settings.home / "datasets" / "t") == ["x.tgz"]


def cifar_record(label: int, value: int) -> bytes:
    planes = np.stack([np.full((32, 32), value + c, np.uint8) for c in range(3)])
    return bytes([label]) + planes.tobytes()


def test_cifar(mirror: Server, settings: Settings) -> None:
    members = {f"cifar-10-batches-bin/data_batch_{i}.bin": cifar_record(i, 10 * i) + cifar_record(9, 100)
               for i in range(1, 6)}
    members["cifar-10-batches-bin/test_batch.bin"] = cifar_record(7, 200)
    files = {"cifar.tar.gz": packed(members)}
    classes = DOWNLOADS["cifar-10"].classes
    dataset = downloaded("cifar-10", settings, source=source(mirror, "cifar", files, classes))
    assert len(dataset) == 11
    assert dataset.targets is not None
    assert dataset.targets.tolist() == [1, 9, 2, 9, 3, 9, 4, 9, 5, 9, 7]
    assert dataset.splits["test"].tolist() == [10]
    np.testing.assert_array_equal(dataset.image(0), np.full((32, 32, 3), [10, 11, 12]))
    assert dataset.classes is not None
    assert dataset.classes[dataset.targets[-1]] == "horse"


def idx(array: np.ndarray) -> bytes:
    header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


def fashion(server: Server) -> Download:
    images = np.arange(5 * 28 * 28).reshape(5, 28, 28) % 251
    return source(server, "idx", {
        "train-images.gz": idx(images[:3]), "train-labels.gz": idx(np.array([0, 1, 2])),
        "test-images.gz": idx(images[3:]), "test-labels.gz": idx(np.array([9, 8])),
    }, DOWNLOADS["fashion-mnist"].classes)


def test_fashion(mirror: Server, settings: Settings) -> None:
    dataset = downloaded("fashion-mnist", settings, source=fashion(mirror))
    assert dataset.image(4).shape == (28, 28, 1)
    assert dataset.image(4).ravel()[:3].tolist() == [(4 * 784 + i) % 251 for i in range(3)]
    assert dataset.targets is not None
    assert dataset.targets.tolist() == [0, 1, 2, 9, 8]
    assert dataset.splits["train"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("harm", [b"", b"\0" * 1000, gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12, mtime=0),
                                  gzip.compress(b"\0\0\x0d\x01\0\0\0\1\0", mtime=0)])
def test_an_unexpected_form_is_a_storage_error(mirror: Server, settings: Settings, harm: bytes) -> None:
    if not harm:
        harm = gzip.compress(b"")
    files = dict.fromkeys(("a.gz", "b.gz", "c.gz", "d.gz"), harm)
    with pytest.raises(StorageError, match=r"expected form|written"):
        downloaded("fashion-mnist", settings, source=source(mirror, "idx", files))


def test_a_damaged_copy_on_the_disk_is_a_storage_error(mirror: Server, settings: Settings) -> None:
    downloaded("fashion-mnist", settings, source=fashion(mirror))
    prepared = settings.home / "datasets" / "fashion-mnist" / "fashion-mnist.npz"
    prepared.write_bytes(prepared.read_bytes()[:500])
    with pytest.raises(StorageError, match="damaged"):
        downloaded("fashion-mnist", settings)


def test_every_named_download_is_pinned() -> None:
    assert set(DOWNLOADS) == {"imagenette-160", "cifar-10", "fashion-mnist"}
    for download in DOWNLOADS.values():
        for file in download.files:
            assert file.size > 0
            assert len(bytes.fromhex(file.sha256)) == 32
