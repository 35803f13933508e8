"""Runs on a cluster that was started by hand: a scheduler and two workers, each a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dask
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.accounts import LOCAL
from core.settings import ROOT, read_settings
from tests.faults.test_runs_survive import REQUEST, WAIT_SECONDS, Bench, check_nothing_is_left, home, processes

__all__ = ["home"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(*words: str, log: Path) -> Iterator[psutil.Process]:
    with log.open("wb") as out:
        child = subprocess.Popen([sys.executable, "-m", "distributed.cli." + words[0], *words[1:]], cwd=ROOT,
                                 stdout=out, stderr=out, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        yield psutil.Process(child.pid)
    finally:
        for each in [*psutil.Process(child.pid).children(recursive=True), child] if child.poll() is None else []:
            each.terminate()
        child.wait(30)


def certificate(folder: Path) -> dict[str, str]:
    """Write a self-signed certificate with its key; return Dask's TLS settings for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "secateur-test")])
    today = datetime.now(UTC)
    signed = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
              .serial_number(x509.random_serial_number()).not_valid_before(today - timedelta(days=1))
              .not_valid_after(today + timedelta(days=1)).sign(key, hashes.SHA256()))
    chain, secret = folder / "certificate.pem", folder / "key.pem"
    chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    found = {"distributed.comm.tls.ca-file": str(chain), "distributed.comm.require-encryption": "true"}
    for role in ("scheduler", "worker", "client"):
        found |= {f"distributed.comm.tls.{role}.cert": str(chain), f"distributed.comm.tls.{role}.key": str(secret)}
    return found


@pytest.fixture
def cluster(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[psutil.Process]]:
    """A scheduler and two workers that speak TLS, with SECATEUR_SCHEDULER set to it; yields the workers."""
    address = f"tls://127.0.0.1:{free_port()}"
    encryption = certificate(tmp_path)
    for name, value in encryption.items():
        monkeypatch.setenv("DASK_" + name.upper().replace(".", "__").replace("-", "_"), value)
    monkeypatch.setenv("SECATEUR_SCHEDULER", address)
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(encryption))  # this process read the environment long ago
        stack.enter_context(process("dask_scheduler", "--host", address, "--no-dashboard",
                                    log=tmp_path / "scheduler.log"))
        yield [
            stack.enter_context(process("dask_worker", address, "--nthreads", "1", "--nworkers", "1", "--no-dashboard",
                                        "--host", "127.0.0.1", "--local-directory", str(tmp_path / f"worker{n}"),
                                        log=tmp_path / f"worker{n}.log"))
            for n in range(2)
        ]


def test_two_workers_share_the_runs_and_one_goes_on_when_the_other_dies(cluster: list[psutil.Process]) -> None:
    place = Bench(read_settings())
    try:
        runs = place.experiments.submit(LOCAL, [REQUEST.model_copy(update={"seed": n}) for n in range(2)])
        holders: set[int] = set()
        deadline = time.monotonic() + WAIT_SECONDS
        while len(holders) < 2 and time.monotonic() < deadline:
            holders = {child.ppid() for child in processes("core.engine.execute", str(place.settings.home))}
            time.sleep(0.1)
        families = [{worker.pid, *(p.pid for p in worker.children(recursive=True))} for worker in cluster]
        assert all(holders & family for family in families), "each worker carries a run"
        for each in [cluster[0], *cluster[0].children(recursive=True)]:
            each.kill()
        ended = place.wait(list(runs))
        assert [run.status for run in ended] == ["finished"] * 2, [(str(r.error), r.log[-500:]) for r in ended]
        assert max(run.attempt for run in ended) == 2
        check_nothing_is_left(place)
    finally:
        place.queue.close()
        place.engine.dispose()
