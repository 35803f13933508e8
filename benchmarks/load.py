"""How many people fit: scripted sessions on a real server, ``python -m benchmarks.load``.

Two scenarios run on a server of their own, with accounts of their own in a temporary data folder, over
loopback only. *Reading*: each session opens the app and then follows five links or choices. *Classifying*:
each session uploads five photos of its own, one after the other. Between two interactions a person thinks
for one to two seconds, or as ``--think`` says. What is timed is what a person waits for: from sending the
interaction (and its upload) to the end of the run. The clients share the processors with the server, so the
processor time that the server spent per run is reported too: it hardly depends on who else is busy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.streamlit_client import Session
from core.accounts import Accounts, Hasher
from core.database import connect, migrate
from core.images import as_picture, encode
from core.inference import samples
from core.settings import ROOT, settings

INTERACTIONS = 5
THINK_S = (1.0, 2.0)
Think = tuple[float, float]
ARRIVAL_S = 10.0
MOST_SESSIONS = 2000
PASSPHRASE = "seven green boats over water"


def people(home: Path, count: int) -> list[str]:
    """Open ``count`` accounts in a new database and return their session tokens.

    Only the cost of the password hash is lowered: nobody types a password here.
    """
    configuration = settings().model_copy(update={
        "home": home, "database_url": f"sqlite:///{home / 'secateur.db'}"})
    engine = connect(configuration.database_url)
    migrate(engine)
    accounts = Accounts(engine, configuration, hasher=Hasher(time_cost=1, memory_kib=64, lanes=1))
    tokens = [
        accounts.sign_up(f"reader{n}", "Reader", f"reader{n}@example.org", PASSPHRASE,
                         address=f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}").token
        for n in range(count)
    ]
    engine.dispose()
    return tokens


@contextmanager
def server(home: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Run the app on a free loopback port with ``home`` as its data folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    with (home / "server.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port),
             "--server.address", "127.0.0.1", "--server.headless", "true"],
            cwd=ROOT, env=environment | {"SECATEUR_HOME": str(home)}, stdout=log, stderr=log)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if child.poll() is not None:
                raise RuntimeError((home / "server.log").read_text())
            time.sleep(0.1)
        yield port, psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(30)


def photos(count: int, seed: int) -> list[bytes]:
    """Return ``count`` different JPEG photos of 600 x 400 pixels: random crops of the samples."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    sources = [Image.open(sample.path).convert("RGB") for sample in samples()]
    found = []
    for place in range(count):
        source = sources[place % len(sources)]
        left, top = rng.integers(0, 40, 2)
        crop = source.crop((left, top, source.width - left, source.height - top)).resize((600, 400))
        found.append(encode(as_picture(np.asarray(crop))))
    return found


async def reading(tab: Session, rng: random.Random, think: Think) -> list[float]:
    """Look around: five runs by links and choices."""
    times = []
    steps = [lambda: tab.go("models"), lambda: tab.go("classify"),
             lambda: tab.choose("classify.source", ":material/photo_camera: Camera"),
             lambda: tab.go("account"), lambda: tab.go("classify")]
    for step in steps[:INTERACTIONS]:
        await asyncio.sleep(rng.uniform(*think))
        times.append(await step())
        check(tab)
    return times


async def classifying(tab: Session, rng: random.Random, think: Think) -> list[float]:
    """Upload five photos, one after the other, and wait for each answer."""
    times = []
    for number, photo in enumerate(photos(INTERACTIONS, rng.randrange(2**31))):
        await asyncio.sleep(rng.uniform(*think))
        times.append(await tab.upload("classify.files", f"photo{number}.jpg", photo))
        check(tab)
        if not any("medians of a few runs" in text for text in tab.screen.texts):
            raise AssertionError("the photo got no answer")
    return times


def check(tab: Session) -> None:
    """Raise if the page shows an error or is not that of a person who is signed in."""
    if tab.screen.errors:
        raise AssertionError(tab.screen.errors[0])
    if not any(text.startswith("Signed in as") for text in tab.screen.texts):
        raise AssertionError("the session is not signed in")


async def crowd(scenario: Any, port: int, tokens: Sequence[str], seed: int, think: Think) -> dict[str, Any]:
    """Let one session per token live through ``scenario`` at the same time; return the figures.

    ``think`` is how long a person thinks between two interactions, at least and at most, in seconds.
    """
    opened: list[float] = []
    times: list[float] = []
    errors: list[str] = []

    async def one(number: int, token: str) -> None:
        rng = random.Random(seed * 100_003 + number)
        await asyncio.sleep(rng.uniform(0, ARRIVAL_S))
        try:
            async with Session(port, token) as tab:
                opened.append(await tab.open("classify"))
                check(tab)
                times.extend(await scenario(tab, rng, think))
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")

    await asyncio.gather(*(one(number, token) for number, token in enumerate(tokens)))
    return {
        "scenario": scenario.__name__, "sessions": len(tokens), "think_s": think,
        "runs": len(times), "first_pages": len(opened), "errors": len(errors),
        "first_errors": errors[:3], "first_page_s": spread(opened), "rerun_s": spread(times),
    }


def spread(seconds: Sequence[float]) -> dict[str, float] | None:
    """Return p50, p95 and the longest, rounded to milliseconds; None of nothing."""
    if not seconds:
        return None
    p50, p95 = np.percentile(seconds, [50, 95])
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3), "max": round(max(seconds), 3)}


def processor_s(process: psutil.Process) -> float:
    """Return the processor time that a process has used, in its own code and in the system's, in seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(readers: int, classifiers: int, models: Path, seed: int, think: Think) -> list[dict[str, Any]]:
    """Run both scenarios, each on a fresh server; return their figures, the server's memory and its processor
    time for one run of a page."""
    results = []
    for scenario, count in ((reading, readers), (classifying, classifiers)):
        if not count:
            continue
        with tempfile.TemporaryDirectory(prefix="secateur-load-") as folder:
            home = Path(folder)
            (home / "models").symlink_to(models)
            tokens = people(home, count)
            with server(home) as (port, process):
                # The imports of the first visitor, whose patience they shall not wear out twice.
                asyncio.run(crowd(scenario, port, tokens[:1], seed + 1, think))
                spent = processor_s(process)
                result = asyncio.run(crowd(scenario, port, tokens, seed, think))
                spent = processor_s(process) - spent
                results.append(result | {
                    "server_cpu_ms": round(spent * 1e3 / max(1, result["runs"] + result["first_pages"]), 2),
                    "server_mb": round(process.memory_info().rss / 1e6, 1)})
    return results


def main() -> None:
    """Print a table, or JSON with ``--json``; leave with 1 if any session failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=200, help="sessions that look around")
    parser.add_argument("--classifiers", type=int, default=25, help="sessions that classify photos")
    parser.add_argument("--think", type=float, nargs=2, default=THINK_S, metavar=("LOW", "HIGH"),
                        help="seconds between two interactions of a session")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if max(arguments.readers, arguments.classifiers) > MOST_SESSIONS:
        parser.error(f"at most {MOST_SESSIONS} sessions")
    low, high = arguments.think
    if not 0 <= low <= high:
        parser.error("--think takes the shorter time first")
    from core.zoo import Library

    Library(settings()).prepare(names=[settings().models.default, "digits"])
    results = measure(arguments.readers, arguments.classifiers, settings().home / "models", arguments.seed,
                      (low, high))
    if arguments.json:
        print(json.dumps({"cpus": os.cpu_count(), "results": results}, indent=2))
    else:
        print(f"{'scenario':<12} {'sessions':>8} {'runs':>6} {'errors':>6} {'p50 s':>7} {'p95 s':>7} {'max s':>7} "
              f"{'server ms':>9} {'server MB':>9}")
        for row in results:
            rerun = row["rerun_s"] or {"p50": float("nan"), "p95": float("nan"), "max": float("nan")}
            print(f"{row['scenario']:<12} {row['sessions']:>8} {row['runs']:>6} {row['errors']:>6} "
                  f"{rerun['p50']:>7.3f} {rerun['p95']:>7.3f} {rerun['max']:>7.3f} "
                  f"{row['server_cpu_ms']:>9.2f} {row['server_mb']:>9}")
            for error in row["first_errors"]:
                print("  ", error, file=sys.stderr)
    raise SystemExit(1 if any(row["errors"] for row in results) else 0)


if __name__ == "__main__":
    main()
