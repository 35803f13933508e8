"""The same four runs on one worker and on two: ``python -m benchmarks.scaling``.

Each run prunes the digits model to 80 % with fine-tuning, in a data folder of its own, with one thread per worker.
The clock starts when the workers are up and have carried out a first run, and stops when the last of the four has
ended. With two processors the best possible is 2; what is lost is shared memory bandwidth, and the writes to one
database.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from core.accounts import LOCAL, Accounts
from core.database import connect, migrate
from core.experiments.runs import Run, RunRequest
from core.experiments.service import Experiments
from core.jobs import Queue
from core.settings import settings
from core.storage import Storage
from core.zoo import Library

RUNS = 4


def request(seed: int, epochs: int) -> RunRequest:
    """Return the run that is repeated."""
    step = {"step": "magnitude", "sparsity": 0.8, "epochs": epochs}
    return RunRequest(model="digits", data="digits", recipe={"name": "scaling", "steps": [step]}, seed=seed)


def wait(experiments: Experiments, runs: list[Run]) -> None:
    """Return when all have finished.

    Raises
    ------
    RuntimeError
        If one ended otherwise.
    """
    while True:
        now = [experiments.run(LOCAL, run.id) for run in runs]
        for run in now:
            if run.status in ("failed", "cancelled"):
                raise RuntimeError(f"{run.status}: {run.error}\n{run.log}")
        if all(run.finished for run in now):
            return
        time.sleep(0.1)


def seconds(workers: int, epochs: int, models: Path) -> float:
    """Return how long the four runs take on so many workers."""
    with tempfile.TemporaryDirectory(prefix="secateur-scaling-") as folder:
        home = Path(folder)
        (home / "models").symlink_to(models)
        # Workers read their settings from the environment, so it has to say the same.
        os.environ |= {"SECATEUR_HOME": folder, "SECATEUR_JOBS__WORKERS": str(workers),
                       "SECATEUR_JOBS__THREADS_PER_WORKER": "1", "SECATEUR_QUOTAS__RUNNING_RUNS": str(workers)}
        settings.cache_clear()
        configured = settings()
        engine = connect(configured.database_url)
        migrate(engine)
        storage = Storage(configured.storage_url)
        queue = Queue(engine, storage, configured)
        experiments = Experiments(engine, storage, Accounts(engine, configured), configured, queue.wake)
        try:
            wait(experiments, experiments.submit(LOCAL, [request(100 + n, 1) for n in range(workers)]))
            started = time.perf_counter()
            wait(experiments, experiments.submit(LOCAL, [request(n, epochs) for n in range(RUNS)]))
            return time.perf_counter() - started
        finally:
            queue.close()
            engine.dispose()


def main() -> None:
    """Print a line per number of workers and a JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    Library(settings()).prepare(names=["digits"])
    models = (settings().home / "models").resolve()
    found = {workers: seconds(workers, options.epochs, models) for workers in (1, 2)}
    for workers, taken in found.items():
        print(f"{RUNS} runs on {workers} worker(s): {taken:.1f} s")
    print(json.dumps({"seconds": found, "speed_up": found[1] / found[2], "cpus": os.cpu_count()}))


if __name__ == "__main__":
    main()
