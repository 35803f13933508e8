"""Sound pictures for the corpora: one coloured scene in many encodings, always the same bytes."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image


@cache
def scene(width: int = 64, height: int = 48) -> Image.Image:
    """Return an RGB scene without symmetry: gradients, a red corner at the top left, seeded noise."""
    random = np.random.default_rng(7)
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([255 * x / width, 255 * y / height, 128 + 60 * np.sin(x / 5) * np.cos(y / 7)], -1)
    pixels += random.normal(0, 6, pixels.shape)
    pixels[: height // 4, : width // 4] = (230, 20, 20)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the file that Pillow writes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG file."""
    return (struct.pack(">I", len(content)) + kind + content
            + struct.pack(">I", zlib.crc32(kind + content)))


def png(
    width: int, height: int, depth: int = 8, colour: int = 2, rows: bytes | None = None,
    extra: bytes = b"",
) -> bytes:
    """Return a PNG written by hand; without ``rows`` its image data is one empty block."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(rows if rows is not None else b"\0", 1)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data)
            + chunk(b"IEND", b""))


def deep_png(samples: np.ndarray[Any, np.dtype[np.uint16]]) -> bytes:
    """Return a PNG of 16 bits for each sample: uint16 ``[h, w]``, ``[h, w, 3]`` or ``[h, w, 4]``."""
    height, width = samples.shape[:2]
    colour = {2: 0, 3: {3: 2, 4: 6}.get(samples.shape[-1], 2)}[samples.ndim]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return png(width, height, 16, colour, rows)


def exif(orientation: int, broken: str = "") -> bytes:
    """Return an EXIF block that sets only the orientation; ``broken`` names a defect."""
    entries = struct.pack("<HHHIHH", 1, 0x0112, 3, 1, orientation, 0)
    block = b"Exif\0\0II*\0" + struct.pack("<I", 8) + entries + struct.pack("<I", 0)
    return {
        "": block,
        "cut": block[:16],
        "loop": block[:-4] + struct.pack("<I", 8),
        "far": b"Exif\0\0II*\0" + struct.pack("<I", 0x7FFFFFFF),
        "noise": b"Exif\0\0" + bytes(range(255, 150, -1)),
        "type": b"Exif\0\0II*\0" + struct.pack("<I", 8) + struct.pack("<HHHII", 1, 0x0112, 99, 9999, 6),
        "count": b"Exif\0\0II*\0" + struct.pack("<I", 8) + struct.pack("<HHHII", 65535, 0x0112, 3, 1, 6),
    }[broken]


def with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    """Return a JPEG with one more segment right after its start."""
    segment = struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
    return jpeg[:2] + segment + jpeg[2:]
