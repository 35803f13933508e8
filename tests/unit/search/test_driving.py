"""A search driven look by look, by a clock that is given: it resumes, stops, keeps its front and its time.

Runs are ended with records that were really measured, so that no minute is spent; one test carries its runs out.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update

from core.accounts import LOCAL, Accounts
from core.database import connect, migrate, now, reading, transaction
from core.errors import BusyError, InputError, NotFoundError
from core.experiments.runs import Failure
from core.experiments.tables import RunRow
from core.jobs.worker import carry_out
from core.search.conductor import LOST_AFTER, Conductor
from core.search.pacing import FINALISTS
from core.search.studies import Studies, Study
from core.search.tables import StudyRow, TrialRow
from core.settings import Settings
from core.storage import Storage
from tests.prepared import ROOT, link_models

RECORDS: list[dict[str, Any]] = json.loads(
    (ROOT / "tests" / "unit" / "experiments" / "digits_records.json").read_text("utf-8"))
WANT = "lose at most 1 point, be smallest"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Bench:
    """One installation, its searches and a clock."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine, self.settings, self.clock = engine, settings, Clock()
        self.storage = Storage(settings.storage_url)
        self.accounts = Accounts(engine, settings)
        self.studies = Studies(engine, self.accounts, settings)
        self.conductor = self.another()

    def another(self) -> Conductor:
        """Return the driver of another process."""
        return Conductor(self.engine, self.storage, self.settings, lambda: None, self.clock)

    def begin(self, minutes: float = 10, want: str = WANT, **more: Any) -> Study:
        return self.studies.begin(LOCAL, "digits", "digits", want, minutes, **more)

    def study(self, study: Study) -> Study:
        return self.studies.study(LOCAL, study.id)

    def waiting(self) -> list[str]:
        with reading(self.engine) as session:
            return list(session.scalars(select(RunRow.id).where(RunRow.status == "queued")))

    def end(self, run_id: str, seconds: float, error: Failure | None = None) -> None:
        """End a run with a record, as a worker would after so many seconds."""
        with transaction(self.engine) as session:
            row = session.get_one(RunRow, run_id)
            number = session.scalar(select(func.count()).where(RunRow.status == "finished")) or 0
            row.started_at, row.finished_at = now() - timedelta(seconds=seconds), now()
            row.status = "finished" if error is None else "failed"
            if error is None:
                row.record = {**RECORDS[number % len(RECORDS)], "recipe": row.request["recipe"]}
            else:
                row.error = error.model_dump(mode="json")

    def look(self, trial_seconds: float, wanted: int = 10_000) -> int:
        """Let the search run until it has ended or so many runs have; return how many have."""
        ended = 0
        for _ in range(2000):
            if not self.conductor.turn() or ended >= wanted:
                return ended
            self.clock.seconds += 1
            with reading(self.engine) as session:
                ripe = [row.id for row in session.scalars(select(RunRow).where(RunRow.status == "queued"))
                        if (now() - row.created_at).total_seconds() >= 0]
            due = self.__dict__.setdefault("due", {})
            for run_id in ripe:
                if self.clock.seconds >= due.setdefault(run_id, self.clock.seconds + trial_seconds):
                    self.end(run_id, trial_seconds)
                    ended += 1
        raise AssertionError("the search does not end")


@pytest.fixture
def home(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = link_models(models, tmp_path / "home")
    monkeypatch.setenv("SECATEUR_HOME", str(folder))
    return folder


@pytest.fixture
def bench(engine: Engine, home: Path) -> Bench:
    return Bench(engine, Settings(home=home, database_url="", storage_url=(home / "artifacts").as_uri()))


@pytest.fixture
def place(sqlite_engine: Engine, home: Path) -> Bench:
    return Bench(sqlite_engine, Settings(home=home, database_url="", storage_url=(home / "artifacts").as_uri()))


def test_a_search_ends_in_time_with_finalists_on_other_images(bench: Bench) -> None:
    study = bench.begin(4)
    bench.look(20)
    found = bench.study(study)
    assert found.status == "finished"
    assert 0.7 * 240 <= found.spent_seconds <= 1.1 * 240
    assert found.answer is not None
    assert found.answer.kept
    assert found.trial(found.answer.recommended or 0).final is not None
    assert sum(t.final is not None for t in found.trials) == FINALISTS
    with reading(bench.engine) as session:
        stages = [row.request["stage"] for row in session.scalars(select(RunRow))]
        archived = [row.archived_at is not None for row in session.scalars(select(RunRow))]
    assert stages.count("finalist") == FINALISTS
    assert [stage == "trial" for stage in stages] == archived


@pytest.mark.parametrize(("minutes", "seconds"), [(1, 7), (2, 45), (3, 200)])
def test_the_budget_is_kept_however_long_trials_take(place: Bench, minutes: float, seconds: float) -> None:
    study = place.begin(minutes)
    place.look(seconds)
    found = place.study(study)
    assert found.status == "finished"
    assert found.spent_seconds <= 1.1 * 60 * minutes
    assert found.answer is not None


def test_a_killed_driver_is_followed_by_another_that_repeats_nothing(bench: Bench) -> None:
    study = bench.begin(4)
    bench.look(20, wanted=3)
    before = bench.study(study)
    second = bench.another()
    second.turn()
    assert bench.study(study).trials == before.trials  # the first still holds it
    with transaction(bench.engine) as session:
        session.execute(update(StudyRow).values(heartbeat_at=now() - 2 * LOST_AFTER))
    bench.conductor = second
    bench.clock.seconds += 3600  # the time between counts for nobody
    bench.look(20)
    after = bench.study(study)
    assert after.status == "finished"
    assert after.spent_seconds <= 1.1 * 240
    assert [t.recipe for t in after.trials][:len(before.trials)] == [t.recipe for t in before.trials]
    recipes = [json.dumps(t.recipe["steps"], sort_keys=True) for t in after.trials]
    assert len(recipes) == len(set(recipes))


def test_stopping_keeps_the_front_and_going_on_adds_to_it(bench: Bench) -> None:
    study = bench.begin(4)
    bench.look(20, wanted=4)
    bench.studies.stop(LOCAL, study.id)
    bench.look(20)
    stopped = bench.study(study)
    assert stopped.status == "stopped"
    assert len(stopped.candidates) >= 4
    assert stopped.answer is not None
    assert stopped.answer.front
    assert stopped.answer.recommended is not None
    assert not bench.waiting()
    bench.studies.resume(LOCAL, study.id)
    bench.look(20)
    after = bench.study(study)
    assert after.status == "finished"
    assert len(after.candidates) > len(stopped.candidates)
    assert after.spent_seconds <= 1.1 * 240


def test_failures_bar_a_kind_and_are_told(place: Bench) -> None:
    study = place.begin(2, "at least 2 times faster")
    reason = Failure(message="This model has no {what}.", parameters={"what": "channels"})
    for _ in range(200):
        if not place.conductor.turn():
            break
        place.clock.seconds += 2
        for run_id in place.waiting():
            place.end(run_id, 2, reason)
    found = place.study(study)
    assert found.status == "finished"
    assert found.answer is not None
    assert found.answer.recommended is None
    assert "has no channels" in found.answer.sentences[0].render()


def test_data_that_is_gone_fails_the_search_with_its_reason(place: Bench) -> None:
    study = place.begin(1)
    with transaction(place.engine) as session:
        session.execute(update(StudyRow).values(data="upload:gone"))
    place.conductor.turn()
    found = place.study(study)
    assert found.status == "failed"
    assert found.error is not None


def test_what_may_not_be_begun(place: Bench) -> None:
    for minutes in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(InputError, match="minutes"):
            place.begin(minutes)
    with pytest.raises(InputError, match="sampler"):
        place.begin(1, sampler="lucky")
    with pytest.raises(NotFoundError):
        place.studies.begin(LOCAL, "nothing", "digits", WANT, 1)
    first = place.begin(1)
    place.begin(1)
    with pytest.raises(BusyError):
        place.begin(1)
    with pytest.raises(BusyError):
        place.studies.delete(LOCAL, first.id)
    with pytest.raises(NotFoundError):
        place.studies.study(LOCAL, "another")


def test_an_account_takes_its_searches_along(bench: Bench) -> None:
    person = bench.accounts.sign_up("heron", "Heron", "heron@example.org", "seven green boats over water")
    principal = bench.accounts.principal_of(person.token)
    assert principal is not None
    study = bench.studies.begin(principal, "digits", "digits", WANT, 5)
    bench.look(20, wanted=2)
    with pytest.raises(NotFoundError):
        bench.studies.study(LOCAL, study.id)
    bench.accounts.delete_account(principal, "seven green boats over water")
    with reading(bench.engine) as session:
        assert session.scalar(select(func.count()).select_from(StudyRow)) == 0
        assert session.scalar(select(func.count()).select_from(TrialRow)) == 0


def test_a_real_trial_and_its_finalist_share_a_file_and_no_image(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=home, database_url=f"sqlite:///{home / 'secateur.db'}",
                        storage_url=(home / "artifacts").as_uri())
    engine = connect(settings.database_url)
    migrate(engine)
    place = Bench(engine, settings)
    study = place.begin(0.6)
    for _ in range(50):
        if not place.conductor.turn():
            break
        place.clock.seconds += 5
        for run_id in place.waiting():
            carry_out(run_id, engine, place.storage, settings)
            place.clock.seconds += 15
    found = place.study(study)
    assert found.status == "finished", found.error
    assert found.answer is not None
    trial = found.trial(found.answer.recommended or 0)
    assert trial.final is not None
    assert trial.figures is not None
    assert trial.final.gzip == trial.figures.gzip
    with reading(engine) as session:
        runs = [session.get_one(RunRow, run_id) for run_id in (trial.run_id, trial.final_run_id)]
        records = [run.record or {} for run in runs]
        files = [{a.name: a.sha256 for a in run.artifacts} for run in runs]
    assert files[0]["model.tflite"] == files[1]["model.tflite"]
    assert [r["images"]["test"]["n"] for r in records] == [240, 360]
    assert records[0]["images"]["calibration"] == records[1]["images"]["calibration"]
    engine.dispose()
