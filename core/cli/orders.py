"""``orders``: the steps of a recipe in every order that makes sense, and the tree of what each order kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.compress import Calibration, Data, Limit, Model, Seed
from core.cli.output import Json, emit, say
from core.errors import InputError
from core.locales import N_, translator

if TYPE_CHECKING:
    import pandas as pd

    from core.experiments.runs import Run


def register(app: typer.Typer) -> None:
    """Add this topic's command."""
    app.command()(orders)


def orders(
    model: Model,
    data: Data,
    out: Annotated[Path | None, typer.Option("--out", help="Write each run, tree.svg and tree.csv here.")] = None,
    recipe: Annotated[str | None, typer.Option(
        "--recipe", help="A preset or file whose 2 to 4 steps are tried; by default prune, cluster, quantize.")] = None,
    calibration: Calibration = None,
    seed: Seed = 0,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Carry out steps in every order that can work, list those that cannot, and draw the tree."""
    from core.cli.running import bench, failures, follow, submit, write_out
    from core.experiments.orders import DEFAULT, orders, tree
    from core.experiments.runs import RunRequest
    from core.recipes import load_recipe, read_step

    steps = load_recipe(recipe).steps if recipe else tuple(read_step(step) for step in DEFAULT)
    nodes = orders(steps)
    working = [node for node in nodes if node.recipe is not None]
    requests = [RunRequest(model=model, data=data, calibration=calibration, seed=seed, limit=limit,
                           recipe=node.recipe.model_dump(mode="json")) for node in working if node.recipe is not None]
    with bench(works=True) as place:
        runs = {node.name: run for node, run in zip(working, follow(place, submit(place, requests)), strict=True)}
        layers = {name: _layers(place, run) for name, run in runs.items() if run.record is not None}
        records = {name: run.record for name, run in runs.items() if run.record is not None}
        language = place.settings.language
        frame = tree(nodes, steps, records, layers, {name: run.id for name, run in runs.items()}, translator(language))
        if out is not None:
            for name, run in runs.items():
                if run.record is not None:
                    write_out(place, run, out / name)
            _draw(frame, out, language)
        if as_json:
            emit(json.loads(frame.to_json(orient="records")))
        else:
            for line in _lines(frame, translator(language)):
                say(line)
        wrong = failures(list(runs.values()))
        if wrong:
            raise InputError(N_("{failed} of {all} runs did not finish. The first said: {reason}"),
                             failed=len(wrong), all=len(runs), reason=str(wrong[0]))


def _layers(place: Any, run: Run) -> list[dict[str, Any]]:
    from core.accounts import LOCAL

    details = json.loads(place.experiments.file(LOCAL, run.id, "details.json").read_text("utf-8"))
    return list(details["layers"])


def _draw(frame: pd.DataFrame, out: Path, language: str) -> None:
    from core.charts.files import to_svg
    from core.charts.orders import orders_tree
    from core.experiments.orders import STATES, described

    translate = translator(language)
    shown = described(frame, translate)
    titles = {"label": translate(N_("Steps")), "state": translate(N_("State")), "figures": translate(N_("Kept")),
              "note": translate(N_("Reason"))}
    chart = orders_tree(shown, words={k: translate(v) for k, v in STATES.items()}, titles=titles)
    out.mkdir(parents=True, exist_ok=True)
    (out / "tree.svg").write_bytes(to_svg(chart))
    frame.to_csv(out / "tree.csv", index=False)


def _lines(frame: pd.DataFrame, translate: Callable[[str], str]) -> list[str]:
    from core.experiments.orders import described

    return [f"{'  ' * int(row['depth'])}{row['label']}: {row['note'] if row['state'] == 'refused' else row['figures']}"
            for row in described(frame, translate).to_dict("records")]
