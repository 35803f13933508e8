"""What becomes of a photo's pixels, and of files that are none."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from core.errors import InputError
from core.images import as_picture, encode, read_photo, thumbnail
from core.settings import Limits
from tests.corpus.images import Case, corpus, mutate, seeds
from tests.corpus.pictures import deep_png, encoded, exif, png, scene

LIMITS = Limits()
CASES = corpus()
SEEDS = seeds()
# Decoding these eight is what undoes each orientation; EXIF 2.32, tag 0x0112.
INVERSE = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def read(data: bytes) -> np.ndarray:
    return np.asarray(read_photo(data, LIMITS))


def test_the_corpus_is_large_and_unambiguous() -> None:
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_corpus(case: Case) -> None:
    if case.verdict == "reject":
        with pytest.raises(InputError, match=r"\.$"):
            read_photo(case.data, LIMITS)
    elif case.verdict == "accept":
        picture = read_photo(case.data, LIMITS)
        assert (picture.mode, picture.info, dict(picture.getexif())) == ("RGB", {}, {})
    else:
        attempt(case.data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_one_picture_turned_eight_ways_comes_out_the_same(kind: str) -> None:
    upright = scene()
    results = []
    for orientation, turn in INVERSE.items():
        turned = upright if turn is None else upright.transpose(turn)
        options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
        results.append(read(encoded(turned, kind, exif=exif(orientation), **options)).astype(int))
    assert {result.shape for result in results} == {(48, 64, 3)}
    for result in results:
        error = np.abs(result - np.asarray(upright).astype(int))
        # A turned JPEG has its blocks and colour samples elsewhere; a wrong turn would differ by 40.
        assert error.mean() < 4 if kind == "JPEG" else not error.any()


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    half = Image.new("RGBA", (16, 16), (0, 0, 0, 128))
    for kind in ("PNG", "WEBP"):
        assert (read(encoded(clear, kind, **({"lossless": True} if kind == "WEBP" else {}))) == 255).all()
    assert abs(int(read(encoded(half, "PNG"))[0, 0, 0]) - 127) <= 1
    palette = Image.new("P", (16, 16), 0)
    assert (read(encoded(palette, "PNG", transparency=0)) == 255).all()
    grey = Image.new("LA", (16, 16), (0, 0))
    assert (read(encoded(grey, "PNG")) == 255).all()


def test_sixteen_bits_are_scaled_not_cut_off() -> None:
    ramp = np.linspace(0, 65535, 16 * 256).round().astype(np.uint16).reshape(16, 256)
    for samples in (ramp, np.stack([ramp] * 3, -1)):
        result = read(deep_png(samples))[..., 0].astype(float)
        assert np.abs(result - ramp / 257).max() <= 1


@pytest.mark.parametrize("colour", [(200, 30, 30), (20, 160, 60), (250, 250, 250), (5, 5, 5)])
def test_cmyk_keeps_its_colours(colour: tuple[int, int, int]) -> None:
    data = encoded(Image.new("RGB", (32, 32), colour).convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data
    assert np.abs(read(data).mean((0, 1)) - colour).max() < 6


def test_grey_palette_and_bilevel_become_rgb() -> None:
    for mode in ("1", "L", "P"):
        picture = Image.new("RGB", (16, 16), "white").convert(mode)
        assert (read(encoded(picture, "PNG")) == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_the_first_frame_of_an_animation_counts(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "lime")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    assert np.abs(read(data).mean((0, 1)) - (255, 0, 0)).max() < 3


@pytest.mark.parametrize(("data", "says"), [
    (b"", "empty"),
    (b"hello" * 100, "not a photo"),
    (b"%PDF-1.4\n" + bytes(99), "PDF"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    (b"<!doctype html><p>", "HTML"),
    (b"\0\0\0\x18ftypheic" + bytes(99), "HEIC"),
    (encoded(scene(), "PNG")[:500], "damaged"),
    (encoded(Image.new("RGB", (1, 1)), "PNG"), "1 by 1"),
    (encoded(Image.new("RGB", (900, 10)), "PNG"), "elongated"),
    (png(60000, 60000), "40 megapixels"),
    (bytes(10_000_001), "10 MB"),
])
def test_each_refusal_says_what_is_wrong(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_photo(data, LIMITS)


def test_limits_are_those_of_the_installation() -> None:
    data = encoded(Image.new("RGB", (200, 100)), "PNG")
    with pytest.raises(InputError, match=r"0\.01 megapixels"):
        read_photo(data, Limits(photo_megapixels=0.01))
    with pytest.raises(InputError, match="MB"):
        read_photo(data, Limits(photo_mb=0.0001))


@pytest.mark.parametrize("name", ["png header 60000x60000", "webp header 16383x16383", "zTXt bomb",
                                  "bmp header 60000x60000", "gif screen 65535x65535"])
def test_a_bomb_costs_no_memory(name: str, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_bytes(next(case.data for case in CASES if case.name == name))
    program = (
        "import resource, sys\n"
        "from core.errors import InputError\n"
        "from core.images import read_photo\n"
        "from core.settings import Limits\n"
        "data = open(sys.argv[1], 'rb').read()\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "try:\n"
        "    read_photo(data, Limits())\n"
        "except InputError:\n"
        "    print(peak() - before)\n"
    )
    run = subprocess.run([sys.executable, "-c", program, str(bomb)], capture_output=True, text=True,
                         timeout=60, check=True)
    assert int(run.stdout) < 100_000  # kilobytes


def test_encoding_keeps_pixels_and_nothing_else() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    original = encoded(scene(), "JPEG", exif=exif(6), icc_profile=profile, comment=b"where I live")
    picture = read_photo(original, LIMITS)
    picture.info["exif"] = exif(6)
    for kind in ("JPEG", "PNG", "WEBP"):
        again = encode(picture, kind)
        assert again != original
        assert b"Exif" not in again
        assert b"where I live" not in again
        with Image.open(io.BytesIO(again)) as opened:
            assert opened.size == picture.size
            assert not set(opened.info) & {"exif", "icc_profile", "xmp", "comment"}


def test_thumbnails_fit_and_never_grow() -> None:
    assert max(thumbnail(scene(400, 100), 80).size) == 80
    assert thumbnail(scene(), 320).size == scene().size


def test_arrays_become_pictures() -> None:
    assert as_picture(np.zeros((8, 8, 1), np.uint8)).mode == "L"
    assert as_picture(np.zeros((8, 6, 3), np.uint8)).size == (6, 8)


def attempt(data: bytes) -> None:
    try:
        picture = read_photo(data, LIMITS)
    except InputError:
        return
    assert picture.mode == "RGB"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", SEEDS)
def test_mutated_files_never_crash(seed: str) -> None:
    for number in range(40):
        attempt(mutate(SEEDS[seed], 1000 + number))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", SEEDS)
def test_fifty_thousand_mutated_files_never_crash(seed: str) -> None:
    for number in range(50_000 // len(SEEDS) + 1):
        attempt(mutate(SEEDS[seed], 10_000 + number))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(start=st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x90\0\0\0WEBPVP8 ", b"BM", b"GIF89a", b""]),
       rest=st.binary(max_size=400))
def test_arbitrary_bytes_never_crash(start: bytes, rest: bytes) -> None:
    attempt(start + rest)
