"""One look at one search: collect what has been measured, start what fits into the time, conclude when it is spent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from core.database import now, reading, transaction
from core.experiments.estimates import History, estimate, history
from core.experiments.runs import UNFINISHED, RunRequest
from core.experiments.service import enqueue
from core.experiments.tables import ArtifactRow, RunRow
from core.locales import N_
from core.recipes import Recipe, load_recipe
from core.search.answer import Answer, answer, rank
from core.search.judging import figures, steadied
from core.search.known import known
from core.search.pacing import FINALISTS, Pace, Seen
from core.search.sampling import Tried, identity, propose
from core.search.space import Conditions, Space, complexity
from core.search.studies import Study, as_study
from core.search.subject import Subject, read_subject
from core.search.tables import StudyRow, TrialRow
from core.settings import Settings
from core.storage import Storage

SEARCHING, FINALS = N_("Trying recipes"), N_("Measuring the finalists")
_KEPT_FILES = 8
_RECORDS = 40
_STRIKES = 2
_PROPOSALS = 15


class Driver:
    """Drives one search; everything it knows is read again from the database at each turn."""

    def __init__(
        self, study_id: str, engine: Engine, storage: Storage, settings: Settings, wake: Callable[[], None]
    ) -> None:
        self._id, self._engine, self._storage, self._settings, self._wake = study_id, engine, storage, settings, wake
        self._subject: Subject | None = None
        self._pruned: set[str] = set()
        self._exhausted = False

    def turn(self) -> None:
        """Look once at the search and do what is due."""
        with transaction(self._engine) as session:
            row = session.get(StudyRow, self._id)
            if row is None or row.status not in ("running", "stopping"):
                return
            collected = self._collect(session, row)
        if row.status == "stopping":
            self._conclude("stopped")
            return
        study, pace = as_study(row), self._pace(row)
        queued = self._finals(study, pace) if row.phase == FINALS else self._search(study, pace, row)
        if queued:
            self._wake()
        if collected:
            self._exhausted = False  # what was learned may make other recipes fit
            self._drop_files(study)

    def _search(self, study: Study, pace: Pace, row: StudyRow) -> bool:
        running = [t for t in row.trials if t.status == "running"]
        # An answer without finalists is worth more than none: the first trial may take all of the time.
        over = pace.over or (pace.searching_is_over and bool(study.candidates))
        if over:
            self._cancel([t.run_id for t in running])
        queued = False
        while not pace.searching_is_over and not self._exhausted and len(running) < pace.parallel:
            if not self._begin(study, pace, row):
                self._exhausted = True
                break
            queued = True
            with reading(self._engine) as session:
                row = session.get_one(StudyRow, self._id)
                study, running = as_study(row), [t for t in row.trials if t.status == "running"]
        if not running and (over or pace.searching_is_over or self._exhausted):
            with transaction(self._engine) as session:
                session.get_one(StudyRow, self._id).phase = FINALS
        elif not row.phase:
            with transaction(self._engine) as session:
                session.get_one(StudyRow, self._id).phase = SEARCHING
        return queued

    def _begin(self, study: Study, pace: Pace, row: StudyRow) -> bool:
        """Queue one trial that fits into the time; False if there is none."""
        space = Space(self._conditions(study))
        tried = self._tried(study, row)
        taken = [identity(load_recipe(t.recipe)) for t in row.trials] + sorted(self._pruned)
        expect = self._expectation(study)
        for _ in range(_PROPOSALS):
            found = propose(space, tried, known(space, study.wish), taken, sampler=study.sampler, seed=study.seed,
                            expect=expect)
            if found is None:
                return False
            kinds = tuple(step.kind for step in found.recipe.steps)
            fits = pace.may_start(complexity(found.recipe), kinds)
            if not found.pruned and (fits or not row.trials):
                break
            self._pruned.add(identity(found.recipe))
            taken.append(identity(found.recipe))
        else:
            return False
        request = RunRequest(
            model=study.model, data=study.data, calibration=study.calibration, seed=study.seed, stage="trial",
            recipe=found.recipe.model_dump(mode="json"))
        with transaction(self._engine) as session:
            (run,) = enqueue(session, row.owner_id, [request], found.recipe.name, archived=True, tags="|search|")
            session.add(TrialRow(
                study_id=self._id, number=len(row.trials), params=found.params, distributions=found.distributions,
                recipe=found.recipe.model_dump(mode="json"), status="running", run_id=run.id, created_at=now()))
        return True

    def _finals(self, study: Study, pace: Pace) -> bool:
        trials = {t.number: t for t in study.trials}
        going = [t for t in study.trials if t.status == "final"]
        if pace.over:
            self._cancel([t.final_run_id for t in going])
        chosen = [c.number for c in rank(study.wish, study.candidates)][:FINALISTS]
        waiting = [n for n in chosen if trials[n].final_run_id is None]
        if not going and (not waiting or not pace.may_start_final()):
            self._conclude("finished")
            return False
        queued = False
        while waiting and len(going) < pace.parallel and pace.may_start_final():
            number = waiting.pop(0)
            self._begin_final(study, number)
            going.append(trials[number])
            queued = True
        return queued

    def _begin_final(self, study: Study, number: int) -> None:
        trial = study.trial(number)
        request = RunRequest(
            model=study.model, data=study.data, calibration=study.calibration, seed=study.seed, stage="finalist",
            recipe=trial.recipe, made_in=trial.run_id)
        with transaction(self._engine) as session:
            row = session.get_one(StudyRow, self._id)
            (run,) = enqueue(session, row.owner_id, [request], trial.name, tags="|search|")
            mine = session.get_one(TrialRow, (self._id, number))
            mine.status, mine.final_run_id = "final", run.id

    def _collect(self, session: Session, row: StudyRow) -> bool:
        """Take over what runs have come to; return whether any has ended."""
        ended = False
        for trial in row.trials:
            if trial.status not in ("running", "final"):
                continue
            final = trial.status == "final"
            run = session.get(RunRow, trial.final_run_id if final else trial.run_id)
            if run is not None and run.status in UNFINISHED:
                continue
            ended = True
            seconds = None
            if run is not None and run.started_at and run.finished_at:
                seconds = (run.finished_at - run.started_at).total_seconds()
            measured = figures(run.record).model_dump(mode="json") if run is not None and run.record else None
            if final:
                trial.status, trial.final, trial.final_seconds = "finished", measured, seconds
            else:
                trial.figures, trial.seconds = measured, seconds
                cancelled = run is None or run.status == "cancelled"
                trial.status = "finished" if measured else "stopped" if cancelled else "failed"
                trial.error = run.error if run is not None else None
        return ended

    def _conclude(self, status: str) -> None:
        """Stop what still runs and write the answer."""
        with reading(self._engine) as session:
            row = session.get_one(StudyRow, self._id)
            study = as_study(row)
        going = [t.final_run_id if t.status == "final" else t.run_id
                 for t in study.trials if t.status in ("running", "final")]
        if going:
            self._cancel(going)
            if status == "stopped" and self._unfinished(going):
                return
        reasons = [str(t.error) for t in study.trials if t.error is not None]
        found: Answer = answer(study.wish, study.candidates, reasons)
        with transaction(self._engine) as session:
            row = session.get_one(StudyRow, self._id)
            row.answer, row.status, row.finished_at = found.model_dump(mode="json"), status, now()
            row.holder, row.heartbeat_at = "", None

    def _unfinished(self, run_ids: list[str | None]) -> bool:
        with reading(self._engine) as session:
            return session.scalar(select(RunRow.id).where(
                RunRow.id.in_([r for r in run_ids if r]), RunRow.status.in_(UNFINISHED)).limit(1)) is not None

    def _cancel(self, run_ids: list[str | None]) -> None:
        with transaction(self._engine) as session:
            for run in session.scalars(select(RunRow).where(RunRow.id.in_([r for r in run_ids if r]))):
                if run.status in ("queued", "interrupted"):
                    run.status, run.finished_at = "cancelled", now()
                elif run.status == "running":
                    run.cancel_requested = True

    def _pace(self, row: StudyRow) -> Pace:
        jobs = self._settings.jobs.workers if not self._settings.scheduler else self._settings.quotas.running_runs
        seen = []
        for trial in row.trials:
            if trial.seconds is not None and trial.figures is not None:
                recipe = load_recipe(trial.recipe)
                seen.append(Seen(trial.seconds, complexity(recipe), tuple(s.kind for s in recipe.steps)))
        return Pace(
            budget=60 * row.minutes, spent=row.spent_seconds,
            parallel=max(1, min(jobs, self._settings.quotas.running_runs)), seen=seen,
            finals=[t.final_seconds for t in row.trials if t.final_seconds is not None and t.final is not None],
            measuring=max((float(t.figures.get("aside", 0.0)) for t in row.trials if t.figures), default=0.0))

    def _conditions(self, study: Study) -> Conditions:
        """Return what is possible here, without the kinds that failed whenever they were tried."""
        if self._subject is None:
            self._subject = read_subject(
                study.model, study.data, study.calibration, study.minutes, study.seed, self._settings)
        failed: dict[str, int] = {}
        worked: set[str] = set()
        for trial in study.trials:
            kinds = {step["step"] for step in trial.recipe["steps"]}
            if trial.status == "failed":
                failed |= {kind: failed.get(kind, 0) + 1 for kind in kinds}
            elif trial.figures is not None:
                worked |= kinds
        barred = frozenset(kind for kind, times in failed.items() if times >= _STRIKES and kind not in worked)
        given = self._subject.conditions
        return Conditions(given.labelled, given.images, study.minutes, given.image_macs, given.facts, barred)

    def _tried(self, study: Study, row: StudyRow) -> list[Tried]:
        measured = [t for t in study.trials if t.figures is not None]
        steady = dict(zip((t.number for t in measured), steadied([t.figures for t in measured if t.figures]),
                          strict=True))
        found = []
        for trial, kept in zip(study.trials, row.trials, strict=True):
            value, excess = None, 0.0
            if trial.figures is not None:
                points = steady[trial.number]
                value = study.wish.objective(trial.figures, points)
                excess = max(study.wish.excess(trial.figures, points), study.wish.excess(trial.figures))
            found.append(Tried(kept.params, kept.distributions, value, excess, trial.status == "running"))
        return found

    def _expectation(self, study: Study) -> Callable[[Recipe], float]:
        """Return what the profile and this search's own trials expect at best of a recipe, as excess over the limits.

        Beyond the limits, a recipe that cannot come near the best one so far has no use either.
        """
        wish, subject = study.wish, self._subject
        inside = [c.figures.ratio(wish.best) for c in study.candidates
                  if wish.best != "points" and wish.holds(c.figures)]
        past: History | None = None

        def expect(recipe: Recipe) -> float:
            nonlocal past
            if subject is None:
                return 0.0
            past = past or history(subject.profile, self._records(study))
            found = estimate(subject.profile, recipe, past)
            if found.unknown:
                return 0.0
            low = {
                "gzip": found.gzip_bytes.low, "zstd": 0.9 * found.gzip_bytes.low, "file": found.file_bytes.low,
                "points": 100 * found.loss.low}
            base = {"gzip": subject.profile.gzip_bytes, "zstd": subject.profile.gzip_bytes,
                    "file": subject.profile.tflite_bytes}
            total = 0.0
            for limit in wish.limits:
                if limit.figure == "points":
                    total += max(0.0, 0.1 * (low["points"] - limit.bound))
                elif limit.figure == "latency":
                    if limit.relative:
                        total += max(0.0, math.log(limit.bound / max(1e-3, found.speed.high)))
                else:
                    bound = base[limit.figure] / limit.bound if limit.relative else limit.bound
                    total += max(0.0, math.log(low[limit.figure] / max(1.0, bound)))
            if inside and wish.best in base:
                total += max(0.0, 4 * math.log(low[wish.best] * max(inside) / base[wish.best]))
            return total
        return expect

    def _records(self, study: Study) -> list[dict[str, Any]]:
        ids = [t.run_id for t in study.trials if t.figures is not None][-_RECORDS:]
        with reading(self._engine) as session:
            rows = session.scalars(select(RunRow.record).where(RunRow.id.in_([i for i in ids if i])))
            return [record for record in rows if record]

    def _drop_files(self, study: Study) -> None:
        """Delete the files of trials that can become no finalist any more; their figures stay."""
        found = answer(study.wish, study.candidates)
        best = [c.number for c in rank(study.wish, study.candidates)][:_KEPT_FILES]
        keep = {*best, *found.front}
        losers = [t.run_id for t in study.trials
                  if t.run_id and t.status == "finished" and t.number not in keep]
        with transaction(self._engine) as session:
            rows = list(session.scalars(select(ArtifactRow).where(
                ArtifactRow.run_id.in_(losers), ArtifactRow.name.in_(("model.tflite", "model.keras")))))
            digests = {row.sha256 for row in rows}
            for row in rows:
                session.delete(row)
            session.flush()
            used = set(session.scalars(select(ArtifactRow.sha256).where(ArtifactRow.sha256.in_(digests))))
        for sha256 in digests - used:
            self._storage.delete(sha256)
