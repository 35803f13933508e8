"""Which models and data a person may name in a run, and how a worker opens the data."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import Engine, select

from core.accounts import LOCAL, Principal
from core.database import connect, reading
from core.datasets import BUILT_IN, DOWNLOADS, Dataset, open_dataset
from core.datasets.layout import SPLITS
from core.errors import InputError, NotFoundError
from core.experiments.runs import RunRequest
from core.experiments.tables import UploadRow
from core.experiments.uploads import PREFIX, open_upload
from core.images import display_name
from core.locales import N_
from core.settings import Settings
from core.storage import Storage
from core.zoo import Library

NAMED = (*BUILT_IN, *DOWNLOADS)
_MODEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}(:[a-z0-9]{1,20})?")


def check_subjects(principal: Principal, requests: Sequence[RunRequest], engine: Engine, settings: Settings) -> None:
    """Refuse a request for a model or for data that the person may not use.

    The operator of the command line may name any path of the machine. Everybody else has the library's models, the
    data known by name, and their own uploads: a path from a browser would read the server's disk.

    Raises
    ------
    InputError
        If data is named in another way.
    NotFoundError
        If there is no such model, or no such upload of this person.
    """
    if principal == LOCAL:
        return
    library = Library(settings)
    for model in {request.model for request in requests}:
        known = _MODEL.fullmatch(model) is not None
        if not known or library.card(model.partition(":")[0]).owner not in (None, principal.user_id):
            raise NotFoundError(
                N_("There is no model '{model}'. Choose one of the library."), model=display_name(model)
            )
    for spec in {r.data for r in requests} | {r.calibration for r in requests if r.calibration is not None}:
        if spec.startswith(PREFIX):
            _own(principal, spec, engine)
        elif not _named(spec, settings):
            raise InputError(
                N_("There is no data '{data}'. Choose a set by its name, or upload a zip of images."),
                data=display_name(spec),
            )


def open_subject(spec: str, settings: Settings) -> Dataset:
    """Open the data of a run that was checked when it was submitted: a name, a path, or ``upload:<id>``.

    Raises
    ------
    SecateurError
        As ``open_dataset``; NotFoundError if the upload was deleted.
    """
    if not spec.startswith(PREFIX):
        return open_dataset(spec, settings)
    engine = connect(settings.database_url)
    try:
        return open_upload(spec, engine, Storage(settings.storage_url), settings)
    finally:
        engine.dispose()


def _named(spec: str, settings: Settings) -> bool:
    name, separator, option = spec.partition(":")
    if name not in NAMED:
        return False
    if name == "photos" and separator:
        return option.isascii() and option.isdecimal() and 1 <= int(option[:9]) <= settings.limits.dataset_images
    return not separator or option.casefold() in SPLITS


def _own(principal: Principal, spec: str, engine: Engine) -> None:
    query = select(UploadRow.id).where(
        UploadRow.id == spec.removeprefix(PREFIX), UploadRow.owner_id == principal.user_id
    )
    with reading(engine) as session:
        if session.scalar(query) is None:
            raise NotFoundError(N_("These images are not there any more. Choose others or upload them again."))
