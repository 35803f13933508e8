"""Two to eight finished runs side by side: what differs in their recipes, and which differences are real."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.errors import InputError
from core.experiments.predictions import Predictions
from core.experiments.runs import Run
from core.locales import N_
from core.measurement.statistics import Interval, holm, mcnemar_exact, paired_difference

MOST = 8
LEVEL = 0.05


class Difference(BaseModel):
    """Top-1 accuracy of the second run minus the first's, on the same images.

    ``p`` is exact McNemar, ``p_holm`` adjusted over all pairs of the comparison; ``real`` says that the adjusted
    one is below 0.05. ``disagree`` holds the ids of images that exactly one of the two gets right.
    """

    model_config = ConfigDict(frozen=True)

    first: str
    second: str
    difference: Interval
    p: float
    p_holm: float
    real: bool
    agreement: float
    disagree: tuple[str, ...]


class Comparison(BaseModel):
    """What a comparison shows.

    ``recipe`` maps each field that is not the same in all runs (``2.sparsity``: the sparsity of the second step) to
    its value per run id, ``figures`` each run id to its measurements. ``pairs`` is empty, and ``why_unpaired`` says
    why, when the runs were not tested on the same labelled images.
    """

    model_config = ConfigDict(frozen=True)

    runs: tuple[str, ...]
    names: dict[str, str]
    recipe: dict[str, dict[str, Any]]
    figures: dict[str, dict[str, Any]]
    pairs: tuple[Difference, ...]
    why_unpaired: str | None


def compare(runs: Sequence[Run], predictions: Sequence[Predictions]) -> Comparison:
    """Compare finished runs, given the predictions of each.

    Raises
    ------
    InputError
        If there are fewer than two or more than eight runs, the same one twice, or one has no result.
    """
    if not 2 <= len(runs) <= MOST or len({run.id for run in runs}) != len(runs):
        raise InputError(N_("Choose two to {most} different runs to compare."), most=MOST)
    for run in runs:
        if run.record is None:
            raise InputError(
                N_("Run {run} has no result to compare. Wait until it has finished."), run=run.id[:8]
            )
    why = _why_unpaired(predictions)
    return Comparison(
        runs=tuple(run.id for run in runs),
        names={run.id: run.name for run in runs},
        recipe=recipe_differences(runs),
        figures={run.id: _figures(run.record or {}) for run in runs},
        pairs=() if why else _pairs(runs, predictions),
        why_unpaired=why,
    )


def recipe_differences(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Return the request's fields that are not the same in all runs, with each run's value (None where absent)."""
    flat = {run.id: _flatten(run) for run in runs}
    fields = dict.fromkeys(field for values in flat.values() for field in values)
    table = {field: {run_id: values.get(field) for run_id, values in flat.items()} for field in fields}
    return {
        field: row for field, row in table.items() if any(v != next(iter(row.values())) for v in row.values())
    }


def _flatten(run: Run) -> dict[str, Any]:
    request = run.request
    values: dict[str, Any] = {
        "model": request.model, "data": request.data, "calibration": request.calibration, "seed": request.seed,
    }
    steps = (run.record or {}).get("recipe", request.recipe).get("steps", [])
    for number, step in enumerate(steps, start=1):
        for field, value in step.items():
            values[f"{number}.{field}"] = value
    return values


def _figures(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "size": record["compressed"]["size"],
        "latency_ms": record["compressed"]["latency_ms"],
        "accuracy": record["compressed"]["accuracy"],
        "comparison": record["comparison"],
    }


def _why_unpaired(predictions: Sequence[Predictions]) -> str | None:
    first = predictions[0]
    for other in predictions:
        if other.targets is None:
            return N_("Without labels the runs can only be compared by their agreement with the baseline.")
        same_images = np.array_equal(first.images, other.images)
        if not same_images or first.targets is None or not np.array_equal(first.targets, other.targets):
            return N_("The runs were tested on different images, so no paired test is possible.")
    return None


def _pairs(runs: Sequence[Run], predictions: Sequence[Predictions]) -> tuple[Difference, ...]:
    raw = []
    for a, b in combinations(range(len(runs)), 2):
        targets = predictions[a].targets
        first, second = predictions[a].compressed == targets, predictions[b].compressed == targets
        lost, won = int((first & ~second).sum()), int((~first & second).sum())
        interval = paired_difference(int((first & second).sum()), lost, won, int((~first & ~second).sum()))
        agreement = float((predictions[a].compressed == predictions[b].compressed).mean())
        images = tuple(str(i) for i in predictions[a].images[first != second])
        raw.append((runs[a].id, runs[b].id, interval, mcnemar_exact(lost, won), agreement, images))
    adjusted = holm([row[3] for row in raw])
    return tuple(
        Difference(
            first=row[0], second=row[1], difference=row[2], p=row[3], p_holm=p_holm, real=p_holm < LEVEL,
            agreement=row[4], disagree=row[5],
        )
        for row, p_holm in zip(raw, adjusted, strict=True)
    )
