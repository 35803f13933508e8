"""The named sets that are downloaded on first use, each pinned to its content."""

from __future__ import annotations

import gzip
import tarfile
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.datasets.archives import ZipSource
from core.datasets.arrays import ArrayImages
from core.datasets.base import Dataset
from core.datasets.fetching import Progress, fetch
from core.datasets.naming import is_passed_over, is_photo, safe_parts
from core.datasets.photofiles import PhotoFiles
from core.errors import InputError, StorageError
from core.locales import N_
from core.settings import Limits, Settings

try:
    import fcntl
except ImportError:  # Windows, where two downloads of one set at a time are not kept apart
    fcntl = None  # type: ignore[assignment]

_CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FASHION_CLASSES = (
    "T-shirt or top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)
_CIFAR_RECORD = 1 + 3 * 32 * 32
_LARGEST_MEMBER = 200_000_000


@dataclass(frozen=True)
class File:
    """One file of a download: its URL, length in bytes and SHA-256 (hex)."""

    url: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Download:
    """A set that lies on a server: how its files are read, and which they are."""

    kind: Literal["tar of photos", "cifar", "idx"]
    files: tuple[File, ...]
    classes: tuple[str, ...] = ()


_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
DOWNLOADS: Mapping[str, Download] = {
    "imagenette-160": Download("tar of photos", (
        File("https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz", 99_003_388,
             "64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5"),
    )),
    "cifar-10": Download("cifar", (
        File("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", 170_052_171,
             "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
    ), _CIFAR_CLASSES),
    # Not secret and checked by hash, hence http: the bucket's web address has no certificate.
    "fashion-mnist": Download("idx", (
        File(_FASHION + "train-images-idx3-ubyte.gz", 26_421_880,
             "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        File(_FASHION + "train-labels-idx1-ubyte.gz", 29_515,
             "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        File(_FASHION + "t10k-images-idx3-ubyte.gz", 4_422_102,
             "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        File(_FASHION + "t10k-labels-idx1-ubyte.gz", 5_148,
             "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ), _FASHION_CLASSES),
}


def downloaded(
    name: str, settings: Settings, progress: Progress | None = None,
    source: Download | None = None,
) -> Dataset:
    """Return a named set, fetching and preparing what is not in ``settings.home/"datasets"`` yet.

    ``settings.mirror`` is a URL under which the files are looked for instead, by their own names; the
    content is checked all the same.

    Parameters
    ----------
    name
        A key of ``DOWNLOADS``.
    settings
        Data folder and limits.
    progress
        Called with bytes here and bytes in all, per file.
    source
        What to fetch, when not ``DOWNLOADS[name]``.

    Raises
    ------
    StorageError
        If a file cannot be fetched, has another content, or cannot be written.
    """
    source = source or DOWNLOADS[name]
    folder = settings.home / "datasets" / name
    prepared = folder / (f"{name}.zip" if source.kind == "tar of photos" else f"{name}.npz")
    if not prepared.exists():
        with _alone(folder, name):
            if not prepared.exists():
                _obtain(source, folder, prepared, name, progress, settings.mirror)
    if source.kind == "tar of photos":
        size = prepared.stat().st_size / 1e6 + 1
        own = settings.limits.model_copy(update={"dataset_mb": size, "dataset_images": 10**6})
        return PhotoFiles(ZipSource(prepared, own), own, name)
    return _arrays(name, source, prepared)


def _obtain(
    source: Download, folder: Path, prepared: Path, name: str, progress: Progress | None, mirror: str
) -> None:
    files = [fetch(_address(f, mirror), folder, f.size, f.sha256, progress) for f in source.files]
    write = {"tar of photos": _zip_of_tar, "cifar": _arrays_of_cifar, "idx": _arrays_of_idx}
    _atomically(prepared, lambda target: write[source.kind](files, target), name)
    for file in files:
        file.unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """Let one process at a time download a set; the system ends the lock of one that is killed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("wb")
    except OSError as error:
        raise _unwritten(name) from error
    with lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unwritten(name: str) -> StorageError:
    return StorageError(
        N_("The data '{name}' could not be written to the data folder. Free some space and try again."),
        name=name,
    )


def _address(file: File, mirror: str) -> str:
    return f"{mirror.rstrip('/')}/{file.url.rsplit('/', 1)[-1]}" if mirror else file.url


def _atomically(path: Path, write: Callable[[Path], None], name: str) -> None:
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        write(temporary)
        temporary.replace(path)
    except InputError:
        raise
    except OSError as error:
        raise _unwritten(name) from error
    except Exception as error:  # tarfile, gzip and zlib leak a dozen kinds
        raise StorageError(
            N_("The download of '{name}' is not in the expected form. Try again later or set a mirror."),
            name=name,
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _zip_of_tar(files: list[Path], target: Path) -> None:
    """Copy the photos of a tar into a zip, which can be read at any place; links and devices never."""
    limits = Limits()
    with (
        tarfile.open(files[0], "r|*") as tar,
        zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive,
    ):
        for member in tar:
            parts = safe_parts(member.name)
            if not member.isreg() or is_passed_over(parts) or not is_photo(parts):
                continue
            if member.size > limits.photo_mb * 1e6 or (content := tar.extractfile(member)) is None:
                raise ValueError(member.name)
            archive.writestr(zipfile.ZipInfo("/".join(parts)), content.read())


def _arrays_of_cifar(files: list[Path], target: Path) -> None:
    """Read CIFAR-10's binary form: per image one byte of class, then 32x32 planes of red, green, blue."""
    batches: dict[str, NDArray[np.uint8]] = {}
    with tarfile.open(files[0], "r|*") as tar:
        for member in tar:
            parts = safe_parts(member.name)
            if member.isreg() and parts and parts[-1].endswith(".bin"):
                if member.size > _LARGEST_MEMBER or (content := tar.extractfile(member)) is None:
                    raise ValueError(member.name)
                batches[parts[-1]] = np.frombuffer(content.read(), np.uint8).reshape(-1, _CIFAR_RECORD)
    train = np.concatenate([batches[f"data_batch_{i}.bin"] for i in range(1, 6)])
    records = np.concatenate([train, batches["test_batch.bin"]])
    pixels = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    _save(target, np.ascontiguousarray(pixels), records[:, 0], len(train))


def _arrays_of_idx(files: list[Path], target: Path) -> None:
    """Read the four files of MNIST's form: images and labels for training, then for the test."""
    train, train_labels, test, test_labels = (_idx(path) for path in files)
    pixels = np.concatenate([train, test])[..., None]
    _save(target, pixels, np.concatenate([train_labels, test_labels]), len(train))


def _idx(path: Path) -> NDArray[np.uint8]:
    with gzip.open(path) as file:
        header = file.read(4)
        if header[:3] != b"\0\0\x08" or header[3] not in (1, 3):
            raise ValueError(path.name)
        shape = np.frombuffer(file.read(4 * header[3]), ">u4").astype(np.int64)
        count = int(shape.prod())
        if count > _LARGEST_MEMBER:
            raise ValueError(path.name)
        return np.frombuffer(file.read(count), np.uint8).reshape(tuple(shape))


def _save(target: Path, pixels: NDArray[np.uint8], targets: NDArray[np.uint8], train: int) -> None:
    with target.open("wb") as file:
        np.savez(file, pixels=pixels, targets=targets.astype(np.int64), train=np.int64(train))


def _arrays(name: str, source: Download, path: Path) -> Dataset:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            pixels, targets, train = data["pixels"], data["targets"], int(data["train"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise StorageError(
            N_("The data '{name}' is damaged on the disk. Remove its folder in the data folder."), name=name
        ) from error
    order = np.arange(len(targets))
    splits = {"train": order[:train], "test": order[train:]}
    return ArrayImages(name, list(source.classes), pixels, targets, splits)
