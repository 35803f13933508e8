"""Who holds which run, on both database engines."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import Engine, update

from core.database import now, reading, transaction
from core.experiments.runs import Artifact, Failure, RunRequest
from core.experiments.service import as_run
from core.experiments.tables import RunRow
from core.jobs import leases

REQUEST = RunRequest(model="digits", data="digits", recipe={"steps": [{"step": "quantize", "scheme": "float16"}]})

RECORD = {
    "compressed": {"accuracy": None, "size": {"tflite_bytes": 3}},
    "comparison": {"top1_difference": None, "size_ratio": 2.0, "latency_ratio": {"value": 1.5}},
}


def queued(engine: Engine, run_id: str, owner: str = "ada", *, seconds_ago: float = 0) -> str:
    with transaction(engine) as session:
        session.add(RunRow(
            id=run_id, owner_id=owner, name=run_id, request=REQUEST.model_dump(mode="json"), model="digits",
            data="digits", status="queued", created_at=now() - timedelta(seconds=seconds_ago),
        ))
    return run_id


def state(engine: Engine, run_id: str):
    with reading(engine) as session:
        return as_run(session.get_one(RunRow, run_id))


def age(engine: Engine, run_id: str) -> None:
    with transaction(engine) as session:
        session.execute(update(RunRow).where(RunRow.id == run_id).values(
            heartbeat_at=now() - leases.LOST_AFTER - timedelta(seconds=1)
        ))


def test_one_run_is_taken_by_one_of_many(engine: Engine) -> None:
    queued(engine, "run-1")
    taken = []

    def try_it() -> None:
        if leases.take(engine, "run-1") is not None:
            taken.append(threading.get_ident())

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1
    assert state(engine, "run-1").attempt == 1


def test_a_run_goes_from_queued_to_finished(engine: Engine) -> None:
    queued(engine, "run-1")
    attempt, request = leases.take(engine, "run-1") or pytest.fail("not taken")
    assert request == REQUEST
    assert leases.beat(engine, "run-1", attempt, "halfway", 0.5, 3.0)
    assert (state(engine, "run-1").stage, state(engine, "run-1").fraction) == ("halfway", 0.5)
    artifact = Artifact(name="model.tflite", bytes=3, sha256="a" * 64)
    assert leases.finish(engine, "run-1", attempt, record=RECORD, artifacts=[artifact], log="fine")
    run = state(engine, "run-1")
    assert (run.status, run.record, run.artifacts, run.log) == ("finished", RECORD, (artifact,), "fine")


def test_a_lost_worker_cannot_overwrite_its_successor(engine: Engine) -> None:
    queued(engine, "run-1")
    old, _ = leases.take(engine, "run-1") or pytest.fail("not taken")
    assert leases.recover(engine) == []
    age(engine, "run-1")
    assert leases.recover(engine) == ["run-1"]
    assert state(engine, "run-1").status == "interrupted"
    new, _ = leases.take(engine, "run-1") or pytest.fail("not taken")
    assert new == old + 1
    assert not leases.beat(engine, "run-1", old, "late", 0.9, None)
    assert not leases.finish(engine, "run-1", old, record=RECORD | {"late": True})
    assert leases.finish(engine, "run-1", new, record=RECORD | {"late": False})
    assert state(engine, "run-1").record == RECORD | {"late": False}


def test_a_run_that_loses_every_worker_ends(engine: Engine) -> None:
    queued(engine, "run-1")
    for _ in range(leases.ATTEMPTS):
        assert leases.take(engine, "run-1")
        leases.recover(engine, ["run-1"])
    run = state(engine, "run-1")
    assert run.status == "failed"
    assert "3 times" in str(run.error)
    assert leases.take(engine, "run-1") is None


def test_cancelling_stops_the_beat_and_a_result_that_came_first_is_kept(engine: Engine) -> None:
    for run_id in ("stopped", "finished"):
        queued(engine, run_id)
        leases.take(engine, run_id)
        with transaction(engine) as session:
            session.execute(update(RunRow).where(RunRow.id == run_id).values(cancel_requested=True))
        assert not leases.beat(engine, run_id, 1, "", 0.1, None)
    assert leases.finish(engine, "stopped", 1, error=Failure(message="anything"))
    assert leases.finish(engine, "finished", 1, record=RECORD)
    assert state(engine, "stopped").status == "cancelled"
    assert state(engine, "finished").status == "finished"


def test_a_failure_keeps_its_sentence(engine: Engine) -> None:
    queued(engine, "run-1")
    leases.take(engine, "run-1")
    failure = Failure(message="No {what}.", parameters={"what": "memory"})
    leases.finish(engine, "run-1", 1, error=failure, log="x" * 99_999)
    run = state(engine, "run-1")
    assert (run.status, str(run.error), len(run.log)) == ("failed", "No memory.", leases.LOG_CHARACTERS)


def test_owners_take_turns(engine: Engine) -> None:
    for number in range(5):
        queued(engine, f"ada-{number}", "ada", seconds_ago=100 - number)
    queued(engine, "bob-0", "bob", seconds_ago=1)
    assert leases.next_runs(engine, 2, running_per_owner=5) == ["ada-0", "bob-0"]
    assert leases.next_runs(engine, 6, running_per_owner=1) == ["ada-0", "bob-0"]
    leases.take(engine, "ada-0")
    assert leases.next_runs(engine, 1, running_per_owner=5) == ["bob-0"]
    assert leases.next_runs(engine, 9, running_per_owner=1) == ["bob-0"]
