"""What a signed-in person may do with searches. Someone else's search looks exactly like one that does not exist."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session, lazyload

from core.accounts import Accounts, Principal
from core.database import now, reading, transaction
from core.errors import BusyError, InputError, NotFoundError
from core.experiments.runs import Failure, RunRequest
from core.experiments.subjects import check_subjects
from core.locales import N_
from core.search.answer import Answer, Candidate
from core.search.parsing import parse_wish
from core.search.sampling import SAMPLERS, Sampler
from core.search.subject import read_subject
from core.search.tables import GOING, StudyRow, TrialRow
from core.search.wishes import Figures, Wish
from core.settings import Settings

Status = Literal["running", "stopping", "stopped", "finished", "failed"]
MOST_MINUTES = 24 * 60.0
MOST_GOING = 2


class Trial(BaseModel):
    """One recipe that was tried."""

    model_config = ConfigDict(frozen=True)

    number: int
    recipe: dict[str, Any]
    status: str
    run_id: str | None
    final_run_id: str | None
    figures: Figures | None
    final: Figures | None
    seconds: float | None
    error: Failure | None

    @property
    def name(self) -> str:
        """What the recipe is called: its steps in one line."""
        return str(self.recipe.get("name", ""))


class Study(BaseModel):
    """A search as its owner sees it."""

    model_config = ConfigDict(frozen=True)

    id: str
    model: str
    data: str
    calibration: str | None
    text: str
    wish: Wish
    minutes: float
    sampler: Sampler
    seed: int
    status: Status
    phase: str
    spent_seconds: float
    created_at: datetime
    finished_at: datetime | None
    answer: Answer | None
    error: Failure | None
    trials: tuple[Trial, ...] = ()

    @property
    def going(self) -> bool:
        """Whether it is being worked on."""
        return self.status in GOING

    @property
    def candidates(self) -> list[Candidate]:
        """The trials that were measured."""
        return [Candidate(number=t.number, name=t.name, figures=t.figures, final=t.final)
                for t in self.trials if t.figures is not None]

    def trial(self, number: int) -> Trial:
        """Return a trial by its number."""
        return next(t for t in self.trials if t.number == number)


def as_study(row: StudyRow, *, trials: bool = True) -> Study:
    """Return the plain description of a row."""
    return Study(
        id=row.id, model=row.model, data=row.data, calibration=row.calibration, text=row.text,
        wish=Wish(**row.wish), minutes=row.minutes, sampler=row.sampler, seed=row.seed, status=row.status,
        phase=row.phase, spent_seconds=row.spent_seconds, created_at=row.created_at, finished_at=row.finished_at,
        answer=None if row.answer is None else Answer.model_validate(row.answer),
        error=None if row.error is None else Failure(**row.error),
        trials=tuple(_trial(t) for t in row.trials) if trials else (),
    )


def _trial(row: TrialRow) -> Trial:
    return Trial(
        number=row.number, recipe=row.recipe, status=row.status, run_id=row.run_id, final_run_id=row.final_run_id,
        figures=None if row.figures is None else Figures(**row.figures),
        final=None if row.final is None else Figures(**row.final), seconds=row.seconds,
        error=None if row.error is None else Failure(**row.error),
    )


class Studies:
    """Searches of one installation; ``wake`` is called when there is something to drive."""

    def __init__(
        self, engine: Engine, accounts: Accounts, settings: Settings, wake: Callable[[], None] = lambda: None
    ) -> None:
        self._engine, self._accounts, self._settings, self._wake = engine, accounts, settings, wake
        accounts.on_delete(_forget)

    def begin(
        self, principal: Principal, model: str, data: str, text: str, minutes: float, *,
        calibration: str | None = None, sampler: Sampler = "tpe", seed: int = 0,
    ) -> Study:
        """Start a search.

        Raises
        ------
        InputError
            If the wish cannot be understood, the minutes are out of bounds, or the images are too few.
        NotFoundError
            If the person may not use the model or the data.
        BusyError
            If the person has too many searches going.
        """
        principal = self._accounts.require(principal)
        wish = parse_wish(text)
        _check_minutes(minutes)
        if sampler not in SAMPLERS:
            raise InputError(N_("There is no sampler '{sampler}'. Choose one of {known}."), sampler=sampler,
                             known=", ".join(SAMPLERS))
        request = RunRequest(model=model, data=data, calibration=calibration, recipe={}, seed=seed)
        check_subjects(principal, [request], self._engine, self._settings)
        read_subject(model, data, calibration, minutes, seed, self._settings)
        with transaction(self._engine) as session:
            going = session.scalar(select(func.count()).where(
                StudyRow.owner_id == principal.user_id, StudyRow.status.in_(GOING))) or 0
            if going >= MOST_GOING:
                raise BusyError(N_("You have {going} searches going. Stop one or wait for it to end."), going=going)
            row = StudyRow(
                id=str(uuid.uuid4()), owner_id=principal.user_id, model=model, data=data, calibration=calibration,
                text=text.strip(), wish=wish.model_dump(mode="json"), minutes=minutes, sampler=sampler, seed=seed,
                status="running", created_at=now(), trials=[])
            session.add(row)
            session.flush()
            study = as_study(row)
        self._wake()
        return study

    def studies(self, principal: Principal, limit: int = 20) -> list[Study]:
        """Return one's searches, newest first, without their trials."""
        principal = self._accounts.require(principal)
        query = select(StudyRow).options(lazyload(StudyRow.trials)).where(StudyRow.owner_id == principal.user_id)
        with reading(self._engine) as session:
            found = session.scalars(query.order_by(StudyRow.created_at.desc(), StudyRow.id).limit(limit))
            return [as_study(row, trials=False) for row in found]

    def study(self, principal: Principal, study_id: str) -> Study:
        """Return one search with its trials. Raises NotFoundError."""
        principal = self._accounts.require(principal)
        with reading(self._engine) as session:
            return as_study(self._row(session, principal, study_id))

    def stop(self, principal: Principal, study_id: str) -> None:
        """Ask a search to stop within seconds; what it has found so far stays."""
        principal = self._accounts.require(principal)
        with transaction(self._engine) as session:
            row = self._row(session, principal, study_id)
            if row.status == "running":
                row.status = "stopping"
        self._wake()

    def resume(self, principal: Principal, study_id: str, minutes: float = 0.0) -> None:
        """Go on with a search that has ended, with so many minutes more than it had left.

        Raises
        ------
        InputError
            If no time would be left.
        """
        principal = self._accounts.require(principal)
        with transaction(self._engine) as session:
            row = self._row(session, principal, study_id)
            if row.status in GOING:
                return
            total = max(row.minutes, row.spent_seconds / 60) + minutes if minutes > 0 else row.minutes
            if total * 60 - row.spent_seconds < 1:
                raise InputError(N_("The time of this search is spent. Give it more minutes."))
            _check_minutes(total)
            row.minutes, row.status, row.phase, row.finished_at, row.error = total, "running", "", None, None
        self._wake()

    def delete(self, principal: Principal, study_id: str) -> None:
        """Delete a search that has ended; its runs stay. Raises BusyError while it is going."""
        principal = self._accounts.require(principal)
        with transaction(self._engine) as session:
            row = self._row(session, principal, study_id)
            if row.status in GOING:
                raise BusyError(N_("This search is still going. Stop it first, then delete it."))
            session.delete(row)

    def _row(self, session: Session, principal: Principal, study_id: str) -> StudyRow:
        row = session.scalar(select(StudyRow).where(
            StudyRow.owner_id == principal.user_id, StudyRow.id == study_id))
        if row is None:
            raise NotFoundError(N_("There is no search '{study}'."), study=study_id[:36])
        return row


def held(engine: Engine, study_id: str, holder: str, seconds: float, stale: datetime) -> bool:
    """Take or keep a search for ``holder`` and add the seconds it worked; False if somebody else drives it."""
    with transaction(engine) as session:
        changed = session.execute(
            update(StudyRow).where(
                StudyRow.id == study_id, StudyRow.status.in_(GOING),
                (StudyRow.holder == holder) | (StudyRow.heartbeat_at.is_(None)) | (StudyRow.heartbeat_at < stale))
            .values(holder=holder, heartbeat_at=now(), spent_seconds=StudyRow.spent_seconds + seconds))
        return bool(changed.rowcount == 1)  # type: ignore[attr-defined]


def _check_minutes(minutes: float) -> None:
    if not 0.1 <= minutes <= MOST_MINUTES:
        raise InputError(N_("A search may take 0.1 to {most} minutes."), most=f"{MOST_MINUTES:g}")


def _forget(session: Session, user_id: str) -> None:
    mine = select(StudyRow.id).where(StudyRow.owner_id == user_id)
    session.execute(delete(TrialRow).where(TrialRow.study_id.in_(mine)))
    session.execute(delete(StudyRow).where(StudyRow.owner_id == user_id))
