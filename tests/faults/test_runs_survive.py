"""Runs on a real local cluster: they finish, stop when asked, and survive the death of whoever carries them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests

from core.accounts import LOCAL, Accounts
from core.database import connect, migrate
from core.experiments.runs import Run, RunRequest
from core.experiments.service import Experiments
from core.jobs import Queue
from core.jobs.leases import unfinished
from core.settings import ROOT, Settings, read_settings
from core.storage import Storage
from tests.prepared import link_models

FLOAT16 = {"name": "half", "steps": [{"step": "quantize", "scheme": "float16"}]}
REQUEST = RunRequest(model="digits", data="digits", recipe=FLOAT16, limit=50)
WAIT_SECONDS = 240


class Bench:
    """One installation in a temporary home, with the services that a process has."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine = connect(settings.database_url)
        migrate(self.engine)
        self.storage = Storage(settings.storage_url)
        self.queue = Queue(self.engine, self.storage, settings)
        self.experiments = Experiments(
            self.engine, self.storage, Accounts(self.engine, settings), settings, self.queue.wake
        )

    def wait(
        self, runs: list[Run], until: Callable[[Run], bool] = lambda run: run.finished, seconds: float = WAIT_SECONDS
    ) -> list[Run]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            now = [self.experiments.run(LOCAL, run.id) for run in runs]
            if all(until(run) for run in now):
                return now
            time.sleep(0.2)
        raise AssertionError([(run.status, run.stage, str(run.error), run.log[-2000:]) for run in now])


def processes(*words: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if all(word in line for word in words):
            found.append(process)
    return found


@pytest.fixture
def home(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("SECATEUR_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)
    home = link_models(models, tmp_path / "home")
    monkeypatch.setenv("SECATEUR_HOME", str(home))
    return home


@pytest.fixture
def bench(home: Path) -> Iterator[Bench]:
    place = Bench(read_settings())
    yield place
    place.queue.close()
    place.engine.dispose()


def check_nothing_is_left(place: Bench) -> None:
    from core.jobs.tidying import tidy

    assert unfinished(place.engine) == 0
    tidy(place.engine, place.storage, place.settings)
    assert not (place.settings.home / "runs").exists()
    runs = place.experiments.runs(LOCAL)
    assert set(place.storage.digests()) == {a.sha256 for run in runs for a in run.artifacts}
    for run in runs:
        for artifact in run.artifacts:
            assert place.experiments.file(LOCAL, run.id, artifact.name).stat().st_size == artifact.bytes


def test_a_run_finishes_and_a_second_is_cancelled(bench: Bench) -> None:
    first, second = bench.experiments.submit(LOCAL, [REQUEST, REQUEST.model_copy(update={"seed": 1})])
    bench.wait([first], lambda run: run.status != "queued")
    server = bench.queue._cluster.scheduler.http_server
    assert server.address == "127.0.0.1"
    for path in ("/health", "/metrics", "/api/v1", "/status"):
        assert requests.get(f"http://127.0.0.1:{server.port}{path}", timeout=10).status_code == 404, path
    assert bench.experiments.cancel(LOCAL, second.id).status == "cancelled"
    (run,) = bench.wait([first])
    assert run.status == "finished", (str(run.error), run.log)
    assert run.record is not None
    assert run.record["compressed"]["accuracy"]["n"] == 50
    assert {a.name for a in run.artifacts} >= {"model.tflite", "recipe.yaml", "details.json", "predictions.npz"}
    check_nothing_is_left(bench)


def test_a_killed_worker_costs_an_attempt_and_a_cancelled_run_stops(bench: Bench) -> None:
    (run,) = bench.experiments.submit(LOCAL, [REQUEST])
    bench.wait([run], lambda now: now.fraction > 0)
    (child,) = processes("core.engine.execute", run.id)
    worker = child.parent()
    assert worker is not None
    worker.kill()
    child.wait(timeout=20)
    (finished,) = bench.wait([run])
    assert (finished.status, finished.attempt) == ("finished", 2), (str(finished.error), finished.log)
    (stopped,) = bench.experiments.submit(LOCAL, [REQUEST])
    bench.wait([stopped], lambda now: now.fraction > 0)
    asked = time.monotonic()
    bench.experiments.cancel(LOCAL, stopped.id)
    (stopped,) = bench.wait([stopped])
    assert stopped.status == "cancelled"
    assert time.monotonic() - asked < 30
    assert not processes("core.engine.execute", stopped.id)
    check_nothing_is_left(bench)


def test_bad_data_fails_with_one_sentence(bench: Bench, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (run,) = bench.wait(bench.experiments.submit(LOCAL, [REQUEST.model_copy(update={"data": str(empty)})]))
    assert run.status == "failed"
    assert "Traceback" not in str(run.error)
    assert run.artifacts == ()


APP = """
import sys, time
from tests.faults.test_runs_survive import Bench
from core.settings import read_settings
place = Bench(read_settings())
place.queue.resume()
while True:
    time.sleep(1)
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_kills_of_worker_and_app_lose_nothing(home: Path) -> None:
    place = Bench(read_settings())
    waiting = Experiments(place.engine, place.storage, Accounts(place.engine, place.settings), place.settings)
    runs = waiting.submit(LOCAL, [REQUEST.model_copy(update={"seed": seed}) for seed in range(12)])
    chance = random.Random(7)
    finished: dict[str, tuple] = {}
    for kill in range(20):
        app = subprocess.Popen([sys.executable, "-c", APP], cwd=ROOT, start_new_session=True)
        time.sleep(chance.uniform(3, 15))
        children = processes("core.engine.execute", str(home))
        if kill % 2 and children and children[0].parent() is not None:
            children[0].parent().kill()
            time.sleep(chance.uniform(0, 5))
        app.send_signal(signal.SIGKILL)
        app.wait()
        for run in (waiting.run(LOCAL, each.id) for each in runs):
            if run.id in finished:
                assert (run.status, run.artifacts) == finished[run.id]
            elif run.status == "finished":
                finished[run.id] = (run.status, run.artifacts)
    place.queue.resume()
    ended = place.wait(list(runs), seconds=1200)
    assert all(run.status in ("finished", "failed") for run in ended)
    assert all(run.status == "finished" or "cut off 3 times" in str(run.error) for run in ended)
    place.queue.close()
    check_nothing_is_left(place)
    place.engine.dispose()
