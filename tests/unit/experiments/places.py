"""A data folder with a database, a store and two people, for tests of what they may do with runs and images."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from core.accounts import Accounts, Principal
from core.database import connect, migrate
from core.experiments.service import Experiments
from core.experiments.uploads import Uploads
from core.settings import ROOT, Settings
from core.storage import Storage

PASSPHRASE = "nine quiet otters in a row"


@dataclass
class Place:
    """The services, and two people who are signed in."""

    engine: object
    storage: Storage
    settings: Settings
    accounts: Accounts
    experiments: Experiments
    uploads: Uploads
    ada: Principal
    ben: Principal


def make_place(home: Path, **settings: object) -> Place:
    """Build everything in ``home``."""
    configured = Settings(
        home=home, models_folder=ROOT / "models", database_url=f"sqlite:///{home / 'secateur.db'}",
        storage_url=(home / "artifacts").as_uri(), **settings,
    )
    home.mkdir(parents=True, exist_ok=True)
    engine = connect(configured.database_url)
    migrate(engine)
    accounts, storage = Accounts(engine, configured), Storage(configured.storage_url)
    people = [accounts.sign_up(n, n.title(), f"{n}@example.org", PASSPHRASE).principal for n in ("ada", "ben")]
    return Place(
        engine, storage, configured, accounts, Experiments(engine, storage, accounts, configured),
        Uploads(engine, storage, accounts, configured), *people,
    )


def digits_zip(per_class: int = 4, classes: int = 2, broken: str = "") -> bytes:
    """Return a zip of class folders with small random pictures, one of which may be damaged."""
    rng, buffer = np.random.default_rng(0), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label in range(classes):
            for number in range(per_class):
                picture = io.BytesIO()
                Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(picture, "PNG")
                archive.writestr(f"{label}/{number}.png", picture.getvalue())
        if broken:
            archive.writestr(f"0/{broken}", b"\x89PNG\r\n\x1a\nno picture")
    return buffer.getvalue()
