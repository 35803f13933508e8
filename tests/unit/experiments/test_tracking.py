"""Logging to a real MLflow server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from core.accounts import LOCAL, Accounts
from core.database import connect, migrate
from core.errors import InputError
from core.experiments.service import Experiments
from core.experiments.tracking import FILES, log_runs
from core.settings import read_settings
from core.storage import Storage
from tests.finished import made, store, store_unfinished

__all__ = ["made"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server with its own database and files."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (folder / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
             "--artifacts-destination", str(folder / "files")],
            cwd=folder, stdout=log, stderr=log, start_new_session=True,
            env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"})
        try:
            for _ in range(900):
                try:
                    if requests.get(f"{url}/health", timeout=1).ok:
                        break
                except requests.RequestException:
                    time.sleep(0.1)
            else:
                raise RuntimeError((folder / "log.txt").read_text())
            yield url
        finally:
            os.killpg(child.pid, 15)
            child.wait(30)


@pytest.fixture
def experiments(tmp_path: Path, models: Path, made, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECATEUR_HOME", str(tmp_path / "home"))
    settings = read_settings()
    settings.home.mkdir()
    engine = connect(settings.database_url)
    migrate(engine)
    service = Experiments(engine, Storage(settings.storage_url), Accounts(engine, settings), settings)
    ids = store(engine, settings, LOCAL.user_id, made)
    waiting = store_unfinished(engine, LOCAL.user_id, made[0], "queued")
    yield service, [service.run(LOCAL, i) for i in ids], service.run(LOCAL, waiting)
    engine.dispose()


def test_recipe_figures_and_files_arrive_and_a_second_time_changes_nothing(server, experiments):
    import mlflow

    service, runs, _ = experiments

    def file(run, name):
        return service.file(LOCAL, run.id, name)

    logged = log_runs(runs, file, server)
    assert log_runs(runs, file, server) == logged
    client = mlflow.MlflowClient(tracking_uri=server)
    experiment = client.get_experiment_by_name("secateur")
    assert len(client.search_runs([experiment.experiment_id])) == 2
    for run in runs:
        there = client.get_run(logged[run.id])
        assert there.info.status == "FINISHED"
        assert there.info.run_name == run.name
        assert there.data.metrics["top1"] == run.record["compressed"]["accuracy"]["top1"]["value"]
        assert there.data.metrics["tflite_bytes"] == run.record["compressed"]["size"]["tflite_bytes"]
        assert there.data.params["model"] == "digits"
        step = run.request.recipe["steps"][0]
        field = "scheme" if step["step"] == "quantize" else "sparsity"
        assert there.data.params[f"1.{step['step']}.{field}"] == str(step[field])
        names = {artifact.path for artifact in client.list_artifacts(there.info.run_id)}
        assert names == {a.name for a in run.artifacts} & set(FILES)
        assert "model.tflite" in names


def test_what_cannot_be_logged_is_said_in_one_sentence(experiments):
    service, runs, waiting = experiments

    def file(run, name):
        return service.file(LOCAL, run.id, name)

    with pytest.raises(InputError, match="no figures yet"):
        log_runs([waiting], file, "http://127.0.0.1:1")
    for address in ("", "file:///etc", "127.0.0.1:5000"):
        with pytest.raises(InputError, match="not the address"):
            log_runs(runs, file, address)
    with pytest.raises(InputError, match="did not take the runs") as refused:
        log_runs(runs, file, "http://user:secret@127.0.0.1:1")
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)
    json.dumps(refused.value.parameters)
