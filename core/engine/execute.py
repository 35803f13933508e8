"""Carry out one run in this process: ``python -m core.engine.execute FOLDER``.

``FOLDER/request.json`` says what to do. Progress goes to standard output as lines of JSON, the result to
``FOLDER/run.json`` and ``FOLDER/artifacts``. Standard input is held open by the parent; when it closes, the parent
is gone and this process ends at once.
"""

from __future__ import annotations

import json
import math
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.format import open_memmap

from core.datasets import batches, match_labels
from core.datasets.base import Subset
from core.datasets.planning import Plan, plan
from core.engine.parent import end_with_parent, tell, tell_error
from core.errors import SecateurError
from core.experiments.environment import environment
from core.experiments.predictions import Predictions
from core.experiments.runs import RunRequest
from core.experiments.subjects import open_subject
from core.locales import N_
from core.measurement.latency import BUDGET_S
from core.measurement.measuring import measure, predict
from core.measurement.records import Result
from core.recipes import load_recipe
from core.settings import Settings, settings
from core.zoo import Library, ModelCard

if TYPE_CHECKING:
    from core.engine.pipeline import RunResult

BATCH = 32
READ, BASELINE, COMPRESS = 0.04, 0.10, 0.75
BRIEF_S = 1.5
MADE = "made"
Tell = Callable[[str, float, float | None], None]


@dataclass(frozen=True)
class Subject:
    """What a run compresses: the card, its float file, and its data divided."""

    card: ModelCard
    baseline: Path
    plan: Plan
    targets: np.ndarray[Any, np.dtype[np.int64]] | None
    recovery_targets: np.ndarray[Any, np.dtype[np.int64]] | None

    def test_batches(self) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
        """Yield the prepared test images."""
        return batches(self.plan.test, range(len(self.plan.test)), self.card.preprocessing, BATCH)


def read_subject(request: RunRequest, library: Library, configured: Settings) -> Subject:
    """Find the model and divide the data of a request.

    Raises
    ------
    SecateurError
        If the model is not ready, the data cannot be used, or a class folder matches no label.
    """
    name, _, form = request.model.partition(":")
    card = library.card(name)
    recipe = load_recipe(request.recipe)
    data = open_subject(request.data, configured)
    other = None if request.calibration is None else open_subject(request.calibration, configured)
    divided = plan(
        data, request.seed, trains=any(step.trains() for step in recipe.steps), calibration=other, limit=request.limit,
        validates=request.stage != "whole",
    )
    if request.stage == "trial" and divided.validation is not None:
        divided = replace(divided, test=divided.validation)
    targets = recovery_targets = None
    if data.classes is not None:
        matched = match_labels(data, library.labels(card), library.aliases(card))
        targets = matched[divided.test.indices]
        recovery_targets = None if divided.recovery is None else matched[divided.recovery.indices]
    baseline = library.artifact(name, form or card.forms[0])
    return Subject(card, baseline, divided, targets, recovery_targets)


def prepared(part: Subset | None, card: ModelCard, path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Prepare a part's images once into a memory map, float32 ``[n, h, w, c]``; empty for None."""
    shape = card.input.shape
    if part is None:
        return np.empty((0, *shape), np.float32)
    images = open_memmap(path, mode="w+", dtype=np.float32, shape=(len(part), *shape))
    start = 0
    for batch in batches(part, range(len(part)), card.preprocessing, BATCH):
        images[start:start + len(batch)] = batch
        start += len(batch)
    images.flush()
    return images


def carry_out(
    folder: Path, request: RunRequest, configured: Settings, tell: Tell, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    """Compress and measure; write ``folder/artifacts`` and return the record without its id.

    Raises
    ------
    SecateurError
        Whatever stands in the way, ``Cancelled`` included.
    """
    started = time.monotonic()
    library = Library(configured)
    tell(N_("Reading the data"), 0.0, None)
    subject = read_subject(request, library, configured)
    recipe = load_recipe(request.recipe)
    scratch, artifacts = folder / "images", folder / "artifacts"
    scratch.mkdir(exist_ok=True)
    calibration = prepared(subject.plan.calibration, subject.card, scratch / "calibration.npy")
    recovery = prepared(subject.plan.recovery, subject.card, scratch / "recovery.npy")

    tell(N_("Measuring the baseline"), READ, None)
    threads = configured.models.threads
    began = time.monotonic()
    before = predict(subject.baseline, subject.test_batches(), threads)
    measuring_s = 3 * (time.monotonic() - began) + 20

    def on_steps(stage: str, fraction: float, seconds_left: float | None = None) -> None:
        left = None if seconds_left is None else seconds_left + measuring_s
        tell(stage, BASELINE + (COMPRESS - BASELINE) * fraction, left)

    if (folder / MADE / "run.json").is_file():
        made = made_before(folder / MADE, artifacts)
    else:
        # TensorFlow is imported only now, so that a mistake in the data is told at once.
        from core.engine.base import load_base
        from core.engine.pipeline import RunData, run_recipe

        tell(N_("Loading the model"), BASELINE, None)
        made = Made.of(run_recipe(
            load_base(subject.card, configured), recipe,
            RunData(calibration, recovery, subject.recovery_targets, subject.plan.synthetic), artifacts,
            name=subject.card.name, seed=request.seed, progress=on_steps, cancelled=cancelled,
            cache=configured.home / "cache", checkpoints=folder / "checkpoints",
        ))
    tell(N_("Measuring"), COMPRESS, measuring_s)
    began = time.monotonic()
    after = predict(made.tflite, subject.test_batches(), threads)
    result = measure(
        subject.baseline, made.tflite, subject.test_batches, subject.targets, threads=threads, seed=request.seed,
        baseline_probabilities=before, compressed_probabilities=after,
        latency_budget_s=BRIEF_S if request.stage == "trial" else BUDGET_S,
        progress=lambda f: tell(N_("Measuring"), COMPRESS + (1 - COMPRESS) * f, measuring_s * (1 - f)),
    )
    _keep_predictions(subject, before, after, artifacts / "predictions.npz")
    (artifacts / "details.json").write_text(result.details.model_dump_json(), "utf-8")
    seconds = made.seconds | {
        "measure": time.monotonic() - began, "total": time.monotonic() - started,
        "steps": [step["seconds"] for step in made.steps],
    }
    return {
        **({} if request.stage == "whole" else {"stage": request.stage}), "drift": result.details.drift.model_dump(),
        "paired": None if result.details.paired is None else result.details.paired.model_dump(mode="json"),
        "model": request.model, "data": request.data, "calibration": request.calibration, "limit": request.limit,
        "recipe": recipe.model_dump(mode="json"), "seed": request.seed,
        "baseline": result.baseline.model_dump(mode="json"),
        "compressed": result.compressed.model_dump(mode="json"),
        "comparison": result.comparison.model_dump(mode="json"),
        "steps": list(made.steps), "findings": [*made.findings, *_verdicts(result)], "parity": made.parity,
        "seconds": {name: _rounded(value) for name, value in seconds.items()},
        "images": subject.plan.digests(), "environment": environment(threads),
    }


@dataclass(frozen=True)
class Made:
    """A compressed file and how it came to be: the part of a run's record that does not depend on test images."""

    tflite: Path
    steps: tuple[dict[str, Any], ...]
    findings: tuple[dict[str, Any], ...]
    seconds: dict[str, float]
    parity: dict[str, Any]

    @classmethod
    def of(cls, result: RunResult) -> Made:
        """Return what the pipeline made."""
        return cls(result.tflite, result.steps, result.findings, result.seconds, result.parity)


def made_before(folder: Path, artifacts: Path) -> Made:
    """Return what an earlier run made, its files copied from ``folder`` to ``artifacts``."""
    artifacts.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name in ("model.tflite", "model.keras", "recipe.yaml"):
            shutil.copyfile(path, artifacts / path.name)
    record = json.loads((folder / "run.json").read_text("utf-8"))
    verdicts = {"slower", "not-smaller"}
    return Made(
        artifacts / "model.tflite", tuple(record["steps"]),
        tuple(found for found in record["findings"] if found["code"] not in verdicts),
        {"convert": record["seconds"].get("convert", 0.0)}, record["parity"],
    )


def _rounded(value: Any) -> Any:
    return [round(v, 3) for v in value] if isinstance(value, list) else round(value, 3)


def _verdicts(result: Result) -> list[dict[str, Any]]:
    """Say aloud when a recipe made the model slower or not smaller: nobody should have to find out."""
    found = []
    if result.details.latency.verdict == "slower":
        ratio = result.comparison.latency_ratio.value
        found.append({
            "code": "slower", "severity": "warning",
            "message": N_("This recipe made the model {ratio} times slower on this machine."),
            "parameters": {"ratio": f"{1 / ratio:.2f}"},
        })
    if result.comparison.size_ratio <= 1 and result.comparison.gzip_ratio < 1.02:
        found.append({
            "code": "not-smaller", "severity": "warning",
            "message": N_("This recipe did not make the file smaller, not even compressed for a download."),
            "parameters": {},
        })
    return found


def _keep_predictions(subject: Subject, before: Any, after: Any, path: Path) -> None:
    def top(rows: Any) -> tuple[Any, Any]:
        classes = rows.argmax(axis=1)
        return classes.astype(np.int64), rows.max(axis=1).astype(np.float32)

    (baseline, baseline_confidence), (compressed, confidence) = top(before), top(after)
    Predictions(
        np.array(subject.plan.test.ids), subject.targets, baseline, compressed, baseline_confidence, confidence
    ).save(path)


def _numbers(value: Any) -> Any:
    """Return a record in which what is no number is missing: one odd figure must not cost a finished run."""
    if isinstance(value, dict):
        return {key: _numbers(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_numbers(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main(folder: Path) -> int:
    """Carry out the request in ``folder``; return the exit code."""
    end_with_parent()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        request = RunRequest.model_validate_json((folder / "request.json").read_text("utf-8"))
        record = carry_out(
            folder, request, settings(),
            lambda stage, fraction, left: tell(stage=stage, fraction=round(fraction, 4), seconds_left=left),
            stop.is_set,
        )
        (folder / "run.json").write_text(json.dumps(_numbers(record), allow_nan=False), "utf-8")
    except SecateurError as error:
        tell_error(error)
        return 2
    except MemoryError:
        message = N_("The run needed more memory than there is. Use fewer images or a smaller model.")
        tell(error={"message": message, "parameters": {}})
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
