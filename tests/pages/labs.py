"""The lab for a person on a data folder of its own, with runs that are queued but never carried out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from core.accounts import Principal
from core.database import now, transaction
from core.experiments.runs import RunRequest
from core.experiments.tables import RunRow
from pages._ui import services
from tests.pages.studio import ROOT, app, page, texts

RECORDS: list[dict[str, Any]] = json.loads(
    (ROOT / "tests" / "unit" / "experiments" / "digits_records.json").read_text("utf-8"))


@pytest.fixture
def lab_home(studio_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with prepared models; queued runs stay queued and there is no example."""
    monkeypatch.setenv("SECATEUR_JOBS__EXAMPLE", "false")
    monkeypatch.setattr("core.jobs.queue.Queue.wake", lambda self: None)
    services.forget()
    return studio_home


def person(test: AppTest) -> Principal:
    """Return whom the page was opened for."""
    found = services.accounts().principal_of(test.session_state["secateur.token"])
    assert found is not None
    return found


def queued(principal: Principal, recipe: dict[str, Any] | None = None, **fields: Any) -> str:
    """Queue a run on the digits and return its id."""
    request = RunRequest(
        model="digits", data="digits", recipe=recipe or {"steps": [{"step": "quantize"}]}, **fields)
    return services.experiments().submit(principal, [request])[0].id


def finished(principal: Principal, record: dict[str, Any], estimate: dict[str, Any] | None = None) -> str:
    """Return the id of a run that ended with a record that was really measured."""
    run = queued(principal, record["recipe"])
    set_row(run, status="finished", fraction=1.0, record={**record, "id": run}, finished_at=now(), estimate=estimate)
    return run


def set_row(run: str, **values: Any) -> None:
    """Put a run into a state as a worker would."""
    with transaction(services.engine()) as session:
        session.execute(update(RunRow).where(RunRow.id == run).values(**values))


def waiting(test: AppTest) -> list[Any]:
    """Return the person's runs, newest first."""
    return services.experiments().runs(person(test))


__all__ = ["RECORDS", "app", "finished", "lab_home", "page", "person", "queued", "set_row", "texts", "waiting"]
