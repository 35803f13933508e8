"""Real finished runs for tests, measured once per session from the prepared files of the digits model."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from core.database import now, transaction
from core.datasets import Subset, batches, match_labels, open_dataset
from core.datasets.planning import plan
from core.experiments.environment import environment
from core.experiments.predictions import Predictions
from core.experiments.tables import ArtifactRow, RunRow
from core.measurement.measuring import measure, predict
from core.recipes import load_recipe
from core.settings import Settings, read_settings
from core.storage import Storage
from core.zoo import Library

RECIPE = {
    "name": "whole int8", "steps": [{"step": "quantize", "scheme": "int8"}],
}
PRUNED = {
    "name": "a quarter away", "steps": [{"step": "reconstruction", "sparsity": 0.25}],
}


@dataclass(frozen=True)
class Made:
    """What a run left: its record without an id, and its files by name."""

    record: dict[str, Any]
    files: dict[str, bytes]


def make(models: Path, folder: Path, recipe: dict[str, Any], *, damaged: bool = False) -> Made:
    """Measure digits float32 against int8 on its test images, as a worker does.

    With ``damaged`` three quarters of the last layer's weights become zero in a copy of the float file instead, so
    that many answers are wrong.
    """
    settings = read_settings().model_copy(update={"home": models.parent})
    library = Library(settings)
    card = library.card("digits")
    baseline = library.artifact("digits", "float32")
    compressed = folder / "model.tflite"
    content = bytearray(library.artifact("digits", "float32" if damaged else "int8").read_bytes())
    if damaged:
        _spoil(baseline, content)
    compressed.write_bytes(content)
    divided = plan(open_dataset("digits", settings), 0, trains=False)
    test: Subset = divided.test
    targets = match_labels(test.whole, library.labels(card), library.aliases(card))[test.indices]

    def prepared() -> Any:
        return batches(test, range(len(test)), card.preprocessing, 64)

    result = measure(baseline, compressed, prepared, targets, latency_budget_s=0.1)
    before, after = predict(baseline, prepared()), predict(compressed, prepared())
    Predictions(
        np.array(test.ids), targets, before.argmax(1).astype(np.int64), after.argmax(1).astype(np.int64),
        before.max(1), after.max(1),
    ).save(folder / "predictions.npz")
    (folder / "details.json").write_text(result.details.model_dump_json(), "utf-8")
    written = load_recipe(recipe)
    (folder / "recipe.yaml").write_text(written.to_yaml(), "utf-8")
    record = {
        "model": "digits", "data": "digits", "calibration": None, "limit": None,
        "recipe": written.model_dump(mode="json"), "seed": 0,
        "baseline": result.baseline.model_dump(mode="json"), "compressed": result.compressed.model_dump(mode="json"),
        "comparison": result.comparison.model_dump(mode="json"), "steps": [], "findings": [], "parity": {},
        "seconds": {"total": 1.0}, "images": divided.digests(), "environment": environment(1),
    }
    return Made(record, {path.name: path.read_bytes() for path in folder.iterdir()})


def _spoil(baseline: Path, content: bytearray) -> None:
    from core.measurement.tflite_file import read_tflite

    weight = read_tflite(baseline).weights[-1].tensor
    start = bytes(content).find(bytes(weight.data))
    values = np.array(weight.values, np.float32)
    values[:, np.arange(values.shape[1]) % 4 != 0] = 0
    content[start:start + values.nbytes] = values.tobytes()


@pytest.fixture(scope="session")
def made(models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Made]:
    """A good run and one that spoiled the model."""
    return (make(models, tmp_path_factory.mktemp("good"), RECIPE),
            make(models, tmp_path_factory.mktemp("spoiled"), PRUNED, damaged=True))


def store(engine: Engine, settings: Settings, owner: str, runs: Sequence[Made], **fields: Any) -> list[str]:
    """Write finished runs of ``owner`` into a database and its storage; return their ids."""
    storage = Storage(settings.storage_url)
    ids = []
    with transaction(engine) as session:
        for number, each in enumerate(runs):
            run_id = str(uuid.uuid4())
            kept = [(name, storage.put(content, name)) for name, content in each.files.items()]
            artifacts = [ArtifactRow(name=n, bytes=k.bytes, sha256=k.sha256) for n, k in kept]
            listed = [{"name": n, "bytes": k.bytes, "sha256": k.sha256} for n, k in kept]
            record = json.loads(json.dumps(each.record)) | {"id": run_id, "artifacts": listed}
            session.add(RunRow(**{
                "id": run_id, "owner_id": owner, "name": each.record["recipe"]["name"], "request": request(each),
                "model": "digits", "data": "digits", "status": "finished", "fraction": 1.0, "record": record,
                "created_at": now() + timedelta(seconds=number), "finished_at": now(), "artifacts": artifacts, **fields,
            }))
            ids.append(run_id)
    return ids


def request(made: Made) -> dict[str, Any]:
    """Return the request that leads to a record."""
    return {"model": "digits", "data": "digits", "recipe": made.record["recipe"], "seed": 0}


def store_unfinished(engine: Engine, owner: str, made: Made, status: str, **fields: Any) -> str:
    """Write a run without a result; return its id."""
    run_id = str(uuid.uuid4())
    with transaction(engine) as session:
        session.add(RunRow(**{
            "id": run_id, "owner_id": owner, "name": "not there yet", "request": request(made), "model": "digits",
            "data": "digits", "status": status, "created_at": now(), **fields,
        }))
    return run_id
