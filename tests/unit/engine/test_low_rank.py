"""Low-rank factorization: the best factors in the metric of the inputs, and the step on whole models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tf_keras

from core.engine import artifact
from core.engine.convert import to_tflite
from core.engine.facts import model_facts
from core.engine.methods.frame import Context, State, method_for
from core.engine.methods.low_rank import Factors, factorize, with_factors
from core.engine.pipeline import RunData, run_recipe
from core.engine.probabilities import predict
from core.engine.reconstruction.graph import copy_of
from core.engine.reconstruction.solvers import Problem
from core.engine.reconstruction.statistics import Accumulator
from core.errors import InputError
from core.recipes import check, load_recipe, read_step
from tests.unit.engine.digits_case import accuracy, context, images, original
from tests.unit.recipes.test_recipes import FACTS


def factors_of(x, kernel, most=100, **fields):
    sums = Accumulator(1, *kernel.shape)
    outputs = (x @ kernel)[None]
    sums.add(x[None], outputs, outputs)
    return factorize(Problem(kernel[None], sums.moments()), read_step({"step": "low_rank", **fields}), most)


def net() -> tf_keras.Model:
    """Return a net whose 1x1 convolution and dense layer have nearly rank 4 and 3."""
    rng = np.random.default_rng(3)
    inputs = tf_keras.Input((8, 8, 3))
    x = tf_keras.layers.Conv2D(24, 3, padding="same", activation="relu", name="first")(inputs)
    y = tf_keras.layers.Conv2D(24, 1, name="mix")(x)
    x = tf_keras.layers.Add(name="sum")([x, tf_keras.layers.BatchNormalization(name="norm")(y)])
    x = tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = tf_keras.layers.Dense(20, activation="softmax", name="head")(x)
    model = tf_keras.Model(inputs, x)
    low = rng.normal(size=(24, 4)) @ rng.normal(size=(4, 24)) + 0.01 * rng.normal(size=(24, 24))
    model.get_layer("mix").set_weights([low.reshape(1, 1, 24, 24), rng.normal(size=24)])
    model.get_layer("head").set_weights([rng.normal(size=(24, 3)) @ rng.normal(size=(3, 20)), rng.normal(size=20)])
    return model


def surroundings(tmp_path: Path) -> Context:
    x = np.random.default_rng(4).normal(size=(64, 8, 8, 3)).astype(np.float32)
    return Context(x, x, scratch=tmp_path)


def test_the_error_decides_the_rank_and_is_what_is_lost():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(4000, 30)) * np.linspace(0.1, 3, 30)).astype(np.float32)
    kernel = rng.normal(size=(30, 40)).astype(np.float32)
    found = factors_of(x, kernel, error=0.1)
    outputs = x @ kernel + 0.0
    lost = np.square(outputs - x @ found.first @ found.second - found.bias).sum() / np.square(outputs).sum()
    assert found.lost <= 0.1
    assert lost == pytest.approx(found.lost, abs=0.01)


def test_inputs_that_vary_count_more_than_in_a_plain_decomposition():
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(4000, 30)) * np.geomspace(0.01, 3, 30)).astype(np.float32)
    kernel = rng.normal(size=(30, 40)).astype(np.float32)
    found = factors_of(x, kernel, rank=6)
    left, values, right = np.linalg.svd(kernel, full_matrices=False)
    plain = (left[:, :6] * values[:6]) @ right[:6]
    ours = np.square(x @ (kernel - found.first @ found.second)).sum()
    assert ours < 0.5 * np.square(x @ (kernel - plain)).sum()


def test_a_rank_that_saves_nothing_is_not_taken():
    kernel = np.random.default_rng(2).normal(size=(12, 12)).astype(np.float32)
    x = np.random.default_rng(3).normal(size=(500, 12)).astype(np.float32)
    assert factors_of(x, kernel, most=5, error=0.001) is None


def test_two_layers_stand_for_one_and_answer_the_same(tmp_path):
    model = net()
    step = read_step({"step": "low_rank", "error": 0.01})
    outcome = method_for(step)(step, State(copy_of(model), model), surroundings(tmp_path))
    names = [layer.name for layer in outcome.model.layers]
    assert names.index("mix_a") == names.index("mix") - 1
    assert names.index("head_a") == names.index("head") - 1
    assert outcome.model.get_layer("mix_a").kernel.shape == (1, 1, 24, 4)
    assert outcome.model.count_params() < model.count_params()
    x = surroundings(tmp_path).calibration
    np.testing.assert_allclose(outcome.model.predict(x, verbose=0), model.predict(x, verbose=0), atol=0.03)
    rows = {row["layer"]: row for row in outcome.details["layers"]}
    assert rows["mix"]["macs_kept"] == pytest.approx(4 * 48 / 576)
    content = to_tflite(outcome.model, scheme="float32")
    artifact.check_promise(content, outcome.promise.also(distinct={"mix": 96, "mix_a": 96, "head": 60}))


def test_strides_and_padding_stay_with_the_first_of_the_two():
    model = tf_keras.Sequential([tf_keras.Input((9, 9, 16)), tf_keras.layers.Conv2D(
        16, 1, strides=2, padding="same", activation="relu", name="c")])
    kernel = model.get_layer("c").kernel.numpy().reshape(16, 16)
    left, values, right = np.linalg.svd(kernel)
    split = with_factors(model, {"c": Factors(left * values, right, np.zeros(16, np.float32), 0.0)})
    x = np.random.default_rng(0).normal(size=(2, 9, 9, 16)).astype(np.float32)
    np.testing.assert_allclose(split.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-4)


def test_factorized_then_pruned_and_quantized(tmp_path):
    recipe = load_recipe({"name": "x", "steps": [
        {"step": "low_rank", "error": 0.2}, {"step": "magnitude", "sparsity": 0.3},
        {"step": "quantize", "scheme": "int8"}]})
    x = surroundings(tmp_path).calibration
    made = run_recipe(net(), recipe, RunData(x, x), tmp_path / "out")
    assert made.steps[0]["changed"]
    assert made.tflite.exists()


def test_where_nothing_pays_it_says_so(tmp_path):
    rng = np.random.default_rng(5)
    model = net()
    model.get_layer("mix").set_weights([np.eye(24).reshape(1, 1, 24, 24), np.zeros(24)])
    model.get_layer("head").set_weights([rng.normal(size=(24, 20)), np.zeros(20)])
    step = read_step({"step": "low_rank", "error": 1e-6})
    given = State(copy_of(model), model)
    outcome = method_for(step)(step, replace(given), surroundings(tmp_path))
    assert [f.code for f in outcome.findings] == ["nothing-factorized"]
    assert outcome.model is given.model


def test_the_digits_model_runs(tmp_path):
    step = read_step({"step": "low_rank", "ratio": 0.9})
    check(load_recipe({"name": "x", "steps": [step.as_dict()]}), model_facts(original()))
    outcome = method_for(step)(step, State(copy_of(original()), original()), context(scratch=tmp_path))
    assert outcome.model.count_params() < original().count_params()
    assert accuracy(predict(outcome.model, images()["test"][0])) > 0.9


@pytest.mark.parametrize(("steps", "words"), [
    ([{"step": "low_rank", "rank": 3, "ratio": 0.5}], "give one of them"),
    ([{"step": "low_rank", "rank": 9}], "highest rank that saves anything is 8"),
    ([{"step": "magnitude"}, {"step": "low_rank"}], "factorize first"),
])
def test_what_cannot_work_is_refused_before_it_starts(steps, words):
    with pytest.raises(InputError, match=words):
        check(load_recipe({"name": "x", "steps": steps}), FACTS)


def test_nothing_to_factorize_is_refused():
    facts = FACTS.model_copy(update={"layers": FACTS.layers[:2]})
    with pytest.raises(InputError, match="nothing to factorize"):
        check(load_recipe({"name": "x", "steps": [{"step": "low_rank"}]}), facts)
