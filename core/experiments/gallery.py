"""The test images of a run, as long as the data is still there: for looking at those whose class changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.datasets import Dataset, Subset
from core.errors import NotFoundError
from core.experiments.predictions import Predictions
from core.images import prepare
from core.inference import classifier, grid_for, occlusion_map, overlay, timed_predict
from core.inference.service import as_seen
from core.locales import N_
from core.zoo import ModelCard

Picture = NDArray[np.uint8]
SHOWN_SIDE = 320
_BUDGET_S = 0.4


@dataclass(frozen=True)
class Change:
    """A test image whose class changed: its position in the test set, and both answers as class numbers."""

    position: int
    image: str
    target: int | None
    before: int
    after: int
    confidence_before: float
    confidence_after: float

    @property
    def direction(self) -> str:
        """``right_to_wrong``, ``wrong_to_right``, ``wrong_to_other``, or ``changed`` without labels."""
        if self.target is None:
            return "changed"
        if self.before == self.target:
            return "right_to_wrong"
        return "wrong_to_right" if self.after == self.target else "wrong_to_other"


def changes(predictions: Predictions) -> list[Change]:
    """Return the images whose class changed, surest new mistakes first."""
    targets = predictions.targets
    found = [
        Change(
            position=int(i), image=str(predictions.images[i]), target=None if targets is None else int(targets[i]),
            before=int(predictions.baseline[i]), after=int(predictions.compressed[i]),
            confidence_before=float(predictions.baseline_confidence[i]),
            confidence_after=float(predictions.compressed_confidence[i]),
        )
        for i in np.flatnonzero(predictions.baseline != predictions.compressed)
    ]
    order = ("right_to_wrong", "changed", "wrong_to_right", "wrong_to_other")
    return sorted(found, key=lambda change: (order.index(change.direction), -change.confidence_after))


def images_of(data: Dataset, predictions: Predictions, record: Mapping[str, Any]) -> Subset:
    """Return the images that a run was tested on, in their order.

    Raises
    ------
    NotFoundError
        If the data no longer holds exactly these images.
    """
    places = {name: place for place, name in enumerate(data.ids)}
    try:
        part = Subset(data, [places[str(name)] for name in predictions.images], data.name)
    except KeyError:
        part = None
    if part is None or part.digest != record["images"]["test"]["sha256"]:
        raise NotFoundError(
            N_("The images of '{data}' have changed since this run, so they cannot be shown."), data=data.name)
    return part


def picture(data: Dataset, position: int) -> Picture:
    """Return an image of the data for a page: uint8 RGB ``[h, w, 3]``, long side 320; small ones keep hard edges."""
    pixels = data.image(position)
    return _fitted(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)


def heat_map(model: Path, card: ModelCard, pixels: Picture, index: int, threads: int = 1) -> Picture:
    """Return where the model looked to find class ``index``, laid over what it saw (Zeiler and Fergus 2014).

    Parameters
    ----------
    model
        The ``.tflite`` to ask.
    pixels
        uint8 ``[h, w, 3]``, or ``[h, w, 1]`` grey.
    """
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    ready = prepare(image, card.preprocessing)
    network = classifier(model, threads)
    _, once_ms = timed_predict(network, ready[None], runs=3)
    patch, stride = grid_for(min(ready.shape[:2]), once_ms, _BUDGET_S)
    drops = occlusion_map(network, ready, index, patch, stride)
    return overlay(_fitted(as_seen(ready, card.preprocessing)), drops)


def _fitted(pixels: Picture) -> Picture:
    height, width = pixels.shape[:2]
    scale = SHOWN_SIDE / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    how = Image.Resampling.NEAREST if scale > 4 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(pixels).resize(size, how))
