"""More than sixty archives, odd and hostile, each with the verdict that is due to it.

Made on the spot from fixed seeds. What ``zipfile`` does not write (false sizes, overlaps, passwords) is
edited into its bytes.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image

from tests.corpus.pictures import encoded, scene

Members = dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """An archive; accepted with so many ``photos`` and these ``classes``, or refused (``photos`` None)."""

    name: str
    data: bytes
    photos: int | None = None
    classes: tuple[str, ...] | None = None
    splits: tuple[str, ...] = ()


@cache
def corpus() -> tuple[Case, ...]:
    """Return every case; names are unique."""
    return (*_sound(), *_not_archives(), *_names(), *_labels(), *_kinds(), *_bombs(), *_edited())


@cache
def photo(number: int) -> bytes:
    """Return a small JPEG, another one for each number."""
    return encoded(Image.new("RGB", (24, 16), (number * 37 % 256, number * 91 % 256, 128)), "JPEG")


def two(first: str = "cat", second: str = "dog") -> Members:
    """Return two classes of two photos."""
    return {f"{folder}/{i}.jpg": photo(10 * n + i) for n, folder in enumerate((first, second)) for i in (1, 2)}


def zipped(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an ordinary archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(_info(name, method), data)
    return file.getvalue()


def _info(name: str, method: int = zipfile.ZIP_DEFLATED, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type, info.external_attr, info.create_system = method, mode << 16, 3
    return info


def _under(folder: str, members: Members) -> Members:
    return {f"{folder}/{name}": data for name, data in members.items()}


def _sound() -> Iterator[Case]:
    pair = ("cat", "dog")
    flat = {f"{i}.jpg": photo(i) for i in range(5)}
    yield Case("plain photos", zipped(flat), 5)
    yield Case("class folders", zipped(two()), 4, pair)
    yield Case("stored", zipped(two(), zipfile.ZIP_STORED), 4, pair)
    yield Case("wrapped", zipped(_under("my data", two())), 4, pair)
    yield Case("wrapped twice", zipped(_under("a/b", two())), 4, pair)
    splits = _under("train", two()) | _under("val", two()) | _under("test", two())
    yield Case("three splits", zipped(splits), 12, pair, ("train", "validation", "test"))
    yield Case("wrapped splits", zipped(_under("set", splits)), 12, pair, ("train", "validation", "test"))
    yield Case("only train", zipped(_under("train", two())), 4, pair, ("train",))
    yield Case("unlabelled splits", zipped(_under("train", flat) | _under("test", flat)), 10, None,
               ("train", "test"))
    yield Case("a class named test", zipped(_under("test", flat) | _under("cat", flat)), 10, ("cat", "test"))
    yield Case("one class", zipped(_under("cat", flat)), 5, ("cat",))
    junk = {"__MACOSX/cat/._1.jpg": b"junk", "cat/.DS_Store": b"x", "Thumbs.db": b"x", ".hidden/1.jpg": b"x"}
    yield Case("left by operating systems", zipped(two() | junk), 4, pair)
    yield Case("other files", zipped(two() | {"README.md": b"hi", "labels.csv": b"a,b"}), 4, pair)
    yield Case("nested archive", zipped(two() | {"cat/more.zip": zipped(two())}), 4, pair)
    yield Case("capital extensions", zipped({"cat/A.JPG": photo(1), "dog/B.JPEG": photo(2)}), 2, pair)
    yield Case("deeper folders", zipped({"cat/a/b/1.jpg": photo(1), "dog/2.jpg": photo(2)}), 2, pair)
    yield Case("folders as members", zipped({"cat/": b"", "dog/": b"", "empty/": b""} | two()), 4, pair)
    yield Case("back slashes", zipped({k.replace("/", "\\"): v for k, v in two().items()}), 4, pair)
    yield Case("dots in paths", zipped(_under(".", two())), 4, pair)
    yield Case("any script", zipped(two("猫", "كلب")), 4, ("كلب", "猫"))
    yield Case("accents apart", zipped(two("e\u0301te\u0301", "dog")), 4, ("dog", "\u00e9t\u00e9"))
    yield Case("allowed signs", zipped(two("jack-o'-lantern (big)", "n01440764_tench, Tinca")), 4,
               ("jack-o'-lantern (big)", "n01440764_tench, Tinca"))
    yield Case("every format", zipped({f"a/1.{kind.lower()}": encoded(scene(), kind)
                                       for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF")}), 5, ("a",))
    yield Case("bytes in front", b"#!/bin/sh\n" * 20 + zipped(two()), 4, pair)
    commented = io.BytesIO(zipped(two()))
    with zipfile.ZipFile(commented, "a") as archive:
        archive.comment = b"PK\x05\x06 not the end" * 20
    yield Case("a misleading comment", commented.getvalue())
    yield Case("streamed", _streamed(two()), 4, pair)
    yield Case("wide sizes", _wide(two()), 4, pair)
    yield Case("five hundred photos", zipped({f"c{i % 9}/{i}.jpg": photo(i % 7) for i in range(500)}, 0), 500,
               tuple(f"c{i}" for i in range(9)))
    blank = encoded(Image.new("RGB", (200, 200), "white"), "BMP")
    yield Case("a blank bitmap", zipped({"a/1.bmp": blank, "b/1.jpg": photo(1)}), 2, ("a", "b"))


class _NoSeek(io.RawIOBase):
    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def _streamed(members: Members) -> bytes:
    """Return an archive with sizes after the data, as a writer makes that cannot go back."""
    target = _NoSeek()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        for name, data in members.items():
            archive.writestr(name, data)
    return bytes(target.data)


def _wide(members: Members) -> bytes:
    """Return an archive with 64-bit sizes in its local headers."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            with archive.open(_info(name), "w", force_zip64=True) as member:
                member.write(data)
    return file.getvalue()


def _not_archives() -> Iterator[Case]:
    sound = zipped(two())
    yield Case("empty file", b"")
    yield Case("text", b"PK but not a zip\n" * 50)
    yield Case("a photo", photo(1))
    yield Case("only an end", b"PK\x05\x06" + bytes(18))
    yield Case("no photos", zipped({"a.txt": b"x", "b/c.csv": b"y"}))
    yield Case("only hidden photos", zipped({".a/1.jpg": photo(1), "__MACOSX/2.jpg": photo(2)}))
    yield Case("only an archive", zipped({"inner.zip": sound}))
    for percent in (20, 50, 80, 97):
        yield Case(f"{percent} %", sound[: len(sound) * percent // 100])
    yield Case("the end alone", sound[-22:])
    yield Case("the beginning missing", sound[100:])


def _names() -> Iterator[Case]:
    for name in (
        "/etc/cron.d/1.jpg", "../1.jpg", "cat/../../1.jpg", "..\\1.jpg", "cat\\..\\..\\1.jpg", "C:\\1.jpg",
        "c:1.jpg", "//server/share/1.jpg", "\\\\server\\1.jpg", "cat/..", "cat/a\x1b[2J.jpg", "cat/a\n.jpg",
        "cat/\u202egpj.exe.jpg", "cat/a\u200b.jpg", "cat/\ufeffa.jpg", "cat/\u2066a.jpg", "ca\u200dt/1.jpg",
        "cat/a\x7f.jpg", "cat/a\x85.jpg",
    ):
        yield Case(f"name {name!r}", zipped(two() | {name: photo(1)}))
    nul = zipped(two() | {"cat/evilX.jpg": photo(1)}).replace(b"cat/evilX.jpg", b"cat/evil\0.jpg")
    yield Case("name with a zero byte", nul)
    twice = zipped(two() | {"cat/8.jpg": photo(1), "cat/9.jpg": photo(2)})
    yield Case("one name twice", twice.replace(b"cat/9.jpg", b"cat/8.jpg"))
    yield Case("one name in two forms",
               zipped({"\u00e9/1.jpg": photo(1), "e\u0301/1.jpg": photo(2)} | two()))
    yield Case("some in folders, some not", zipped(two() | {"loose.jpg": photo(1)}))


def _labels() -> Iterator[Case]:
    for label in ("<script>alert(1)<", "![x](http:", "=1+1", "@SUM", "a`b", "a*b", "a\u00a0|b", "a:b", "x" * 65,
                  "50%", "a#b", "\U0001f600", "{x}", "[a]", "www.evil.example", "$a$", '"a"'):
        yield Case(f"class {label!r}"[:60], zipped(two(label)))


def _kinds() -> Iterator[Case]:
    for name, mode in (("link", stat.S_IFLNK), ("pipe", stat.S_IFIFO), ("device", stat.S_IFCHR),
                       ("disk", stat.S_IFBLK), ("socket", stat.S_IFSOCK)):
        file = io.BytesIO(zipped(two()))
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(_info("cat/9.jpg", mode=mode | 0o777), b"/etc/passwd")
        yield Case(f"a {name}", file.getvalue())
    for name, method in (("bzip2", zipfile.ZIP_BZIP2), ("lzma", zipfile.ZIP_LZMA)):
        yield Case(name, zipped(two(), method))
    for method in (1, 9, 12, 93, 99):
        yield Case(f"method {method}", _patched(central={10: struct.pack("<H", method)},
                                                local={8: struct.pack("<H", method)}))
    for bit in (0x1, 0x41, 0x2001):
        flags = struct.pack("<H", bit)
        yield Case(f"password, flags {bit:x}", _patched(central={8: flags}, local={6: flags}))


def _patched(central: dict[int, bytes] | None = None, local: dict[int, bytes] | None = None) -> bytes:
    """Return the ordinary archive with fields of its last member overwritten, by offset in the header."""
    data = bytearray(zipped(two()))
    for signature, fields in ((b"PK\x01\x02", central), (b"PK\x03\x04", local)):
        start = data.rindex(signature)
        for offset, value in (fields or {}).items():
            data[start + offset:start + offset + len(value)] = value
    return bytes(data)


def _bombs() -> Iterator[Case]:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("cat/1.jpg", "w") as member,
    ):
        for _ in range(300):
            member.write(bytes(1_000_000))
    yield Case("300 MB of zeros", file.getvalue())
    yield Case("9 MB of zeros", zipped(two() | {"cat/9.bmp": bytes(9_000_000)}))
    yield Case("too large a photo", zipped(two() | {"cat/9.jpg": photo(1).ljust(11_000_000, b"\1")}))
    yield Case("45,000 members", _many(45_000))
    yield Case("overlap", _overlapping(40))
    yield Case("overlap of everything", _overlapping(2))
    for size in (0xFFFFFFFF, 1_000_000_000):
        yield Case(f"declares {size} bytes", _patched(central={24: struct.pack("<I", size)}))


def _many(count: int) -> bytes:
    """Return an archive of empty members, written by hand since ``zipfile`` takes seconds."""
    local, central = bytearray(), bytearray()
    for number in range(count):
        name = b"a/%d.jpg" % number
        fields = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0)
        central += (b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, len(local))
                    + name)
        local += b"PK\x03\x04" + fields + name
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(central), len(local), 0)
    return bytes(local + central + b"PK\x05\x06" + end)


def _overlapping(count: int) -> bytes:
    """Return an archive whose members all share one block of compressed data."""
    content = bytes(900_000)
    packed = zlib.compress(content, 9)[2:-4]
    name = b"a/000.bmp"
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, zlib.crc32(content), len(packed), len(content),
                         len(name), 0)
    local = b"PK\x03\x04" + fields + name + packed
    central = b"".join(
        b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + b"a/%03d.bmp" % i
        for i in range(count)
    )
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(central), len(local), 0)
    return local + central + b"PK\x05\x06" + end


def _edited() -> Iterator[Case]:
    """Archives that look sound until a member is read."""
    yield Case("false checksum", _patched(central={16: b"\1\2\3\4"}, local={14: b"\1\2\3\4"}))
    yield Case("declares less than there is", _patched(central={24: struct.pack("<I", 20)}))
    yield Case("declares a little more", _patched(central={24: struct.pack("<I", 5000)}))
    yield Case("another name inside", _patched(local={30: b"dot"}))
    yield Case("no local header", _patched(local={0: b"XXXX"}))
    yield Case("offset beyond the end", _patched(central={42: struct.pack("<I", 10**6)}))
    yield Case("longer than the file", _patched(central={20: struct.pack("<I", 10**5)}))
    yield Case("not a photo inside", zipped(two() | {"cat/9.jpg": b"<html>"}))
    yield Case("a bomb inside", zipped(two() | {"cat/9.jpg": encoded(scene(), "TIFF")}))
    spoiled = bytearray(zipped(two()))
    at = spoiled.rindex(b"PK\x03\x04") + 30 + len("dog/2.jpg") + 5
    spoiled[at:at + 30] = b"\xff" * 30
    yield Case("spoiled data", bytes(spoiled))
