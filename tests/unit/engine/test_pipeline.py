"""Recipes run to a checked file; what a step breaks, leaves undone or promises in vain is said."""

from __future__ import annotations

import errno
import hashlib
import json
from typing import ClassVar

import numpy as np
import pytest
import tf_keras

from core.engine import pipeline
from core.engine.artifact import answers
from core.engine.methods import frame
from core.engine.methods.frame import Cancelled, Outcome, implements, kernels
from core.engine.pipeline import RunData, run_recipe
from core.errors import InputError, PromiseError, StorageError
from core.locales import N_
from core.measurement.tflite_file import read_tflite
from core.recipes import REGISTRY, Step, describe, load_recipe, setting
from core.recipes.step import register
from tests.unit.engine.digits_case import accuracy, images, original


@pytest.fixture
def toy(monkeypatch):
    """A method as an extension would add it: parameters, and one function."""
    monkeypatch.setattr(frame, "_METHODS", dict(frame._METHODS))
    monkeypatch.setitem(REGISTRY, "halve", None)
    del REGISTRY["halve"]

    @register
    class Halve(Step):
        """Halve the weights of one layer, or say so without doing it."""

        kind: ClassVar[str] = "halve"
        title: ClassVar[str] = N_("Halving")
        help: ClassVar[str] = N_("Halves a kernel.")
        words: ClassVar[str] = N_("halve the weights {times} times")
        times: int = setting(1, title=N_("Times"), help=N_("How often."), ge=0, le=9)
        zeros: float = setting(0.0, title=N_("Zeros"), help=N_("What is promised."), ge=0, le=1)

    @implements("halve")
    def apply(step, state, context):
        kernel = kernels(state.model)["dense"]
        kernel.assign(kernel * 0.5**step.times)
        context.progress(1.0)
        zeros = {"dense": step.zeros} if step.zeros else {}
        return Outcome(state.model, promise=state.promise.also(zeros=zeros), details={"n": step.times})

    return Halve


def data(n: int = 128, labels: bool = True) -> RunData:
    x, y = images()["train"]
    return RunData(x[:n], x[:n], y[:n] if labels else None)


def run(steps, out, **options):
    recipe = load_recipe({"name": "a test", "steps": steps})
    return run_recipe(original(), recipe, options.pop("data", data()), out, name="digits", **options)


def test_prune_and_quantize_to_int8(tmp_path):
    reports = []
    before = original().get_weights()
    result = run([{"step": "magnitude", "sparsity": 0.5, "allocation": "global"}, {"step": "quantize"}],
                 tmp_path / "out", progress=lambda *given: reports.append(given))
    file = read_tflite(result.tflite)
    assert {w.tensor.type for w in file.weights} == {"int8"}
    stored = sum(w.tensor.size for w in file.weights)
    assert sum(w.tensor.nonzero() for w in file.weights) <= 0.5 * stored
    assert accuracy(answers(result.tflite.read_bytes(), images()["test"][0])) > 0.9
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["model.keras", "model.tflite", "recipe.yaml"]
    assert load_recipe(result.recipe).steps[0].sparsity == 0.5
    kept = tf_keras.models.load_model(result.keras, compile=False)
    assert [type(x).__name__ for x in kept.layers] == [type(x).__name__ for x in original().layers]
    assert all(np.array_equal(a, b) for a, b in zip(before, original().get_weights(), strict=True))
    fractions = [fraction for _, fraction, _ in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert all(record["changed"] and record["seconds"] > 0 for record in result.steps)
    assert {row["layer"] for row in result.steps[1]["details"]["layers"]} == set(kernels(original()))
    json.dumps([result.steps, result.findings, result.parity])


def test_many_zeros_are_left_out_of_a_float_file(tmp_path):
    result = run([{"step": "magnitude", "sparsity": 0.8}], tmp_path)
    assert "stored-sparse" in [f["code"] for f in result.findings]
    assert result.tflite.stat().st_size < 0.4 * 4 * original().count_params()
    file = read_tflite(result.tflite)
    assert all(w.tensor.sparsity is not None for w in file.weights)


def test_a_toy_method_runs_and_describes_itself(toy, tmp_path):
    assert {"name": "times", "maximum": 9}.items() <= describe()[-1]["fields"][0].items()
    result = run([{"step": "halve", "times": 2}], tmp_path)
    assert result.steps[0]["details"] == {"n": 2}
    weight = next(w for w in read_tflite(result.tflite).weights if w.is_of("dense"))
    assert np.allclose(weight.tensor.values, original().get_layer("dense").kernel.numpy().T / 4)


def test_a_promise_that_the_file_does_not_keep_fails_the_run_with_the_layer(toy, tmp_path):
    with pytest.raises(PromiseError, match="'dense'"):
        run([{"step": "halve", "zeros": 0.5}], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_step_that_changes_nothing_is_reported(toy, tmp_path):
    result = run([{"step": "halve", "times": 0}], tmp_path)
    assert not result.steps[0]["changed"]
    assert result.steps[0]["findings"][0]["code"] == "changed-nothing"
    assert result.findings[0]["code"] == "changed-nothing"


def test_a_run_goes_on_after_the_last_finished_step(toy, tmp_path, monkeypatch):
    steps = [{"step": "magnitude", "sparsity": 0.5}, {"step": "halve"}]
    whole = run(steps, tmp_path / "whole", seed=5)
    done: list[str] = []
    find = pipeline.method_for

    def once(step):
        done.append(step.kind)
        if step.kind == "halve" and done.count("halve") == 1:
            raise KeyboardInterrupt
        return find(step)

    monkeypatch.setattr(pipeline, "method_for", once)
    with pytest.raises(KeyboardInterrupt):
        run(steps, tmp_path / "out", seed=5, checkpoints=tmp_path / "kept")
    resumed = run(steps, tmp_path / "out", seed=5, checkpoints=tmp_path / "kept")
    assert done == ["magnitude", "halve", "halve"]
    assert digest(resumed.tflite) == digest(whole.tflite)
    assert not (tmp_path / "kept").exists()


def digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_cancelling_leaves_nothing(tmp_path):
    with pytest.raises(Cancelled):
        run([{"step": "magnitude"}], tmp_path, cancelled=lambda: True)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_a_storage_error_and_leaves_nothing(toy, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pipeline.os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        run([{"step": "halve"}], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_recipe_that_does_not_fit_the_model_is_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="'conv3'"):
        run([{"step": "magnitude", "allocation": {"conv33": 0.5}}], tmp_path)


def test_quantizing_without_images_says_so(tmp_path):
    none = RunData(np.zeros((0, 8, 8, 1), np.float32), np.zeros((0, 8, 8, 1), np.float32))
    with pytest.raises(InputError, match="calibration"):
        run([{"step": "quantize"}], tmp_path, data=none)
