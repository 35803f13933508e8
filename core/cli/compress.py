"""``compress`` and ``sweep``: make models smaller and measure what that cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.output import Json, emit, say
from core.errors import InputError
from core.locales import N_, translator

if TYPE_CHECKING:
    from core.experiments.runs import Run

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A name of the library.")]
RecipeOption = Annotated[str, typer.Option("--recipe", help="A preset's name or a YAML file.")]
Data = Annotated[str, typer.Option("--data", help="A built-in name, or a folder or .zip of class folders.")]
Calibration = Annotated[
    str | None, typer.Option("--calibration", help="Other images to calibrate on; labels are not used.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Decides every random choice.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Test on this many images at most.")]


def register(app: typer.Typer) -> None:
    """Add this topic's commands."""
    app.command()(compress)
    app.command()(sweep)


def compress(
    model: Model,
    recipe: RecipeOption,
    data: Data,
    calibration: Calibration = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the model, record and report here.")] = None,
    seed: Seed = 0,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Carry out a recipe and measure the result against the baseline on the same images."""
    from core.cli.running import bench, follow, require_finished, submit, write_out
    from core.experiments.runs import RunRequest
    from core.recipes import load_recipe

    steps = load_recipe(recipe)
    request = RunRequest(
        model=model, data=data, calibration=calibration, recipe=steps.model_dump(mode="json"), seed=seed, limit=limit
    )
    with bench(works=True) as place:
        (run,) = follow(place, submit(place, [request]))
        record = require_finished(run)
        if out is not None:
            write_out(place, run, out)
        if as_json:
            emit(record)
        else:
            summarize([run], place.settings.language)


def sweep(
    model: Model,
    recipe: RecipeOption,
    vary: Annotated[str, typer.Option("--vary", metavar="STEP.FIELD=A,B,C", help="What to vary, and its values.")],
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Each run gets a folder in here.")],
    calibration: Calibration = None,
    seed: Seed = 0,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Carry out a recipe once for each value of one field; STEP is a step's number or kind."""
    from core.cli.running import bench, failures, follow, submit, write_out
    from core.experiments.runs import RunRequest
    from core.experiments.sweeps import parse_variation, variations
    from core.recipes import load_recipe

    path, values = parse_variation(vary)
    requests = [
        RunRequest(model=model, data=data, calibration=calibration, recipe=varied.model_dump(mode="json"),
                   seed=seed, limit=limit)
        for varied in variations(load_recipe(recipe), path, values)
    ]
    with bench(works=True) as place:
        runs = follow(place, submit(place, requests))
        for run, value in zip(runs, values, strict=True):
            if run.record is not None:
                write_out(place, run, out / f"{path.replace('.', '-')}-{value}")
        if as_json:
            emit([run.record for run in runs if run.record is not None])
        else:
            summarize(runs, place.settings.language)
        wrong = failures(runs)
        if wrong:
            raise InputError(
                N_("{failed} of {all} runs did not finish. The first said: {reason}"),
                failed=len(wrong), all=len(runs), reason=str(wrong[0]),
            )


def summarize(runs: list[Run], language: str) -> None:
    """Print one block per finished run for a person."""
    from core.measurement.sentences import Sentence

    translate = translator(language)
    for run in runs:
        record = run.record
        if record is None:
            continue
        say(f"{run.name} ({run.id[:8]})")
        for line in lines(record, translate):
            say("  " + line)
        for finding in record["findings"]:
            sentence = Sentence(code=finding["code"], message=finding["message"], parameters=finding["parameters"])
            say("  ! " + sentence.render(translate, language))


def lines(record: dict[str, Any], translate: Any) -> list[str]:
    """Return the main figures of a record as lines."""
    before, after, change = record["baseline"], record["compressed"], record["comparison"]
    ratio = change["latency_ratio"]
    shown = [
        f"{translate(N_('File'))}: {before['size']['tflite_bytes']:,} -> {after['size']['tflite_bytes']:,} bytes "
        f"({change['size_ratio']:.2f}x, gzip {change['gzip_ratio']:.2f}x)",
        f"{translate(N_('Latency'))}: {before['latency_ms']['p50']:.3f} -> {after['latency_ms']['p50']:.3f} ms "
        f"({ratio['value']:.2f}x, {ratio['low']:.2f} - {ratio['high']:.2f})",
        f"{translate(N_('Agreement'))}: {change['agreement']:.1%}",
    ]
    if after["accuracy"] is not None:
        top1, difference = after["accuracy"]["top1"], change["top1_difference"]
        shown.append(
            f"{translate(N_('Top 1'))}: {before['accuracy']['top1']['value']:.1%} -> {top1['value']:.1%} "
            f"({100 * difference['value']:+.1f}, {100 * difference['low']:+.1f} - {100 * difference['high']:+.1f}, "
            f"p = {change['mcnemar_p']:.3g}, n = {after['accuracy']['n']})"
        )
    return shown
