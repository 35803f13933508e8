"""Open a run's page and the experiments page as somebody who has runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.accounts import SignedIn
from core.jobs import Queue
from pages._ui import services
from tests.finished import Made, store
from tests.pages.studio import PASSPHRASE, ROOT


@pytest.fixture
def runs_home(studio_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose queue is never started, so that waiting runs stay waiting."""
    monkeypatch.setattr(Queue, "wake", lambda self: None)
    return studio_home


def member(name: str = "heron", language: str = "en") -> SignedIn:
    """Open an account."""
    return services.accounts().sign_up(name, name.title(), f"{name}@example.org", PASSPHRASE, language=language)


def keep(who: SignedIn, *made: Made, **fields: object) -> list[str]:
    """Give finished runs to an account."""
    return store(services.engine(), services.settings(), who.principal.user_id, made, **fields)


def visit(page: str, who: SignedIn | None, language: str = "en", /, **query: str) -> AppTest:
    """Return ``pages/studio/<page>.py`` in the whole app, run once, as ``who`` or a visitor sees it."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.session_state["secateur.language"] = language
    app.run()
    if who is not None:
        app.session_state["secateur.token"] = who.token
    app.query_params.update(query)
    return app.switch_page(f"pages/studio/{page}.py").run()


def seen(app: AppTest) -> str:
    """Return every visible sentence of the page, tables included."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success", "code",
             "metric")
    text = "\n".join(str(getattr(e, "label", "")) + " " + str(e.value) for k in kinds for e in getattr(app, k))
    tables = "\n".join(f"{t.value.to_csv()}" for t in [*app.table, *app.dataframe])
    return (text + "\n" + tables).replace("\\", "")
