"""Run the whole app as a visitor or as somebody signed in, on a data folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.accounts import SignedIn
from core.settings import ROOT
from pages._ui import services

PASSWORD = "quiet lanterns over the estuary"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty data folder without models, which the process's services use; ``ada`` will be an admin."""
    (tmp_path / "no-models").mkdir()
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("SECATEUR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SECATEUR_MODELS_FOLDER", str(tmp_path / "no-models"))
    monkeypatch.setenv("SECATEUR_SIGN_UP__ADMINS", '["ada@example.org"]')
    services.forget()
    yield tmp_path / "home"
    services.forget()


def person(name: str = "ben", **fields: str) -> SignedIn:
    """Open an account whose e-mail is ``<name>@example.org``."""
    return services.accounts().sign_up(
        name, fields.pop("name", name.title()), f"{name}@example.org", PASSWORD, **fields)


def open_page(file: str, session: str | None = None, *, locale: str = "en-GB", **query: str) -> AppTest:
    """Return ``pages/<file>`` as it looks to the owner of the token ``session``, or to a visitor."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.context = {"locale": locale, "url": "http://localhost:8501/", "timezone": "Europe/Paris"}
    app.run()
    if session:
        app.session_state["secateur.token"] = session
    app.query_params.update(query)
    return app.switch_page(f"pages/{file}").run()


def words(app: AppTest) -> str:
    """Return the text that the page shows outside of fields."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success",
             "code")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))
