"""Read a photo that a stranger sent.

The order is the defence: length, format and size in pixels are settled from the header, before a
single pixel is decoded, and every failure of the decoder becomes one of a few sentences.
"""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.errors import InputError, SecateurError
from core.images.kinds import foreign_format, parts
from core.locales import N_
from core.settings import Limits

# Only these decoders ever see the bytes. Pillow knows some forty; for PostScript it runs a program.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
EXTENSIONS = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif")
SMALLEST_SIDE = 8
ASPECT_LIMIT = 20
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# A progressive JPEG may repeat passes over the whole picture at a cost of a few bytes each; cameras
# and optimizers use about ten.
_MOST_SCANS = 100
_MOST_SCANNED_MEGAPIXELS = 1000

# A PNG of 10 MB in chunks of 1 kB has ten thousand, a JPEG with a large colour profile some two hundred.
_MOST_PARTS = 20_000

_UNKNOWN = N_("This is not a photo that can be read. Use a JPEG, PNG, WebP, BMP or GIF file.")
_FOREIGN = N_("{kind} files are not read. Save the photo as JPEG, PNG or WebP and try again.")
_DAMAGED = N_("The photo is damaged or cut short. Export or download it again.")
_FLOODED = N_("The file holds far more comments than a photo does. Save the photo anew and try again.")
_PIXELS = N_(
    "The photo has more than {limit} megapixels, the most that is read. "
    "Save it smaller and try again."
)


def read_photo(data: bytes, limits: Limits) -> Image.Image:
    """Decode a photo into an upright RGB picture.

    Orientation is that of the EXIF or XMP tag (a broken tag counts as none), transparency is laid
    on white, 16-bit greys are scaled to 8 bits, CMYK is read by Adobe's inverted convention as
    browsers do, and of an animation the first frame counts.

    Refused as well as what cannot be decoded: a side under 8 pixels, on which a classifier can only
    guess, and a side more than 20 times the other, of which the square crop that a model sees would
    be less than a twentieth (and whose resizing to a fixed short side would have no bound).

    Parameters
    ----------
    data
        The whole file.
    limits
        ``photo_mb`` (10^6 bytes) and ``photo_megapixels`` (10^6 pixels).

    Returns
    -------
    PIL.Image.Image
        Mode RGB, without metadata.

    Raises
    ------
    InputError
        One sentence: empty, too many bytes, too many pixels, of a format that is not read, damaged
        or truncated, flooded with comments, too small, or too elongated.
    """
    _check_bytes(data, limits)
    if parts(data, _MOST_PARTS) > _MOST_PARTS:
        raise InputError(_FLOODED)
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        _check_shape(image, data, limits)
        image.load()
        turn = _turn(image)
        upright = _rgb(image) if turn is None else _rgb(image).transpose(turn)
        upright.info.clear()
        return upright
    except SecateurError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(_PIXELS, limit=f"{limits.photo_megapixels:g}") from error
    except UnidentifiedImageError as error:
        if kind := foreign_format(data):
            raise InputError(_FOREIGN, kind=kind) from error
        raise InputError(_DAMAGED if _claims_to_be_read(data) else _UNKNOWN) from error
    except MemoryError as error:
        raise InputError(_PIXELS, limit=f"{limits.photo_megapixels:g}") from error
    except Exception as error:  # decoders leak SyntaxError, ValueError, struct.error and more
        raise InputError(_DAMAGED) from error


def _check_bytes(data: bytes, limits: Limits) -> None:
    if not data:
        raise InputError(N_("The file is empty. Choose another photo."))
    if len(data) > limits.photo_mb * 1e6:
        raise InputError(
            N_("The file has {size} MB; at most {limit} MB are read. "
               "Save the photo smaller and try again."),
            size=f"{len(data) / 1e6:.1f}", limit=f"{limits.photo_mb:g}",
        )


def _check_shape(image: Image.Image, data: bytes, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.photo_megapixels * 1e6:
        raise InputError(_PIXELS, limit=f"{limits.photo_megapixels:g}")
    if min(width, height) < SMALLEST_SIDE:
        raise InputError(
            N_("The photo is {width} by {height} pixels, too small to tell anything. "
               "Use one of at least {least} pixels on each side."),
            width=width, height=height, least=SMALLEST_SIDE,
        )
    if max(width, height) > ASPECT_LIMIT * min(width, height):
        raise InputError(
            N_("The photo is {width} by {height} pixels, too elongated to classify. "
               "Crop it so that no side is more than {most} times the other."),
            width=width, height=height, most=ASPECT_LIMIT,
        )
    if image.format in ("JPEG", "MPO"):
        scans = data.count(b"\xff\xda")
        if scans > _MOST_SCANS or scans * width * height > _MOST_SCANNED_MEGAPIXELS * 1e6:
            raise InputError(_DAMAGED)


def _claims_to_be_read(data: bytes) -> bool:
    starts = (b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM")
    return data.startswith(starts) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        samples = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((samples + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGB", layer.size, "white")
        ground.paste(layer, mask=layer.getchannel("A"))
        return ground
    return image.convert("RGB")


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a tag that cannot be read turns nothing; the pixels may still be sound
        return None


def as_picture(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return the picture (RGB or L) of a uint8 array ``[h, w, 3]``, ``[h, w, 1]`` or ``[h, w]``."""
    single = pixels.ndim == 3 and pixels.shape[2] == 1
    return Image.fromarray(pixels[:, :, 0] if single else pixels)


def thumbnail(image: Image.Image, side: int = 320) -> Image.Image:
    """Return a copy whose longer side has at most ``side`` pixels; smaller pictures stay."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small


def encode(
    image: Image.Image, kind: Literal["JPEG", "PNG", "WEBP"] = "JPEG", quality: int = 88
) -> bytes:
    """Return the file of a picture, made from its pixels alone: no EXIF, no place, no profile."""
    bare = Image.frombytes(image.mode, image.size, image.tobytes())
    file = io.BytesIO()
    if kind == "PNG":
        bare.save(file, kind, optimize=False)
    else:
        bare.save(file, kind, quality=quality)
    return file.getvalue()
