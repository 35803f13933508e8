"""More than two hundred image files, odd and hostile, each with the verdict that is due to it.

Everything is made on the spot from fixed seeds; nothing is stored.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from PIL import Image

from tests.corpus.pictures import chunk, deep_png, encoded, exif, png, scene, with_segment

Verdict = Literal["accept", "reject", "either"]


@dataclass(frozen=True)
class Case:
    """A file and what must become of it; ``either`` means any answer but a crash."""

    name: str
    data: bytes
    verdict: Verdict


@cache
def corpus() -> tuple[Case, ...]:
    """Return every case; names are unique."""
    return (*_sound(), *_turned(), *_headers(), *_sizes(), *_bombs(), *_floods(), *_foreign(), *_cut(), *_mutated())


def seeds() -> dict[str, bytes]:
    """Return sound files of every kind that is read, for cutting and mutating."""
    picture = scene()
    frames = [picture.convert("P"), picture.transpose(Image.Transpose.ROTATE_180).convert("P")]
    return {
        "jpeg": encoded(picture, "JPEG", quality=85),
        "progressive.jpeg": encoded(picture, "JPEG", progressive=True),
        "cmyk.jpeg": encoded(picture.convert("CMYK"), "JPEG"),
        "exif.jpeg": encoded(picture, "JPEG", exif=exif(6)),
        "png": encoded(picture, "PNG"),
        "rgba.png": encoded(picture.convert("RGBA"), "PNG"),
        "palette.png": encoded(picture.convert("P"), "PNG"),
        "lossy.webp": encoded(picture, "WEBP"),
        "lossless.webp": encoded(picture, "WEBP", lossless=True),
        "bmp": encoded(picture, "BMP"),
        "gif": encoded(picture, "GIF"),
        "animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
    }


def _sound() -> Iterator[Case]:
    picture = scene()
    for name, data in seeds().items():
        yield Case(f"sound {name}", data, "accept")
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield Case(f"png {mode}", encoded(picture.convert(mode), "PNG"), "accept")
    for mode in ("L", "RGB", "CMYK"):
        for quality in (1, 50, 100):
            yield Case(f"jpeg {mode} quality {quality}",
                       encoded(picture.convert(mode), "JPEG", quality=quality), "accept")
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield Case(f"bmp {mode}", encoded(picture.convert(mode), "BMP"), "accept")
    for mode in ("1", "L", "P", "RGBA"):
        yield Case(f"gif {mode}", encoded(picture.convert(mode), "GIF"), "accept")
    yield Case("webp alpha", encoded(picture.convert("RGBA"), "WEBP"), "accept")
    yield Case("jpeg 4:4:4", encoded(picture, "JPEG", subsampling=0), "accept")
    ramp = np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64)
    yield Case("png 16-bit grey", deep_png(ramp), "accept")
    yield Case("png 16-bit rgb", deep_png(np.stack([ramp] * 3, -1)), "accept")
    yield Case("png 16-bit rgba", deep_png(np.stack([ramp] * 4, -1)), "accept")
    clear = picture.convert("P")
    yield Case("png palette with transparency", encoded(clear, "PNG", transparency=0), "accept")
    yield Case("png palette with alpha table",
               encoded(clear, "PNG", transparency=bytes(range(256))), "accept")
    yield Case("png rgb with a clear colour", encoded(picture, "PNG", transparency=(230, 20, 20)), "accept")
    yield Case("gif with transparency", encoded(clear, "GIF", transparency=3), "accept")
    many = [Image.new("P", (16, 16), i % 256) for i in range(100)]
    for kind in ("GIF", "PNG", "WEBP"):
        yield Case(f"100 frames {kind}",
                   encoded(many[0].convert("RGB"), kind, save_all=True,
                           append_images=[f.convert("RGB") for f in many[1:]]), "accept")
    yield Case("multi-picture jpeg", encoded(picture, "MPO", save_all=True, append_images=[picture]),
               "accept")
    html = b"<html><script>alert(1)</script></html>"
    jpeg, png_ = encoded(picture, "JPEG"), encoded(picture, "PNG")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("a.txt", "x")
    yield Case("jpeg followed by html", jpeg + html, "accept")
    yield Case("jpeg followed by a zip", jpeg + archive.getvalue(), "accept")
    yield Case("png followed by html", png_ + html, "accept")
    yield Case("gif followed by javascript", encoded(clear, "GIF") + b"*/=1;alert(1)//", "accept")
    yield Case("bmp followed by noise", encoded(picture, "BMP") + bytes(1000), "accept")
    yield Case("html in a jpeg comment", with_segment(jpeg, 0xFE, html), "accept")
    text = png_[:33] + chunk(b"tEXt", b"Comment\0" + html) + png_[33:]
    yield Case("html in a png text", text, "accept")
    yield Case("unknown png chunk", png_[:33] + chunk(b"teSt", bytes(500)) + png_[33:], "accept")
    yield Case("small colour profile", encoded(picture, "PNG", icc_profile=bytes(400)), "accept")
    yield Case("unreadable colour profile", encoded(picture, "JPEG", icc_profile=b"x" * 900), "accept")


def _turned() -> Iterator[Case]:
    picture = scene()
    for value in (*range(1, 9), 0, 9, 255, 65535):
        for kind in ("JPEG", "PNG", "WEBP"):
            yield Case(f"orientation {value} in {kind}", encoded(picture, kind, exif=exif(value)), "accept")
    jpeg = encoded(picture, "JPEG")
    for broken in ("cut", "loop", "far", "noise", "type", "count"):
        yield Case(f"broken exif: {broken}", with_segment(jpeg, 0xE1, exif(6, broken)), "accept")


def _headers() -> Iterator[Case]:
    for width, height in ((60000, 60000), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (0, 0), (0, 10),
                          (100000, 100000), (7000, 6000), (40001, 1001)):
        yield Case(f"png header {width}x{height}", png(width, height), "reject")
    for depth, colour in ((3, 2), (32, 2), (8, 1), (8, 7), (0, 0)):
        yield Case(f"png of depth {depth} and colour {colour}", png(16, 16, depth, colour), "reject")
    gif = bytearray(encoded(scene().convert("P"), "GIF"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    yield Case("gif screen 65535x65535", bytes(gif), "reject")
    bmp = bytearray(encoded(scene(), "BMP"))
    for width, height in ((60000, 60000), (2**31 - 1, 2**31 - 1), (-1, 48), (64, -(2**31)), (0, 0)):
        bmp[18:26] = struct.pack("<ii", width, height)
        yield Case(f"bmp header {width}x{height}", bytes(bmp), "reject")
    jpeg = encoded(scene(), "JPEG")
    start = jpeg.index(b"\xff\xc0") + 5
    for height, width in ((65500, 65500), (0, 64), (48, 0)):
        changed = jpeg[:start] + struct.pack(">HH", height, width) + jpeg[start + 4:]
        yield Case(f"jpeg header {width}x{height}", changed, "reject")
    big = struct.pack("<I", 16382)[:3]
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + big + big
    webp = encoded(scene(), "WEBP")
    body = b"WEBP" + extended + webp[12:]
    yield Case("webp header 16383x16383", b"RIFF" + struct.pack("<I", len(body)) + body, "reject")


def _sizes() -> Iterator[Case]:
    for width, height in ((1, 1), (1, 5000), (7, 7), (7, 100), (161, 8), (8, 161), (20000, 30)):
        image = Image.new("RGB", (width, height), "teal")
        yield Case(f"{width}x{height}", encoded(image, "PNG"), "reject")
    for width, height in ((8, 8), (160, 8), (8, 160), (33, 9)):
        yield Case(f"{width}x{height}", encoded(Image.new("RGB", (width, height), "teal"), "PNG"), "accept")
    yield Case("8000x5000", encoded(Image.new("L", (8000, 5000), 99), "JPEG"), "accept")
    yield Case("10 MB and one byte", encoded(scene(), "PNG").ljust(10_000_001, b"\0"), "reject")
    yield Case("10 MB", encoded(scene(), "PNG").ljust(10_000_000, b"\0"), "accept")


def _bombs() -> Iterator[Case]:
    zeros = zlib.compress(bytes(60_000_000), 1)
    rows = b"\0" * (16 * (1 + 48))
    for name, block in (
        ("zTXt", chunk(b"zTXt", b"Comment\0\0" + zeros)),
        ("iTXt", chunk(b"iTXt", b"Comment\0\x01\0\0\0" + zeros)),
        ("iCCP", chunk(b"iCCP", b"Profile\0\0" + zeros)),
    ):
        yield Case(f"{name} bomb", png(16, 16, rows=rows, extra=block), "reject")
    yield Case("image data beyond the image", png(16, 16, rows=bytes(60_000_000)), "either")
    progressive = encoded(scene(), "JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    scan = progressive[last:-2]
    yield Case("jpeg of 4000 scans", progressive[:-2] + scan * 4000 + progressive[-2:], "reject")


def _floods() -> Iterator[Case]:
    """Sound pictures among a great many comments, or under metadata that no camera writes."""
    jpeg, whole, gif, webp = (encoded(scene(), kind) for kind in ("JPEG", "PNG", "GIF", "WEBP"))
    pixels = whole.index(b"IDAT") - 4
    frame = 13 + (3 << (gif[10] & 7) + 1)
    text, packed = chunk(b"tEXt", b"Comment\0x"), chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000)))
    tags = b"II*\0\x08\0\0\0" + struct.pack("<H", 5000) + b"".join(
        struct.pack("<HHII", 0x9000 + n % 2000, 2, 4, 0) for n in range(5000)) + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", 8 + len(tags)) + b"Exif\0\0" + tags
    profile = b"".join(
        b"\xff\xe2" + struct.pack(">H", 60_016) + b"ICC_PROFILE\0" + bytes([n + 1, 255]) + bytes(60_000)
        for n in range(150))
    for name, data, verdict in (
        ("png of 30,000 comments", whole[:pixels] + text * 30_000 + whole[pixels:], "reject"),
        ("png of 30,000 comments after the pixels", whole[:-12] + text * 30_000 + whole[-12:], "reject"),
        ("png of 5,000 packed comments of 1 MB", whole[:pixels] + packed * 5_000 + whole[pixels:], "reject"),
        ("png of 1,000 comments", whole[:pixels] + text * 1_000 + whole[pixels:], "accept"),
        ("jpeg of a million comments", jpeg[:2] + b"\xff\xfe\0\x03a" * 1_000_000 + jpeg[2:], "reject"),
        ("jpeg of 1,000 comments", jpeg[:2] + b"\xff\xfe\0\x03a" * 1_000 + jpeg[2:], "accept"),
        ("jpeg of 150 blocks of 5,000 tags", jpeg[:2] + segment * 140 + jpeg[2:], "either"),
        ("jpeg of a colour profile of 9 MB", jpeg[:2] + profile + jpeg[2:], "either"),
        ("gif of a million comments", gif[:frame] + b"\x21\xfe\1a\0" * 1_000_000 + gif[frame:], "reject"),
        ("gif of a comment without end", gif[:frame] + b"\x21\xfe" + b"\1a" * 1_000_000, "reject"),
        ("gif of a million delays", gif[:frame] + b"\x21\xf9\4\0\0\0\0\0" * 1_000_000 + gif[frame:], "reject"),
        ("gif of 9 MB of stray bytes", gif[:frame] + bytes(9_000_000) + gif[frame:], "reject"),
        ("gif of a comment of 5 MB", gif[:frame] + b"\x21\xfe" + (b"\xff" + b"a" * 255) * 19_000 + b"\0"
         + gif[frame:], "accept"),
        ("webp of a million chunks", _riff(webp[12:] + (b"JUNK" + bytes(4)) * 1_000_000), "either"),
        ("webp of 5,000 tags", _riff(webp[12:] + b"EXIF" + struct.pack("<I", len(tags)) + tags), "either"),
    ):
        yield Case(name, data, verdict)


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _foreign() -> Iterator[Case]:
    picture = scene()
    for kind in ("TIFF", "PPM", "TGA", "PCX", "ICO", "DDS", "SGI", "JPEG2000", "ICNS", "AVIF", "PDF",
                 "EPS", "QOI", "XBM", "SPIDER", "MSP"):
        mode = {"XBM": "1", "MSP": "1", "SPIDER": "F"}.get(kind, "RGB")
        try:
            data = encoded(picture.convert(mode), kind)
        except (OSError, KeyError):  # this build of Pillow cannot write it
            continue
        yield Case(f"{kind} file", data, "reject")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    texts = {
        "empty": b"",
        "one byte": b"\xff",
        "blanks": b" \n" * 500,
        "text": b"this is not a photo\n" * 50,
        "noise": np.random.default_rng(1).bytes(5000),
        "zeros": bytes(5000),
        "svg": svg,
        "svg with declaration": b'<?xml version="1.0"?>\n' + svg,
        "svg with byte order mark": b"\xef\xbb\xbf" + svg,
        "SVG in capitals": svg.replace(b"svg", b"SVG"),
        "html": b"<!DOCTYPE html><html><body><img src=x onerror=alert(1)></body></html>",
        "script": b"<script>alert(1)</script>",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(%pipe%id) (r) file\nshowpage\n",
        "binary eps": b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 30, 50) + bytes(18) + b"%!PS-Adobe-3.0 EPSF",
        "pdf": b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF",
        "psd": b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 48, 64, 8, 3) + bytes(2000),
        "elf": b"\x7fELF\x02\x01\x01" + bytes(500),
        "exe": b"MZ" + bytes(500),
        "pickle": pickle.dumps({"a": [1, 2, 3]}),
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(200),
        "fits": b"SIMPLE  =                    T".ljust(2880),
        "heic": b"\0\0\0\x18ftypheic" + bytes(500),
        "mp4": b"\0\0\0\x18ftypisom" + bytes(500),
        "jpeg xl": b"\xff\x0a" + bytes(200),
        "gzip": b"\x1f\x8b\x08" + bytes(100),
        "tar": bytes(257) + b"ustar" + bytes(250),
        "riff wave": b"RIFF\x24\0\0\0WAVEfmt " + bytes(50),
    }
    for name, data in texts.items():
        yield Case(f"disguised {name}", data, "reject")
    for name, data in seeds().items():
        yield Case(f"only the first bytes of {name}", data[:12], "reject")


def _cut() -> Iterator[Case]:
    for name, data in seeds().items():
        for percent in (10, 40, 70, 90):
            if name == "animated.gif" and percent > 40:
                continue  # the first frame is whole by then
            yield Case(f"{percent} % of {name}", data[: len(data) * percent // 100], "reject")


def _mutated() -> Iterator[Case]:
    for name, data in seeds().items():
        for number in range(5):
            yield Case(f"mutant {number} of {name}", mutate(data, number), "either")


def mutate(data: bytes, seed: int) -> bytes:
    """Return ``data`` with a few bytes changed, removed, doubled or shuffled, as ``seed`` decides."""
    random = np.random.default_rng([seed, zlib.crc32(data)])
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 8))):
        # Headers decide more than pixels, so half of the changes fall there.
        reach = len(changed) if random.random() < 0.5 else min(len(changed), 200)
        at, kind = int(random.integers(0, max(1, reach))), random.integers(0, 5)
        if kind == 0 and changed:
            changed[at] = int(random.integers(0, 256))
        elif kind == 1 and changed:
            changed[at] ^= 1 << int(random.integers(0, 8))
        elif kind == 2:
            del changed[at:at + int(random.integers(1, 40))]
        elif kind == 3:
            changed[at:at] = changed[at:at + int(random.integers(1, 40))]
        else:
            changed[at:at + 4] = random.choice(
                [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xff\xff"]
            )
    return bytes(changed)
