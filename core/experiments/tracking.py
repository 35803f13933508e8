"""Log finished runs to an MLflow tracking server, with figures, recipe and files.

Uses MLflow's own client (``pip install mlflow-skinny``), an optional dependency.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from core.errors import InputError
from core.experiments.export import row
from core.experiments.runs import Run
from core.locales import N_

EXPERIMENT = "secateur"
FILES = ("model.tflite", "recipe.yaml", "report.html", "details.json")
MOST_CHARACTERS = 6000
"""Of a parameter's value, as MLflow allows."""
_TAG = "secateur.run"
_TEXTS = ("id", "name", "status", "model", "data", "created_at", "recipe", "seed")
# Somebody waits for the answer: MLflow's own two minutes times seven tries would look like a crash.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


def installed() -> bool:
    """Whether MLflow's client is there."""
    return importlib.util.find_spec("mlflow") is not None


def log_runs(
    runs: Sequence[Run], file: Callable[[Run, str], Path], url: str, experiment: str = EXPERIMENT
) -> dict[str, str]:
    """Log finished runs; a run that the server has already is left as it is.

    Parameters
    ----------
    file
        Gives the local path of a run's file by its name.
    url
        Of the tracking server, ``http://`` or ``https://``. Credentials are read from MLflow's own environment
        variables (``MLFLOW_TRACKING_USERNAME``, ``..._PASSWORD``, ``..._TOKEN``).

    Returns
    -------
    dict
        The id of MLflow's run by the id of ours.

    Raises
    ------
    InputError
        If a run has not finished, the address is not one, MLflow is not installed, or the server refuses.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(N_("'{url}' is not the address of an MLflow server. Write it as http://host:port."), url=url)
    if not installed():
        raise InputError(N_("Logging to MLflow needs its client: pip install mlflow-skinny."))
    for run in runs:
        if run.record is None:
            raise InputError(N_("The run {run} has no figures yet, so it cannot be logged to MLflow."), run=run.name)
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    tracking: Any = importlib.import_module("mlflow")
    refused: Any = importlib.import_module("mlflow.exceptions").MlflowException
    client = tracking.MlflowClient(tracking_uri=url)
    try:
        found = client.get_experiment_by_name(experiment)
        place = client.create_experiment(experiment) if found is None else found.experiment_id
        return {run.id: _log(client, place, run, file) for run in runs}
    except (refused, OSError) as error:
        # MLflow's own sentence holds the address as it was given, with the password in it if there is one.
        bare = parts.netloc.rpartition("@")[2]
        raise InputError(
            N_("The MLflow server at {url} did not take the runs: {reason}. Check its address and that it is running."),
            url=urlunsplit(parts._replace(netloc=bare)),
            reason=str(error).replace(parts.netloc, bare).splitlines()[0][:200],
        ) from error


def _log(client: Any, experiment: str, run: Run, file: Callable[[Run, str], Path]) -> str:
    known = client.search_runs(
        [experiment], f"tags.`{_TAG}` = '{run.id}' and attributes.status = 'FINISHED'", max_results=1)
    if known:
        return str(known[0].info.run_id)
    entities: Any = importlib.import_module("mlflow.entities")
    values = row(run)
    began = int(run.created_at.timestamp() * 1000)
    asked = [("model", values["model"]), ("data", values["data"]), ("seed", values["seed"]),
             ("recipe", values["recipe"]), *_parameters(run.request.recipe["steps"])]
    figures = {name: value for name, value in values.items() if name not in _TEXTS and value is not None}
    made = client.create_run(experiment, start_time=began, run_name=run.name or run.id[:8], tags={_TAG: run.id})
    identifier = str(made.info.run_id)
    status = "FAILED"
    try:
        client.log_batch(
            identifier, metrics=[entities.Metric(name, float(value), began, 0) for name, value in figures.items()],
            params=[entities.Param(name, str(value)[:MOST_CHARACTERS]) for name, value in asked])
        with tempfile.TemporaryDirectory() as folder:
            for name in FILES:
                if any(artifact.name == name for artifact in run.artifacts):
                    # The store names a file by its digest, and MLflow keeps the name it finds.
                    client.log_artifact(identifier, shutil.copyfile(file(run, name), Path(folder, name)))
        status = "FINISHED"
    finally:
        client.set_terminated(identifier, status)
    return identifier


def _parameters(steps: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, object]]:
    """Yield every field of every step, such as ``1.reconstruction.sparsity``."""
    for number, step in enumerate(steps, 1):
        for name, value in step.items():
            if name != "step":
                yield f"{number}.{step['step']}.{name}", value
