"""The channels step on the digits model, whole, and what it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tf_keras

from core.engine.facts import model_facts
from core.engine.methods.frame import Cancelled, State, method_for
from core.engine.pipeline import RunData, run_recipe
from core.engine.probabilities import divergence, predict
from core.errors import InputError
from core.measurement.macs import total_macs
from core.measurement.tflite_file import read_tflite
from core.recipes import Recipe, check, load_recipe, read_step
from core.recipes.wording import in_words
from tests.unit.engine.channels_case import L
from tests.unit.engine.digits_case import accuracy, context, images, original, state


def carry_out(tmp_path, given=None, surroundings=None, **fields):
    step = read_step({"step": "channels", **fields})
    around = surroundings or context(n=100, scratch=tmp_path, cache=tmp_path / "cache")
    return method_for(step)(step, given or state(), around)


def test_channels_go_and_the_answers_stay(tmp_path):
    before = [w.copy() for w in original().get_weights()]
    outcome = carry_out(tmp_path, macs=0.3, round_to=1)
    whole, left = outcome.details["macs"]
    assert 0.66 < left / whole <= 0.7
    assert outcome.model.count_params() < original().count_params()
    x = images()["test"][0]
    assert accuracy(predict(outcome.model, x)) > accuracy(predict(original(), x)) - 0.02
    assert all((a == b).all() for a, b in zip(before, original().get_weights(), strict=True))
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == []
    json.dumps(outcome.details)
    again = carry_out(tmp_path, macs=0.3, round_to=1)  # from the cache
    for a, b in zip(outcome.model.get_weights(), again.model.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_refitting_by_reconstruction_beats_cutting_by_weight_norm(tmp_path):
    x = images()["test"][0]
    reference = predict(original(), x)
    ours = predict(carry_out(tmp_path, channels=0.5).model, x)
    cut = carry_out(tmp_path, channels=0.5, importance="weight_norm", allocation="uniform", refit=False).model
    assert any(isinstance(layer, L.BatchNormalization) for layer in cut.layers)
    assert divergence(reference, ours) < 0.5 * divergence(reference, predict(cut, x))


@pytest.mark.parametrize(("importance", "allocation"), [
    ("activation", "uniform"), ("batch_norm_scale", "sensitivity")])
def test_each_importance_meets_the_target(tmp_path, importance, allocation):
    outcome = carry_out(tmp_path, channels=0.25, importance=importance, allocation=allocation, round_to=4, refit=False)
    whole, left = outcome.details["channels"]
    assert 0.7 <= left / whole <= 0.75
    assert all(row["kept"] % 4 == 0 for row in outcome.details["layers"])


def test_zeros_of_earlier_steps_stay_and_later_steps_work(tmp_path):
    x, y = images()["train"]
    recipe = load_recipe({"name": "all", "steps": [
        {"step": "magnitude", "sparsity": 0.4}, {"step": "channels", "macs": 0.3},
        {"step": "quantize", "scheme": "int8"}]})
    made = run_recipe(original(), recipe, RunData(x[:100], x[:100], y[:100]), tmp_path)
    assert made.steps[1]["changed"]
    layers = made.steps[1]["details"]["layers"]
    assert any(row["kept"] < row["channels"] for row in layers)
    assert total_macs(read_tflite(made.tflite)) == made.steps[1]["details"]["macs"][1]
    smaller = tf_keras.models.load_model(made.keras)
    assert (smaller.get_layer("dense").kernel.numpy() == 0).mean() > 0.2


def test_it_stops_when_asked(tmp_path):
    with pytest.raises(Cancelled):
        carry_out(tmp_path, surroundings=context(scratch=tmp_path, cancelled=lambda: True))


@pytest.mark.parametrize("given", [{"macs": 0}, {"macs": 0.99}, {"channels": -0.1}, {"round_to": 3},
                                   {"importance": "luck"}])
def test_values_out_of_range_are_refused_with_the_key(given):
    with pytest.raises(InputError) as caught:
        read_step({"step": "channels", **given})
    assert next(iter(given)) in str(caught.value)


def test_a_target_out_of_reach_is_refused_before_any_image_is_read(tmp_path):
    around = context(scratch=tmp_path, calibration=None)
    with pytest.raises(InputError) as caught:
        carry_out(tmp_path, surroundings=around, channels=0.95, round_to=8)
    assert "95%" in str(caught.value)
    assert "Ask for less" in str(caught.value)


def test_a_model_of_one_layer_is_refused_when_the_recipe_is_checked():
    image = L.Input((4,))
    model = tf_keras.Model(image, L.Dense(3, name="only")(image))
    recipe = Recipe(name="x", steps=(read_step({"step": "channels"}),))
    with pytest.raises(InputError) as caught:
        check(recipe, model_facts(model, "tiny"))
    assert "only" in str(caught.value)


def test_a_model_without_removable_channels_is_refused_with_the_layer(tmp_path):
    image = L.Input((4,))
    x = L.LayerNormalization(name="norm")(L.Dense(3, name="first")(image))
    model = tf_keras.Model(image, L.LayerNormalization()(L.Dense(2, name="second")(x)))
    with pytest.raises(InputError) as caught:
        carry_out(tmp_path, given=State(model, model))
    assert "norm" in str(caught.value)


def test_patterns_that_a_refit_would_undo_come_after():
    steps = [{"step": "magnitude", "granularity": "2:4"}, {"step": "channels"}]
    with pytest.raises(InputError) as caught:
        load_recipe({"name": "x", "steps": steps})
    assert "remove channels first" in str(caught.value)


def test_weights_go_by_their_number(tmp_path):
    outcome = carry_out(tmp_path, parameters=0.4, refit=False)
    before, after = outcome.details["parameters"]
    assert 0.5 < after / before <= 0.65


@pytest.mark.slow
def test_time_goes_by_measuring_it(tmp_path):
    outcome = carry_out(tmp_path, latency=0.01, refit=False, round_to=1)
    timed = outcome.details["timed"]
    assert timed
    assert outcome.details["macs"][1] < outcome.details["macs"][0]
    assert all(gone < 1 for _, gone in timed)


def test_two_targets_are_refused():
    with pytest.raises(InputError, match="two targets"):
        load_recipe({"name": "x", "steps": [{"step": "channels", "channels": 0.2, "parameters": 0.2}]})


def test_the_step_in_words():
    recipe = load_recipe({"name": "x", "steps": [{"step": "channels", "channels": 0.3, "round_to": 8}]})
    assert "30% channels" in in_words(recipe)
    assert recipe.steps[0].round_to == "8"


@pytest.mark.slow
@pytest.mark.parametrize(("macs", "points"), [(0.1, 0.02), (0.25, 0.07)])
def test_photos_lose_little(tmp_path, macs, points):
    from benchmarks.methods import photos
    from core.engine.base import load_base
    from core.settings import settings
    from core.zoo import Library

    folder = Path(os.environ.get("SECATEUR_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not (folder / "imagenet-sample-dev.zip").exists():
        pytest.skip("imagenet-sample-dev.zip is not here; SECATEUR_TEST_DATA names its folder")
    subject = photos(Library(settings()), folder / "imagenet-sample-dev.zip", 0)
    model = load_base(subject.card, settings())
    around = context(scratch=tmp_path, cache=settings().home / "cache", calibration=subject.train,
                     recovery=subject.train, targets=None)
    outcome = carry_out(tmp_path, State(model, model), around, macs=macs)
    answers = (predict(m, subject.test).argmax(1) == subject.targets for m in (model, outcome.model))
    before, after = (float(a.mean()) for a in answers)
    assert before - after <= points
