"""``search``: find the recipe that fulfils a wish, within a budget of minutes."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.output import Json, emit, say
from core.errors import InputError
from core.locales import N_, translator

if TYPE_CHECKING:
    from core.cli.running import Bench
    from core.search.studies import Studies, Study

POLL_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    """Add this topic's command."""
    app.command()(search)


def search(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name of the library.")],
    data: Annotated[str, typer.Option("--data", help="A built-in name, or a folder or .zip of class folders.")],
    want: Annotated[str, typer.Option("--want", help="For example 'lose at most 1 point, be smallest'.")],
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, max=1440, help="The time to keep to.")] = 10.0,
    calibration: Annotated[
        str | None, typer.Option("--calibration", help="Other images to calibrate on; labels are not used.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the recommended model and its report here.")] = None,
    sampler: Annotated[str, typer.Option("--sampler", help="tpe, or nsga2 for long searches.")] = "tpe",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides every random choice.")] = 0,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Trials at a time; 0 takes one a core.")] = 0,
    as_json: Json = False,
) -> None:
    """Try recipes until the time is spent, and recommend one; an interrupt stops it and keeps what was found."""
    _use(workers or min(4, os.cpu_count() or 1))
    from core.accounts import LOCAL, Accounts
    from core.cli.running import bench, prepare
    from core.database import connect
    from core.search.conductor import Conductor
    from core.search.studies import Studies
    from core.storage import Storage

    with bench(works=True) as place:
        configured = place.settings
        prepare(place, [model])
        engine = connect(configured.database_url)
        conductor = Conductor(engine, Storage(configured.storage_url), configured, place.wake)
        studies = Studies(engine, Accounts(engine, configured), configured, conductor.wake)
        try:
            begun = studies.begin(
                LOCAL, model, data, want, minutes, calibration=calibration, sampler=sampler,  # type: ignore[arg-type]
                seed=seed)
            study = _follow(studies, begun.id, place)
        finally:
            conductor.close()
            engine.dispose()
        if study.error is not None:
            raise InputError(study.error.message, **study.error.parameters)
        if out is not None:
            _write(place, study, out)
        if as_json:
            emit(document(study))
        else:
            _print(study, configured.language)
        if study.answer is None or study.answer.recommended is None:
            raise typer.Exit(2)


def _use(workers: int) -> None:
    """Let so many trials run at a time, unless the installation says otherwise."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    for name, value in (("JOBS__WORKERS", workers), ("QUOTAS__RUNNING_RUNS", workers),
                        ("JOBS__THREADS_PER_WORKER", threads)):
        os.environ.setdefault(f"SECATEUR_{name}", str(value))


def _follow(studies: Studies, study_id: str, place: Bench) -> Study:
    from core.accounts import LOCAL

    translate = translator(place.settings.language)
    said = -1
    while True:
        try:
            study = studies.study(LOCAL, study_id)
            if not study.going:
                return study
            done = len(study.candidates)
            if done != said:
                said = done
                _show(study, translate)
            time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            studies.stop(LOCAL, study_id)


def _show(study: Study, translate: Any) -> None:
    from core.search.answer import rank

    line = f"{study.spent_seconds / 60:.1f}/{study.minutes:g} min, {len(study.candidates)}: {translate(study.phase)}"
    if study.candidates:
        best = rank(study.wish, study.candidates)[0]
        line += (f"; {best.name}: -{best.figures.points:.1f}, {best.figures.ratio('gzip'):.2f}x, "
                 f"{best.figures.faster:.2f}x")
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def document(study: Study) -> dict[str, Any]:
    """Return a search as one JSON document."""
    from core.search.answer import rank

    answer = study.answer
    return {
        "id": study.id, "model": study.model, "data": study.data, "calibration": study.calibration,
        "want": study.text, "understood": study.wish.model_dump(mode="json"), "minutes": study.minutes,
        "spent_minutes": study.spent_seconds / 60, "status": study.status,
        "answer": None if answer is None else answer.model_dump(mode="json"),
        "sentences": [] if answer is None else [said.render() for said in answer.sentences],
        "trials": [trial.model_dump(mode="json") for trial in study.trials],
        "ranking": [candidate.number for candidate in rank(study.wish, study.candidates)],
    }


def _write(place: Bench, study: Study, folder: Path) -> None:
    """Write the recommended trial's files: those of the finalist, else those of the trial."""
    from core.accounts import LOCAL
    from core.cli.running import write_out

    if study.answer is None or study.answer.recommended is None:
        return
    trial = study.trial(study.answer.recommended)
    run_id = trial.final_run_id if trial.final is not None else trial.run_id
    write_out(place, place.experiments.run(LOCAL, str(run_id)), folder)


def _print(study: Study, language: str) -> None:
    translate = translator(language)
    answer = study.answer
    if answer is None:
        return
    say(translate(N_("Understood: {wish}")).format(wish=study.wish.words(translate)))
    for sentence in answer.sentences:
        say(sentence.render(translate, "," if language == "fr" else "."))
    if answer.recommended is None:
        return
    numbers = list(dict.fromkeys([answer.recommended, *answer.runners_up]))
    for number in numbers:
        trial = study.trial(number)
        found = trial.final or trial.figures
        if found is None:
            continue
        run_id = str(trial.final_run_id if trial.final is not None else trial.run_id)
        say(f"{'*' if number == answer.recommended else ' '} {trial.name}",
            f"    -{found.points:.1f} ({found.points_low:.1f} - {found.points_high:.1f}), gzip "
            f"{found.ratio('gzip'):.2f}x, zstd {found.ratio('zstd'):.2f}x, {found.faster:.2f}x, {run_id[:8]}")
