"""``runs``, ``compare``, ``log`` and ``reproduce``: look back at runs, set them side by side, check them again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.output import Json, emit, say, table
from core.locales import N_, translator

if TYPE_CHECKING:
    from core.experiments.compare import Comparison

Ids = Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Ids, or beginnings of them.")]


def register(app: typer.Typer) -> None:
    """Add this topic's commands."""
    app.command()(runs)
    app.command()(compare)
    app.command()(reproduce)
    app.command()(log)


def runs(
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Show at most this many.")] = 50,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    from core.accounts import LOCAL
    from core.cli.running import bench

    with bench(works=False) as place:
        found = place.experiments.runs(LOCAL, limit=limit)
        translate = translator(place.settings.language)
    if as_json:
        emit([
            run.record or {
                "id": run.id, "model": run.request.model, "data": run.request.data, "status": run.status,
                "recipe": run.request.recipe, "seed": run.request.seed,
                "error": None if run.error is None else str(run.error),
            }
            for run in found
        ])
        return
    rows = []
    for run in found:
        change = (run.record or {}).get("comparison", {})
        top1 = change.get("top1_difference")
        rows.append((
            run.id[:8], run.name, run.request.model, run.request.data, translate(run.status),
            f"{change['size_ratio']:.2f}x" if change else "",
            f"{change['latency_ratio']['value']:.2f}x" if change else "",
            f"{100 * top1['value']:+.1f}" if top1 else "",
        ))
    headings = (N_("Run id"), N_("Name"), N_("Model"), N_("Data"), N_("Status"), N_("Smaller"), N_("Faster"),
                N_("Points"))
    table([translate(h) for h in headings], rows)


def compare(ids: Ids, as_json: Json = False) -> None:
    """Compare two to eight finished runs; with labels, tell which differences are real."""
    from core.accounts import LOCAL
    from core.cli.running import bench
    from core.experiments.compare import compare as side_by_side
    from core.experiments.predictions import Predictions

    with bench(works=False) as place:
        chosen = [place.experiments.run(LOCAL, run_id) for run_id in ids]
        predictions = [
            Predictions.load(place.experiments.file(LOCAL, run.id, "predictions.npz"))
            for run in chosen if run.record is not None
        ]
        result = side_by_side(chosen, predictions)
        language = place.settings.language
    if as_json:
        emit(result.model_dump(mode="json"))
        return
    _print(result, language)


def _print(result: Comparison, language: str) -> None:
    translate = translator(language)
    for field, values in result.recipe.items():
        say(f"{field}: " + ", ".join(f"{run[:8]} = {value}" for run, value in values.items()))
    if result.why_unpaired is not None:
        say(translate(result.why_unpaired))
    for pair in result.pairs:
        d = pair.difference
        verdict = translate(N_("a real difference")) if pair.real else translate(N_("not distinguishable"))
        say(
            f"{pair.first[:8]} -> {pair.second[:8]}: {100 * d.value:+.1f} ({100 * d.low:+.1f} - {100 * d.high:+.1f}), "
            f"p = {pair.p_holm:.3g}: {verdict}"
        )


def log(
    ids: Ids,
    url: Annotated[str, typer.Option("--mlflow", help="The tracking server, http://host:port. "
                                                      "Default: SECATEUR_MLFLOW.")] = "",
    experiment: Annotated[str, typer.Option("--experiment", help="MLflow's experiment.")] = "secateur",
    as_json: Json = False,
) -> None:
    """Log finished runs to an MLflow server: recipe, figures and files."""
    from core.accounts import LOCAL
    from core.cli.running import bench
    from core.experiments.tracking import log_runs

    with bench(works=False) as place:
        chosen = [place.experiments.run(LOCAL, run_id) for run_id in ids]
        logged = log_runs(chosen, lambda run, name: place.experiments.file(LOCAL, run.id, name),
                          url or place.settings.mlflow, experiment)
    if as_json:
        emit(logged)
    else:
        for ours, theirs in logged.items():
            say(f"{ours[:8]} -> {theirs}")


def reproduce(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A run.json, or a folder or .zip that holds one.")],
    data: Annotated[str | None, typer.Option("--data", help="Where the data lies now, if elsewhere.")] = None,
    as_json: Json = False,
) -> None:
    """Carry out a recorded run again and say whether its figures agree; exits with 1 if they do not."""
    from core.cli.running import bench, follow, require_finished, submit
    from core.experiments.reproducing import agreement, read_bundle, request_of

    recorded = read_bundle(bundle)
    with bench(works=True) as place:
        (run,) = follow(place, submit(place, [request_of(recorded, data)]))
        checks = agreement(recorded, require_finished(run))
        translate = translator(place.settings.language)
    if as_json:
        emit({"run": run.id, "agrees": all(c.agrees for c in checks), "checks": [c.model_dump() for c in checks]})
    else:
        for check in checks:
            mark = translate(N_("agrees")) if check.agrees else translate(N_("differs"))
            say(f"{translate(check.figure)}: {check.recorded} -> {check.again}: {mark}")
    if not all(check.agrees for check in checks):
        raise typer.Exit(1)
