"""Classify one photo for one signed-in person. The photo stays in memory; nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from core.images import encode, prepare, read_photo, thumbnail
from core.inference.classifier import classifier
from core.inference.occlusion import grid_for, occlusion_map, overlay
from core.inference.ranking import Prediction, rank
from core.inference.timing import median_ms, timed_predict

if TYPE_CHECKING:
    from core.accounts import Accounts, Principal
    from core.settings import Settings
    from core.zoo import Library, Preprocessing

_SHOWN_SIDE = 640
_MAP_SIDE = 448


class Answer(BaseModel):
    """What a model says about a photo, how long it took, and which file said it.

    ``picture`` is a small JPEG made anew from the pixels, upright and without metadata: what a page
    shows instead of a stranger's bytes.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    title: str
    form: str
    model_bytes: int
    predictions: list[Prediction]
    unsure: bool
    preprocess_ms: float
    inference_ms: float
    picture: bytes = Field(repr=False, exclude=True)


class Explanation(BaseModel):
    """Where a model looked: the map laid over what it saw, and the largest fall in probability."""

    model_config = ConfigDict(frozen=True)

    label: str
    largest_drop: float
    positions: int
    picture: bytes = Field(repr=False, exclude=True)


class Classification:
    """The classify service.

    Parameters
    ----------
    library
        Where models are found.
    accounts
        Asked on every call whether the person's session still lives.
    settings
        Limits of a photo, threads of a call, and the probability below which an answer is unsure.
    """

    def __init__(self, library: Library, accounts: Accounts, settings: Settings) -> None:
        self._library, self._accounts, self._settings = library, accounts, settings

    def classify(self, principal: Principal, photo: bytes, model: str, *, top: int = 5,
                 language: str = "en") -> Answer:
        """Return the ``top`` most probable classes of ``photo`` by ``model`` (a name, or ``name:form``).

        Decoding and resizing are timed as pre-processing, apart from inference; each figure is the
        median of up to five runs within 50 ms.

        Raises
        ------
        AccessError
            If the session has ended.
        InputError
            If the bytes are not a photo that can be read.
        NotFoundError, BusyError
            If there is no such model, or it is not ready, or all its interpreters stay taken.
        StorageError
            If the model's file is damaged.
        """
        principal = self._accounts.require(principal)
        served = self._library.resolve_for(principal.user_id, model)
        network = classifier(served.path, self._settings.models.threads)

        def read() -> tuple[Image.Image, NDArray[np.float32]]:
            image = read_photo(photo, self._settings.limits)
            return image, prepare(image, served.card.preprocessing)

        (image, prepared), preprocess_ms = median_ms(read)
        probabilities, inference_ms = timed_predict(network, prepared[None])
        predictions = rank(probabilities[0], self._library.labels(served.card, language), top)
        return Answer(
            model=served.card.name, title=served.card.text(language).title, form=served.form,
            model_bytes=network.bytes, predictions=predictions,
            unsure=predictions[0].probability < self._settings.models.unsure_below,
            preprocess_ms=preprocess_ms, inference_ms=inference_ms,
            picture=encode(thumbnail(image, _SHOWN_SIDE)),
        )

    def explain(self, principal: Principal, photo: bytes, model: str, index: int, *,
                language: str = "en") -> Explanation:
        """Return where ``model`` looked to find class ``index``; takes about a second.

        Raises what :meth:`classify` raises, and InputError if there is no such class.
        """
        principal = self._accounts.require(principal)
        served = self._library.resolve_for(principal.user_id, model)
        network = classifier(served.path, self._settings.models.threads)
        prepared = prepare(read_photo(photo, self._settings.limits), served.card.preprocessing)
        _, once_ms = timed_predict(network, prepared[None], runs=3)
        patch, stride = grid_for(min(prepared.shape[:2]), once_ms)
        drops = occlusion_map(network, prepared, index, patch, stride)
        seen = _enlarged(as_seen(prepared, served.card.preprocessing))
        return Explanation(
            label=self._library.labels(served.card, language)[index],
            largest_drop=max(float(drops.max()), 0.0), positions=drops.size,
            picture=encode(Image.fromarray(overlay(seen, drops))),
        )


def as_seen(prepared: NDArray[np.float32], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return a model's input, float32 ``[h, w, c]``, as the picture it came from, uint8 ``[h, w, 3]``."""
    mean = np.asarray(preprocessing.mean, np.float32)
    values = prepared * np.asarray(preprocessing.std, np.float32) + mean
    if preprocessing.invert:
        values = 255 - values
    pixels = values.round().clip(0, 255).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    scale = _MAP_SIDE / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    how = Image.Resampling.NEAREST if scale > 4 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(picture).resize(size, how))
