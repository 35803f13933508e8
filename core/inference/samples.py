"""Photos that anyone can try: those that scikit-image and scikit-learn install on the disk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from core.locales import N_


@dataclass(frozen=True)
class Sample:
    """A photo on the disk and what it shows, as a text marked for translation."""

    name: str
    title: str
    path: Path


_FILES = (
    ("coffee", N_("Cup of coffee"), "skimage", "data/coffee.png"),
    ("photographer", N_("Photographer"), "skimage", "data/camera.png"),
    ("cat", N_("Cat"), "skimage", "data/chelsea.png"),
    ("motorcycle", N_("Motorcycle"), "skimage", "data/motorcycle_left.png"),
    ("temple", N_("Temple"), "sklearn", "datasets/images/china.jpg"),
    ("flower", N_("Flower"), "sklearn", "datasets/images/flower.jpg"),
)


@cache
def samples() -> tuple[Sample, ...]:
    """Return the sample photos that are installed, looked for once.

    The packages are only located, not imported: that would cost a server tens of megabytes.
    """
    found = []
    for name, title, package, file in _FILES:
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            continue
        path = Path(next(iter(spec.submodule_search_locations))) / file
        if path.is_file():
            found.append(Sample(name, title, path))
    return tuple(found)
