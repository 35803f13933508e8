"""What a file is by its first bytes, so that a refusal can name the format it was given."""

from __future__ import annotations

import re

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "PDF"),
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"8BPS", "PSD"),
    (b"8BPB", "PSD"),
    (b"PK\x03\x04", "ZIP"),
    (b"\0\0\x01\0", "ICO"),
    (b"\0\0\x02\0", "ICO"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"SIMPLE  =", "FITS"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"icns", "ICNS"),
    (b"gimp xcf", "XCF"),
    (b"\x1a\x45\xdf\xa3", "Matroska"),
)
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC",
           b"mif1": "HEIC", b"msf1": "HEIC"}
_MARKUP = re.compile(rb"\s*(?:<\?xml|<!--|<!doctype|<svg|<html|<head|<body|<script)", re.I)


def foreign_format(data: bytes) -> str | None:
    """Return the name of a known format that is not read here, or None for any other."""
    head = data[:1024].removeprefix(b"\xef\xbb\xbf")
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "MP4")
    if _MARKUP.match(head):
        return "SVG" if b"<svg" in data[:4096].lower() else "HTML"
    return None


def parts(data: bytes, most: int) -> int:
    """Count the parts that a decoder goes through besides the pixels, up to ``most`` + 1; 0 for other files.

    Those are the chunks of a PNG, and what stands before the pixels of a JPEG (segments) or of the first frame
    of a GIF (blocks of extensions, and stray bytes).

    Decoders spend microseconds on each, so a file of nothing else would hold them for seconds.
    """
    count, place = 0, 0
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        place = 8
        while place + 12 <= len(data) and count <= most and data[place + 4:place + 8] != b"IEND":
            place += 12 + int.from_bytes(data[place:place + 4], "big")
            count += 1
    elif data.startswith(b"\xff\xd8"):
        place = 2
        while place + 4 <= len(data) and count <= most and data[place:place + 2] != b"\xff\xda":
            segment = data[place] == 0xFF and data[place + 1] not in (0x00, 0xFF)
            place += 2 + max(2, int.from_bytes(data[place + 2:place + 4], "big")) if segment else 1
            count += segment
    elif data.startswith((b"GIF87a", b"GIF89a")) and len(data) > 13:
        place = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
        inside = False
        while place < len(data) and count <= most and (inside or data[place] not in b",;"):
            if inside:
                inside, place = data[place] != 0, place + 1 + data[place]
            else:
                inside = data[place] == 0x21  # an extension: its label, then blocks up to an empty one
                place += 2 if inside else 1
            count += 1
    return count
