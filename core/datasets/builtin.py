"""The two sets that need no file and no network, both carried by libraries that are installed anyway."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from functools import cache, cached_property
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.datasets.arrays import ArrayImages
from core.datasets.base import Indices, digest_of
from core.errors import InputError
from core.locales import N_

DIGITS_TEST, DIGITS_VALIDATION = 360, 240
PHOTOS = 200
_SHORT_SIDE = 256
# Colour photographs of things and places; the packages' other pictures are textures, text and charts.
_PHOTOS = (
    ("skimage.data", "astronaut.png"),
    ("skimage.data", "chelsea.png"),
    ("skimage.data", "coffee.png"),
    ("skimage.data", "hubble_deep_field.jpg"),
    ("skimage.data", "motorcycle_left.png"),
    ("skimage.data", "motorcycle_right.png"),
    ("skimage.data", "retina.jpg"),
    ("skimage.data", "rocket.jpg"),
    ("sklearn.datasets.images", "china.jpg"),
    ("sklearn.datasets.images", "flower.jpg"),
)


@cache
def digits() -> ArrayImages:
    """Return scikit-learn's 1,797 handwritten digits, 8x8 greys, divided once and for all.

    The source's values 0 to 16 become ``round(value * 255 / 16)``, which loses nothing: the 17 results
    are distinct. A model card for it therefore has mean 0 and std 255.

    Returns
    -------
    ArrayImages
        Images uint8 ``[8, 8, 1]``; ``splits`` train (1,197), validation (240) and test (360), stratified,
        drawn by scikit-learn's ``train_test_split`` with seed 0: the test part first, then validation.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    values, targets = load_digits(return_X_y=True)
    pixels = np.rint(values.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    rest, test = train_test_split(
        np.arange(len(targets)), test_size=DIGITS_TEST, random_state=0, stratify=targets
    )
    train, validation = train_test_split(
        rest, test_size=DIGITS_VALIDATION, random_state=0, stratify=targets[rest]
    )
    splits = {"train": train, "validation": validation, "test": test}
    return ArrayImages(
        "digits", [str(i) for i in range(10)], pixels, targets.astype(np.int64),
        {name: np.sort(part).astype(np.int64) for name, part in splits.items()},
    )


class PhotoCrops:
    """Unlabelled random crops of the ten colour photos that scikit-image and scikit-learn carry.

    Each crop keeps its photo's proportions, takes 0.3 to 1 of its sides at a random place, is mirrored
    half of the time and resized to a short side of 256 (bicubic). Crop ``i`` depends on the seed and on
    ``i`` alone, so a larger set begins with a smaller one.
    """

    def __init__(self, count: int = PHOTOS, seed: int = 0) -> None:
        self.name = "photos"
        self.classes: list[str] | None = None
        self.targets: Indices | None = None
        self.splits: Mapping[str, Indices] = {}
        self.count, self.seed = count, seed

    @cached_property
    def ids(self) -> list[str]:
        """The photo's file name and the crop's number."""
        return [f"{_PHOTOS[i % len(_PHOTOS)][1]}#{i}" for i in range(self.count)]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the photos' bytes, the seed and the count."""
        return digest_of(self)

    def __len__(self) -> int:
        return self.count

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return one crop: uint8 ``[h, w, 3]``, short side 256."""
        photo = _photo(index % len(_PHOTOS))
        random = np.random.default_rng([self.seed, index])
        scale = random.uniform(0.3, 1)
        width, height = round(photo.width * scale), round(photo.height * scale)
        left = int(random.integers(0, photo.width - width + 1))
        top = int(random.integers(0, photo.height - height + 1))
        factor = _SHORT_SIDE / min(width, height)
        size = round(width * factor), round(height * factor)
        crop = photo.resize(
            size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height)
        )
        if random.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(crop)

    def sha256(self, index: int) -> str:
        """Return the digest of what determines one crop: its photo's bytes, the seed and the index."""
        origin = f"{_photo_sha256(index % len(_PHOTOS))} {self.seed} {index}"
        return hashlib.sha256(origin.encode()).hexdigest()


def photos(count: int, seed: int = 0) -> PhotoCrops:
    """Return ``count`` crops.

    Raises
    ------
    InputError
        If ``count`` is not between 1 and 20,000.
    """
    if not 1 <= count <= 20000:
        raise InputError(N_("'photos' can have 1 to 20000 images, not {count}."), count=count)
    return PhotoCrops(count, seed)


@cache
def _photo_bytes(number: int) -> bytes:
    package, file = _PHOTOS[number]
    return files(package).joinpath(file).read_bytes()


@cache
def _photo_sha256(number: int) -> str:
    return hashlib.sha256(_photo_bytes(number)).hexdigest()


@cache
def _photo(number: int) -> Image.Image:


    with Image.open(io.BytesIO(_photo_bytes(number))) as image:
        return image.convert("RGB")
