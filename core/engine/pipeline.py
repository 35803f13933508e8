"""From a model and a recipe to the file that ships, one verified step after the other."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tf_keras

from core.engine import artifact
from core.engine.checkpoint import Checkpoints, identity
from core.engine.convert import to_tflite
from core.engine.facts import model_facts
from core.engine.memory import release
from core.engine.methods.frame import Array, Context, Finding, Outcome, State, method_for
from core.engine.probabilities import predict
from core.errors import PromiseError, SecateurError, StorageError
from core.locales import N_
from core.recipes import Recipe, Step, check


class RunProgress(Protocol):
    """Called often: what is going on (a text marked with ``N_``), how much of the run is done, seconds left."""

    def __call__(self, stage: str, fraction: float, seconds_left: float | None = None) -> None:
        """Report."""


def _silent(stage: str, fraction: float, seconds_left: float | None = None) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class RunData:
    """Prepared images that a recipe may use; none of them may be tested on.

    Attributes
    ----------
    calibration, recovery
        float32 [n, h, w, c]; arrays or memory maps.
    targets
        Classes of the recovery images as the model numbers them, int64 [n], or None.
    synthetic
        Whether the calibration images are crops of bundled photos.
    """

    calibration: Array
    recovery: Array
    targets: Array | None = None
    synthetic: bool = False


@dataclass(frozen=True)
class RunResult:
    """What a recipe made.

    Attributes
    ----------
    tflite, keras, recipe
        The files ``model.tflite``, ``model.keras`` (plain, without wrappers; before quantization) and
        ``recipe.yaml``.
    steps
        One record per step: ``step``, ``seconds``, ``changed``, ``findings``, ``details``.
    findings
        About the run as a whole, in the same form as those of a step.
    seconds
        ``total`` and ``convert``; those of the steps are in their records.
    parity
        How close the file's answers are to the Keras model's.
    """

    tflite: Path
    keras: Path
    recipe: Path
    steps: tuple[dict[str, Any], ...]
    findings: tuple[dict[str, Any], ...]
    seconds: dict[str, float]
    parity: dict[str, Any] = field(default_factory=dict)


def run_recipe(
    model: tf_keras.Model,
    recipe: Recipe,
    data: RunData,
    out: Path,
    *,
    name: str = "",
    seed: int = 0,
    progress: RunProgress = _silent,
    cancelled: Callable[[], bool] = lambda: False,
    cache: Path | None = None,
    checkpoints: Path | None = None,
) -> RunResult:
    """Carry out ``recipe`` on ``model``, which is left as it is.

    Parameters
    ----------
    out
        The folder that receives the files; nothing is left in it if the run fails.
    name
        The model's name in messages.
    cancelled
        Asked between steps, layers and training steps.
    cache
        A folder for what depends on model and data only and may be reused by other runs.
    checkpoints
        A folder that outlives a lost process: a run with the same model, recipe, seed and images goes on
        after the last step finished there. Emptied at the end of a run.

    Raises
    ------
    InputError
        If the recipe cannot work on this model or these images.
    PromiseError
        If the file does not keep what a step promised; the message names the layer.
    Cancelled
        If ``cancelled`` said so.
    StorageError
        If the disk refuses.
    """
    check(recipe, model_facts(model, name))
    started = time.monotonic()
    tf.config.experimental.enable_op_determinism()
    out.mkdir(parents=True, exist_ok=True)
    scratch = out / ".scratch"
    kept = Checkpoints(checkpoints or scratch / "checkpoints",
                       identity(model, recipe, seed, {"c": data.calibration, "r": data.recovery}))
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        run = _Run(recipe, data, seed, progress, cancelled, cache, scratch, started)
        state, records = kept.load(State(_copy(model), model))
        content, state = run.steps(state, records, kept if checkpoints else None)
        result = run.finish(state, content, records, out)
    except BaseException as error:
        for leftover in ("model.tflite", "model.keras", "recipe.yaml"):
            (out / leftover).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StorageError(
                N_("The disk refused while the run was writing: {reason}. Free some space and run it again."),
                reason=error.strerror or type(error).__name__) from error
        if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
            raise SecateurError(
                N_("The run needed more memory than there is. Use fewer images, or a smaller batch size.")
            ) from error
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    kept.clear()
    return result


def _copy(model: tf_keras.Model) -> tf_keras.Model:
    copy = tf_keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


@dataclass
class _Run:
    """One run under way."""

    recipe: Recipe
    data: RunData
    seed: int
    progress: RunProgress
    cancelled: Callable[[], bool]
    cache: Path | None
    scratch: Path
    started: float
    convert_seconds: float = 0.0

    def steps(
        self, state: State, records: list[dict[str, Any]], kept: Checkpoints | None
    ) -> tuple[bytes, State]:
        """Do the steps that have no record yet; return the file and the last state.

        Only the last step's model is converted: zeros and patterns that an earlier step promised are promised
        still at the end, and looked for in the file that ships.
        """
        content: bytes | None = None
        for index in range(len(records), len(self.recipe.steps)):
            context = self._context(index)
            context.check_cancelled()
            tf_keras.utils.set_random_seed(self.seed + index)
            step = self.recipe.steps[index]
            before, began = state, time.monotonic()
            weights = {w.name: w.numpy() for w in state.model.weights}
            outcome = method_for(step)(step, state, context)
            state, content = _after(state, outcome), outcome.artifact
            seconds = time.monotonic() - began
            records.append(_record(step, outcome, seconds, _changed(before, weights, state)))
            if kept is not None and content is None:
                kept.save(state, records)
            del before, weights, outcome
            release()
        return content or self._converted(state), state

    def finish(
        self, state: State, content: bytes, records: list[dict[str, Any]], out: Path
    ) -> RunResult:
        """Check the file once more as a whole and write everything."""
        self.progress(N_("Checking the file"), 0.97, None)
        images = artifact.sample(self.data.calibration)
        expected = predict(state.model, images)
        content, told = artifact.stored_sparse(state.model, content, state.promise, images)
        artifact.check_promise(content, state.promise)
        parity, more = artifact.check_answers(content, state.promise, expected, images)
        if not any(record["changed"] for record in records):
            more = (*more, Finding(
                "changed-nothing", N_("The recipe changed nothing: every weight and every type is as it was."),
                {}, "warning"))
        files = {"model.tflite": content, "recipe.yaml": self.recipe.to_yaml().encode()}
        for file, value in files.items():
            _write(out / file, value)
        keras = self.scratch / "model.keras"
        state.model.save(keras)
        keras.replace(out / "model.keras")
        self.progress(N_("Done"), 1.0, 0.0)
        return RunResult(
            out / "model.tflite", out / "model.keras", out / "recipe.yaml", tuple(records),
            tuple(f.as_dict() for f in (*told, *more)),
            {"total": time.monotonic() - self.started, "convert": self.convert_seconds},
            parity.model_dump())

    def _converted(self, state: State) -> bytes:
        began = time.monotonic()
        content = to_tflite(state.model, scheme="float32")
        self.convert_seconds += time.monotonic() - began
        return content

    def _context(self, index: int) -> Context:
        count = len(self.recipe.steps)

        def report(fraction: float, stage: str = "", seconds_left: float | None = None) -> None:
            done = 0.95 * (index + min(1.0, max(0.0, fraction))) / count
            left = seconds_left
            if index + 1 < count or left is None:
                spent = time.monotonic() - self.started
                left = spent / done * (1 - done) if done > 0.05 else None
            self.progress(stage or self.recipe.steps[index].title, done, left)

        report(0.0)
        scratch = self.scratch / f"step-{index}"
        scratch.mkdir()
        return Context(self.data.calibration, self.data.recovery, self.data.targets, self.seed + index,
                       report, self.cancelled, scratch, self.cache, self.data.synthetic)


def _after(state: State, outcome: Outcome) -> State:
    masks = state.masks if outcome.masks is None else outcome.masks
    promise = state.promise if outcome.promise is None else outcome.promise
    if not all(np.isfinite(w).all() for w in outcome.model.get_weights()):
        raise PromiseError(N_("A step left weights that are no numbers. Use a lower learning rate."))
    return State(outcome.model, state.original, masks, promise)


def _changed(before: State, weights: dict[str, Array], after: State) -> bool:
    if after.promise.scheme != before.promise.scheme:
        return True
    now = {w.name: w.numpy() for w in after.model.weights}
    return now.keys() != weights.keys() or any(
        not np.array_equal(now[n], weights[n]) for n in now)


def _record(step: Step, outcome: Outcome, seconds: float, changed: bool) -> dict[str, Any]:
    findings = list(outcome.findings)
    if not changed:
        findings.append(Finding(
            "changed-nothing", N_("The step '{kind}' changed nothing: every weight is as it was."),
            {"kind": step.kind}, "warning"))
    return {"step": step.as_dict(), "seconds": round(seconds, 3), "changed": changed,
            "findings": [f.as_dict() for f in findings], "details": dict(outcome.details)}


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
