"""Run a studio page as a signed-in person on a data folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages._ui import services
from tests.prepared import ROOT, link_models

PASSPHRASE = "seven green boats over water"
SKIMAGE = Path(next(iter(find_spec("skimage").submodule_search_locations)))
COFFEE = (SKIMAGE / "data/coffee.png").read_bytes()
CAT = (SKIMAGE / "data/chelsea.png").read_bytes()


@pytest.fixture
def studio_home(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder with prepared models and no accounts; the process's services use it."""
    folder = link_models(models, tmp_path / "home")
    monkeypatch.setenv("SECATEUR_HOME", str(folder))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    services.forget()
    yield folder
    services.forget()


def page(name: str, language: str = "en", user: str = "heron") -> AppTest:
    """Return the page alone, not yet run, with a person signed in whose account has ``language``."""
    return _signed_in(ROOT / "pages" / "studio" / f"{name}.py", language, user)


def app(name: str, language: str = "en", user: str = "heron") -> AppTest:
    """Return the whole app at the page, not yet run, with a person signed in."""
    test = _signed_in(ROOT / "app.py", language, user).run()
    return test.switch_page(f"pages/studio/{name}.py")


def _signed_in(script: Path, language: str, user: str) -> AppTest:
    signed_in = services.accounts().sign_up(
        user, "Heron", f"{user}@example.org", PASSPHRASE, language=language)
    test = AppTest.from_file(str(script), default_timeout=120)
    test.session_state["secateur.token"] = signed_in.token
    test.session_state["secateur.language"] = language
    return test


def texts(test: AppTest) -> str:
    """Return every visible sentence of the page."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success")
    return "\n".join(element.value for kind in kinds for element in getattr(test, kind))
