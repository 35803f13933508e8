"""``python -m benchmarks.lab``: how long the server takes for a new estimate and for a page of 10,000 runs.

1. From a slider event to an estimate: the time of ``core.experiments.estimates.estimate`` for one sparsity after
   another, on the profile of ``digits`` with a history of 80 runs (the most that are learned from);
   no widget, no network.
2. The experiments page: one person with ``--runs`` finished runs (each with a record of realistic length) on a
   temporary SQLite file; every query that one view of the page asks (choices of the filters, count, one page of 25),
   for the plain list and for searches, filters and orders in turn.

3. The pages: the same on a real server, by Streamlit's own protocol over loopback: a slider is moved in the lab until
   the figures of the new estimate have arrived, and the experiments page of somebody with ``--runs`` runs is opened
   again. Timed is what a browser would wait for, without drawing; the processor time of the server per event is told
   too, because it hardly depends on who else is busy.

Each is repeated ``--repeat`` times after one warm-up; printed are the median and the 95th percentile in ms.
``--json`` prints one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine, insert

from benchmarks.load import PASSPHRASE, server
from benchmarks.streamlit_client import Session
from core.accounts import Accounts
from core.database import connect, migrate, now, transaction
from core.experiments.estimates import estimate, history
from core.experiments.listing import Filters, Listing
from core.experiments.profiles import make_profile
from core.experiments.tables import RunRow, summary
from core.recipes import load_recipe
from core.settings import Settings, settings
from core.zoo import Library

_SCHEMES = ("int8", "float16", "dynamic")
_VIEWS: tuple[tuple[str, Filters, Any, int], ...] = (
    ("newest", Filters(), "newest", 0), ("last page", Filters(), "newest", -25),
    ("search", Filters(words="run 77"), "newest", 0), ("smallest", Filters(), "smallest", 0),
    ("by accuracy", Filters(method="quantize", status="finished"), "top1", 0),
    ("figures", Filters(most_points_lost=1, least_smaller=3), "latency_ratio", 0),
)


def percentiles(work: Callable[[int], object], repeat: int) -> dict[str, float]:
    """Return the median and the 95th percentile of ``work(i)`` in ms, after one warm-up."""
    work(0)
    times = []
    for i in range(repeat):
        began = time.perf_counter()
        work(i)
        times.append(1000 * (time.perf_counter() - began))
    return {"p50_ms": round(statistics.median(times), 2),
            "p95_ms": round(statistics.quantiles(times, n=20)[-1], 2), "n": repeat}


def record(number: int) -> dict[str, Any]:
    """Return a record of the length of a real one, with figures that vary."""
    interval = {"value": 0.9 + number % 100 / 1000, "low": 0.85, "high": 0.99}
    accuracy = {"n": 360, "top1": interval, "top5": interval, "ece": 0.01}
    size = {"tflite_bytes": 80_000 + number, "gzip_bytes": 70_000, "zstd_bytes": 69_000, "parameters": 75_370,
            "nonzero_parameters": 40_000, "macs": 800_736}
    measured = {"size": size, "latency_ms": {"p50": 0.02, "p95": 0.03, "n": 800, "threads": 1}, "accuracy": accuracy,
                "peak_memory_bytes": 7_000_000}
    difference = {"value": (number % 50 - 40) / 1000, "low": -0.05, "high": 0.02}
    return {
        "model": "digits", "data": "digits", "recipe": recipe(number), "seed": 0, "baseline": measured,
        "compressed": measured, "steps": [{"layers": [{"layer": f"conv{i}", "note": "x" * 90} for i in range(40)]}],
        "comparison": {"top1_difference": difference, "mcnemar_p": 0.5, "agreement": 0.97, "gzip_ratio": 4.0,
                       "size_ratio": 1 + number % 60 / 10,
                       "latency_ratio": {"value": 1 + number % 30 / 10, "low": 1.0, "high": 3.0}},
    }


def recipe(number: int) -> dict[str, Any]:
    """Return one of thirty recipes."""
    return {"name": f"run {number}", "steps": [
        {"step": "magnitude", "sparsity": round(0.3 + number % 10 / 20, 2)},
        {"step": "quantize", "scheme": _SCHEMES[number % 3]},
    ]}


def fill(engine: Engine, owner: str, runs: int) -> None:
    """Write ``runs`` finished runs of one person, whose records are as long as real ones."""
    began = now()
    for start in range(0, runs, 500):
        rows = []
        for i in range(start, min(start + 500, runs)):
            made = record(i)
            rows.append({
                "id": str(uuid.uuid4()), "owner_id": owner, "name": f"run {i}", "model": "digits",
                "request": {"model": "digits", "data": "digits", "recipe": recipe(i)}, "data": "digits",
                "status": "finished", "created_at": began + timedelta(seconds=i), "record": made,
                "methods": "|magnitude|quantize|", "tags": f"|tag {i % 7}|", **summary(made),
            })
        with transaction(engine) as session:
            session.execute(insert(RunRow), rows)


def pages(runs: int, repeat: int) -> dict[str, Any]:
    """Time a move of the lab's slider and a visit of the experiments page on a server of their own."""
    library = Library(settings())
    library.prepare(names=["digits"])
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "models").symlink_to(settings().home.resolve() / "models")
        configured = settings().model_copy(update={
            "home": home, "database_url": f"sqlite:///{home / 'secateur.db'}"})
        engine = connect(configured.database_url)
        migrate(engine)
        signed_in = Accounts(engine, configured).sign_up("ada", "Ada", "ada@example.org", PASSPHRASE)
        fill(engine, signed_in.principal.user_id, runs)
        engine.dispose()
        with environment(SECATEUR_JOBS__EXAMPLE="false"), server(home) as (port, process):
            return asyncio.run(_visit(port, process, signed_in.token, repeat))


async def _visit(port: int, process: psutil.Process, token: str, repeat: int) -> dict[str, Any]:
    async with Session(port, token) as tab:
        await tab.open("lab")
        slider = next(name for name in tab.screen.ids if name.endswith(".sparsity")).rpartition("-")[2]
        seen: set[str] = set()

        async def drag(i: int) -> float:
            seconds = await tab.slide(slider, round(0.05 + i * 37 % 90 / 100, 2))
            seen.update(figure for figure in tab.screen.figures if figure.startswith("Packed"))
            return seconds

        lab = await _timed(drag, process, repeat)
        if tab.screen.errors or len(seen) < min(repeat, 5):
            raise AssertionError(f"the estimate did not follow the slider: {tab.screen.errors or seen}")

        async def look(_: int) -> float:
            return await tab.go("experiments")

        listed = await _timed(look, process, repeat)
        if not any(text.startswith("Runs 1 to") for text in tab.screen.texts):
            raise AssertionError("the experiments page did not list the runs")
    return {"slider": lab, "experiments": listed}


async def _timed(step: Callable[[int], Awaitable[float]], process: psutil.Process, repeat: int) -> dict[str, float]:
    await step(0)
    before = process.cpu_times()
    times = [1000 * await step(i) for i in range(1, repeat + 1)]
    after = process.cpu_times()
    spent = after.user + after.system - before.user - before.system
    return {"p50_ms": round(statistics.median(times), 2), "p95_ms": round(statistics.quantiles(times, n=20)[-1], 2),
            "server_cpu_ms": round(1000 * spent / repeat, 2), "n": repeat}


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def listing(runs: int, repeat: int) -> dict[str, Any]:
    """Time the queries of the experiments page on a database of ``runs`` runs of one person."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        configured = Settings(home=home, database_url=f"sqlite:///{home / 'secateur.db'}",
                              storage_url=(home / "artifacts").as_uri())
        engine = connect(configured.database_url)
        migrate(engine)
        accounts = Accounts(engine, configured)
        person = accounts.sign_up("ada", "Ada", "ada@example.org", PASSPHRASE).principal
        fill(engine, person.user_id, runs)
        service = Listing(engine, accounts)
        found = {}
        for name, filters, order, offset in _VIEWS:

            def view(_: int, filters: Filters = filters, order: Any = order, offset: int = offset) -> None:
                service.choices(person)
                _first, total = service.page(person, filters, order, limit=1)
                service.page(person, filters, order, limit=25, offset=offset if offset >= 0 else total + offset)

            found[name] = percentiles(view, repeat)
        engine.dispose()
        return {"runs": runs, "views": found, "p95_ms": max(view["p95_ms"] for view in found.values())}


def estimates(repeat: int) -> dict[str, Any]:
    """Time an estimate for one sparsity after another on the profile of ``digits``."""
    library = Library(settings())
    library.prepare(names=["digits"])
    profile = make_profile(library.artifact("digits"))
    past = history(profile, [record(i) for i in range(80)])

    def drag(i: int) -> None:
        estimate(profile, load_recipe({"steps": [
            {"step": "magnitude", "sparsity": round(0.05 + i % 90 / 100, 2)}, {"step": "quantize", "scheme": "int8"},
        ]}), past)

    return percentiles(drag, repeat)


def main() -> None:
    """Run both and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    result = {"estimate": estimates(chosen.repeat), "experiments": listing(chosen.runs, chosen.repeat),
              "pages": pages(chosen.runs, chosen.repeat)}
    if chosen.json:
        print(json.dumps(result, indent=2))
        return
    print(f"estimate: p50 {result['estimate']['p50_ms']} ms, p95 {result['estimate']['p95_ms']} ms (at most 300)")
    for name, figures in result["experiments"]["views"].items():
        print(f"{chosen.runs} runs, {name}: p50 {figures['p50_ms']} ms, p95 {figures['p95_ms']} ms (at most 1000)")
    for name, title, most in (("slider", "lab, a move of the slider to the new estimate", 300),
                              ("experiments", f"experiments page with {chosen.runs} runs", 1000)):
        figures = result["pages"][name]
        print(f"{title}: p50 {figures['p50_ms']} ms, p95 {figures['p95_ms']} ms (at most {most}), "
              f"{figures['server_cpu_ms']} ms of the server's processor")


if __name__ == "__main__":
    main()
