"""Files of a great many empty parts are refused before a decoder sees them; real files are not."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from core.errors import InputError
from core.images import read_photo
from core.images.kinds import parts
from core.settings import Limits

LIMITS = Limits(photo_mb=10, photo_megapixels=40)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8))


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    NOISE.save(file, kind)
    return file.getvalue()


def flooded(kind: str, count: int) -> bytes:
    """Put ``count`` empty parts in front of a sound picture's pixels."""
    data = encoded(kind)
    if kind == "JPEG":
        return data[:2] + b"\xff\xfe\x00\x02" * count + data[2:]
    if kind == "GIF":
        pixels = 13 + 3 * 256
        return data[:pixels] + b"\x21\xfe\x01x\x00" * count + data[pixels:]
    chunk = struct.pack(">I", 0) + b"juNk" + struct.pack(">I", zlib.crc32(b"juNk"))
    return data[:33] + chunk * count + data[33:]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_a_flood_of_empty_parts_is_refused(kind: str) -> None:
    with pytest.raises(InputError, match="far more comments"):
        read_photo(flooded(kind, 500_000), LIMITS)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_a_photo_with_some_parts_is_read(kind: str) -> None:
    assert read_photo(flooded(kind, 200), LIMITS).size == (900, 900)
    assert parts(encoded(kind), 20_000) < 2_000
    assert 200 <= parts(flooded(kind, 200), 20_000) < 2_600
