"""Ask the classify service about each photo, once per session and question; one bad file hurts no other."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from PIL import Image

from core.accounts import Principal
from core.errors import AccessError, InputError, SecateurError
from core.images import encode, thumbnail
from core.inference import Answer, Classification, Explanation
from pages._ui import i18n, services
from pages._ui.photos import Photo
from pages._ui.state import state

_KEPT = 400
_ICON_SIDE = 96


@services.once
def classification() -> Classification:
    """Return the classify service of this process."""
    return Classification(services.library(), services.accounts(), services.settings())


@dataclass(frozen=True)
class Answered:
    """A photo with its answer, or with the error that says why there is none; and a tiny picture."""

    photo: Photo
    outcome: Answer | SecateurError
    icon: str = ""


def answer_all(principal: Principal, photos: Sequence[Photo], model: str) -> list[Answered]:
    """Return one result for each photo, with a progress bar while there are many new ones.

    Raises AccessError if the session has ended; any other failure belongs to its photo.
    """
    _ = i18n.translate()
    language = i18n.language()
    bar = st.empty()
    results: list[Answered] = []
    for place, photo in enumerate(photos):
        key = (photo.digest, model, language)
        if key not in _known():
            if len(photos) > 1:
                bar.progress(place / len(photos), text=_("Photo {place} of {count}").format(
                    place=place + 1, count=len(photos)))
            found = _answer(principal, photo, model, language)
            if isinstance(found.outcome, Answer | InputError):
                _remember(key, found)
        else:
            found = _known()[key]
        results.append(Answered(photo, found.outcome, found.icon))
    bar.empty()
    return results


def explain(principal: Principal, photo: Photo, model: str, index: int) -> Explanation:
    """Return where the model looked for class ``index``. Raises what the service raises."""
    language = i18n.language()
    key = (photo.digest, model, language, index)
    if key not in _known():
        _remember(key, classification().explain(principal, photo.data, model, index, language=language))
    return _known()[key]


def _answer(principal: Principal, photo: Photo, model: str, language: str) -> Answered:
    try:
        answer = classification().classify(principal, photo.data, model, language=language)
    except AccessError:
        raise
    except SecateurError as error:
        return Answered(photo, error)
    with Image.open(io.BytesIO(answer.picture)) as picture:
        icon = encode(thumbnail(picture, _ICON_SIDE), quality=75)
    return Answered(photo, answer, "data:image/jpeg;base64," + base64.b64encode(icon).decode())


def _known() -> dict:
    if state.answers is None:
        state.answers = {}
    return state.answers


def _remember(key: tuple, value: Answered | Explanation) -> None:
    known = _known()
    if isinstance(value, Answered):
        value = Answered(Photo(value.photo.name, b""), value.outcome, value.icon)
    known[key] = value
    while len(known) > _KEPT:
        del known[next(iter(known))]
