"""The search page in its states: empty, running, finished, failed, someone else's; and how it begins a search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from core.database import now, transaction
from core.experiments.tables import RunRow
from core.search.answer import answer
from core.search.driving import FINALS, SEARCHING
from core.search.judging import figures
from core.search.studies import Study
from core.search.tables import StudyRow, TrialRow
from pages._ui import services
from tests.pages.labs import lab_home, person, queued
from tests.pages.studio import ROOT, app, page, texts

__all__ = ["lab_home"]
RECORDS: list[dict[str, Any]] = json.loads(
    (ROOT / "tests" / "unit" / "experiments" / "digits_records.json").read_text("utf-8"))
WANT = "lose at most 1 point, be smallest"


@pytest.fixture(autouse=True)
def _nobody_drives(lab_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.search.conductor.Conductor.wake", lambda self: None)


def begun(test: Any, want: str = WANT) -> Study:
    return services.studies().begin(person(test), "digits", "digits", want, 10)


def with_trials(test: Any, study: Study, count: int = 4, **values: Any) -> Study:
    """Give a search trials that were really measured, and put it into a state."""
    principal = person(test)
    with transaction(services.engine()) as session:
        for number, record in enumerate(RECORDS[:count]):
            session.add(TrialRow(
                study_id=study.id, number=number, params={}, distributions={}, recipe=record["recipe"],
                status="finished", figures=figures(record).model_dump(mode="json"), created_at=now(), seconds=9.0))
    for number in range(count):
        run = queued(principal, RECORDS[number]["recipe"])
        with transaction(services.engine()) as session:
            session.execute(update(RunRow).where(RunRow.id == run).values(status="finished", record=RECORDS[number]))
            session.execute(update(TrialRow).where(TrialRow.study_id == study.id, TrialRow.number == number)
                            .values(run_id=run))
    if values:
        with transaction(services.engine()) as session:
            session.execute(update(StudyRow).where(StudyRow.id == study.id).values(**values))
    return services.studies().study(principal, study.id)


def test_empty_page_says_what_to_do() -> None:
    test = page("study").run()
    assert not test.exception
    assert "You have not searched yet" in texts(test)


def test_a_wish_is_shown_as_understood_and_begun() -> None:
    test = page("study").run()
    test.text_input(key="study.want").set_value(WANT).run()
    assert "at most 1 point lost" in texts(test)
    test.button(key="study.begin").click().run()
    assert not test.exception
    found = services.studies().studies(person(test))
    assert [(study.text, study.status, study.minutes) for study in found] == [(WANT, "running", 10.0)]


def test_an_unclear_wish_shows_examples_and_begins_nothing() -> None:
    test = page("study").run()
    test.text_input(key="study.want").set_value("make it nice").run()
    assert "cannot be understood" in texts(test)
    test.button(key="study.begin").click().run()
    assert "cannot be understood" in texts(test)
    assert services.studies().studies(person(test)) == []


def test_a_running_search_shows_progress_and_the_best_so_far_and_stops() -> None:
    test = page("study")
    study = with_trials(test, begun(test), phase=SEARCHING, spent_seconds=120.0)
    test.query_params["study"] = study.id
    test.run()
    assert not test.exception
    assert "Best so far" in texts(test)
    test.button(key="study.stop").click().run()
    assert services.studies().study(person(test), study.id).status == "stopping"


def test_a_finished_search_recommends_with_evidence() -> None:
    test = app("study")
    study = with_trials(test, begun(test), phase=FINALS)
    found = answer(study.wish, study.candidates)
    with transaction(services.engine()) as session:
        session.execute(update(StudyRow).where(StudyRow.id == study.id).values(
            status="finished", answer=found.model_dump(mode="json"), finished_at=now(), spent_seconds=590.0))
    test.query_params["study"] = study.id
    test.run()
    assert not test.exception
    shown = texts(test)
    assert "Recommended" in shown
    assert "Runners-up" in shown
    assert "validation images" in shown
    test.button(key="study.resume").click().run()
    after = services.studies().study(person(test), study.id)
    assert (after.status, after.minutes) == ("running", 15.0)


def test_a_failed_search_says_why() -> None:
    test = page("study")
    study = with_trials(test, begun(test), 0, status="failed", finished_at=now(),
                        error={"message": "The database is busy. Nothing was changed; try again in a moment.",
                               "parameters": {}})
    test.query_params["study"] = study.id
    test.run()
    assert not test.exception
    assert "The database is busy" in texts(test)


def test_someone_elses_search_is_not_there() -> None:
    other = page("study", user="wren")
    study = begun(other)
    test = page("study", user="heron")
    test.query_params["study"] = study.id
    test.run()
    assert not test.exception
    assert "There is no search" in texts(test)


def test_the_page_is_found_in_the_navigation_in_french() -> None:
    test = app("study", language="fr").run()
    assert not test.exception
    assert test.text_input(key="study.want") is not None
