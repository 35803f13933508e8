"""The reconstruction and recalibrate steps on the digits model, whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tf_keras

from core.engine.methods.frame import Cancelled, kernels, method_for
from core.engine.methods.reconstruction import chosen_images, fitted_on
from core.engine.probabilities import divergence, predict
from core.engine.reconstruction.adapted import batch_norms, reestimate
from core.engine.reconstruction.fold import fold
from core.errors import InputError
from core.recipes import read_step
from tests.unit.engine.digits_case import accuracy, context, images, original, state, zeros
from tests.unit.engine.test_reconstruction_parts import batches, conv_net
from tests.unit.engine.test_reconstruction_parts import images as noise


def carry_out(kind, tmp_path, given=None, surroundings=None, **fields):
    step = read_step({"step": kind, **fields})
    around = surroundings or context(scratch=tmp_path, cache=tmp_path / "cache")
    return method_for(step)(step, given or state(), around)


def kernel_values(model) -> dict[str, np.ndarray]:
    return {name: variable.numpy() for name, variable in kernels(model).items()}


@pytest.mark.parametrize("allocation", ["uniform", "global", "erk", "sensitivity"])
def test_the_target_is_met_exactly_and_masks_tell_the_zeros(tmp_path, allocation):
    before = [w.copy() for w in original().get_weights()]
    outcome = carry_out("reconstruction", tmp_path, sparsity=0.6, allocation=allocation)
    values = kernel_values(outcome.model)
    total = sum(v.size for v in values.values())
    assert sum((v == 0).sum() for v in values.values()) == round(0.6 * total)
    for name, mask in outcome.masks.items():
        assert not values[name][~mask].any()
        assert outcome.promise.zeros.get(name, 0.0) <= zeros(values[name]) + 1e-9
    assert {row["layer"] for row in outcome.details["layers"]} == set(values)
    assert all(np.isfinite(row["relative_error"]) for row in outcome.details["layers"])
    assert all((a == b).all() for a, b in zip(before, original().get_weights(), strict=True))
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == []


def test_it_stays_closer_to_the_original_than_magnitude(tmp_path):
    x = images()["test"][0]
    reference = predict(original(), x)
    given = {"sparsity": 0.7, "allocation": "uniform"}
    ours = predict(carry_out("reconstruction", tmp_path, **given).model, x)
    plain = predict(carry_out("magnitude", tmp_path, epochs=0, **given).model, x)
    assert divergence(reference, ours) < 0.5 * divergence(reference, plain)
    assert accuracy(ours) >= accuracy(plain)
    assert accuracy(ours) > accuracy(reference) - 0.05


def test_explicit_fractions_leave_the_other_layers_whole(tmp_path):
    name, other = list(kernels(original()))[-1], next(iter(kernels(original())))
    outcome = carry_out("reconstruction", tmp_path, allocation={name: 0.25})
    values = kernel_values(outcome.model)
    assert (values[name] == 0).sum() == round(0.25 * values[name].size)
    assert (values[other] != 0).any()
    assert outcome.masks[other].all()


def test_earlier_zeros_stay(tmp_path):
    first = carry_out("magnitude", tmp_path, sparsity=0.3, allocation="uniform", epochs=0)
    given = replace(state(), model=first.model, masks=first.masks, promise=first.promise)
    second = carry_out("reconstruction", tmp_path, given, sparsity=0.6, allocation="uniform")
    values = kernel_values(second.model)
    for name, mask in first.masks.items():
        assert not values[name][~mask].any()
        assert (values[name] == 0).sum() == round(0.6 * mask.size)


def test_the_profile_is_measured_once(tmp_path):
    heard: list[str] = []
    around = context(scratch=tmp_path, cache=tmp_path / "cache",
                     progress=lambda fraction, stage="", left=None: heard.append(stage))
    one = carry_out("reconstruction", tmp_path, surroundings=around, sparsity=0.5)
    first = heard.count("Measuring sensitivity")
    heard.clear()
    two = carry_out("reconstruction", tmp_path, surroundings=around, sparsity=0.5)
    assert first > 1 == heard.count("Measuring sensitivity")
    for a, b in zip(one.model.get_weights(), two.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_cancelled_run_stops_in_the_middle_and_leaves_no_file(tmp_path):
    calls = 0

    def cancelled() -> bool:
        nonlocal calls
        calls += 1
        return calls > 30

    with pytest.raises(Cancelled):
        carry_out("reconstruction", tmp_path, surroundings=context(scratch=tmp_path, cancelled=cancelled),
                  allocation="uniform")
    assert calls == 31
    assert not list(tmp_path.iterdir())


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(InputError, match="at least 8"):
        carry_out("reconstruction", tmp_path, surroundings=context(n=5, scratch=tmp_path))


@pytest.mark.parametrize(("n", "most", "views"), [(10, 500, 10), (10, 14, 4), (10, 8, 0)])
def test_few_photos_are_joined_by_one_view_of_each(n, most, views):
    around = context(calibration=np.random.default_rng(0).random((n, 64, 64, 3)).astype(np.float32))
    chosen = chosen_images(most, around)
    pictures = fitted_on(chosen, most, around)
    assert len(pictures) - len(chosen) == views
    assert sum(len(batch) for batch in pictures.batches()) == len(pictures)


@pytest.mark.parametrize("small", [False, True])
def test_small_images_and_crops_are_joined_by_none(small):
    side = 32 if small else 64
    photos = np.random.default_rng(0).random((30, side, side, 3)).astype(np.float32)
    around = replace(context(calibration=photos), synthetic=not small)
    chosen = chosen_images(50, around)
    assert len(fitted_on(chosen, 50, around)) == len(chosen) == (30 if small else 500)


def test_nothing_to_prune_is_refused(tmp_path):
    inputs = tf_keras.Input((8, 8, 1))
    model = tf_keras.Model(inputs, tf_keras.layers.Flatten()(inputs))
    with pytest.raises(InputError, match="no convolution"):
        carry_out("reconstruction", tmp_path, replace(state(), model=model, original=model))


def test_batch_norm_gets_the_moments_of_all_images(tmp_path):
    model, data = conv_net(), noise(40)
    moved = reestimate(model, batches(data), tmp_path)
    assert len(moved) == 4
    for operation in batch_norms(model):
        layer = operation.layer
        inside = tf_keras.Model(model.input, layer.input)(data).numpy()
        np.testing.assert_allclose(layer.moving_mean, inside.mean((0, 1, 2)), atol=1e-2)
        np.testing.assert_allclose(layer.moving_variance, inside.var((0, 1, 2)), rtol=2e-2, atol=1e-3)


def test_recalibration_repairs_batch_norm_after_magnitude(tmp_path):
    model = conv_net()
    reestimate(model, batches(noise(64)), tmp_path)
    pruned = tf_keras.models.clone_model(model)
    pruned.set_weights(model.get_weights())
    for variable in kernels(pruned).values():
        value = variable.numpy()
        variable.assign(np.where(np.abs(value) < np.quantile(np.abs(value), 0.7), 0, value))
    masks = {name: v.numpy() != 0 for name, v in kernels(pruned).items()}
    given = replace(state(), model=pruned, original=model, masks=masks)
    around = context(scratch=tmp_path, calibration=noise(64))
    test = noise(64, seed=9)
    wanted = predict(model, test)
    damage = divergence(wanted, predict(pruned, test))
    for method in ("batch_norm", "bias", "auto"):
        outcome = carry_out("recalibrate", tmp_path, given, around, method=method)
        assert divergence(wanted, predict(outcome.model, test)) < damage
        values = kernel_values(outcome.model)
        assert all(not values[name][~mask].any() for name, mask in masks.items())


def test_bias_correction_undoes_a_shift(tmp_path):
    reference = fold(original()).model
    shifted = fold(original()).model
    first = next(layer for layer in shifted.layers if layer.name in kernels(shifted))
    first.bias.assign_add(np.full(first.bias.shape, 0.3, np.float32))
    given = replace(state(), model=shifted, original=reference)
    outcome = carry_out("recalibrate", tmp_path, given, method="bias")
    np.testing.assert_allclose(outcome.model.get_layer(first.name).bias, reference.get_layer(first.name).bias,
                               atol=0.02)


def test_distinct_values_survive_recalibration(tmp_path):
    model = fold(original()).model
    name, variable = list(kernels(model).items())[-1]
    variable.assign(np.round(variable.numpy() * 4) / 4)
    before = len(np.unique(variable.numpy()))
    given = replace(state(), model=model)
    given = replace(given, promise=given.promise.also(distinct={name: before}))
    outcome = carry_out("recalibrate", tmp_path, given, method="bias")
    assert len(np.unique(kernel_values(outcome.model)[name])) == before


def test_a_model_of_another_shape_is_not_matched(tmp_path):
    inputs = tf_keras.Input((8, 8, 1))
    dense = tf_keras.layers.Dense(10, activation="softmax")(tf_keras.layers.Flatten()(inputs))
    with pytest.raises(InputError, match="no longer have the shapes"):
        carry_out("recalibrate", tmp_path, replace(state(), model=tf_keras.Model(inputs, dense)), method="bias")


def test_pictures_of_another_kind_serve_a_network_made_at_home_on_them(tmp_path):
    model = conv_net()
    reestimate(model, batches(noise(64)), tmp_path)
    given = replace(state(), model=model, original=model)
    around = context(scratch=tmp_path, calibration=(0.3 * noise(64, seed=5) + 0.7).astype(np.float32))
    test = noise(64, seed=9)
    harm = []
    for synthetic in (False, True):
        outcome = carry_out("reconstruction", tmp_path, given, replace(around, synthetic=synthetic), sparsity=0.6,
                            allocation="uniform")
        assert all(zeros(kernel_values(outcome.model)[name]) >= share
                   for name, share in outcome.promise.zeros.items())
        harm.append(divergence(predict(model, test), predict(outcome.model, test)))
    assert harm[1] < 0.5 * harm[0], harm
