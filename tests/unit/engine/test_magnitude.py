"""Magnitude pruning does what it says to the weights, in one shot and in training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.engine import shares
from core.engine.methods.frame import Cancelled, kernels, method_for
from core.engine.methods.magnitude import blocks, smallest, two_of_four
from core.engine.probabilities import predict
from core.errors import InputError
from core.recipes import read_step
from tests.unit.engine.digits_case import accuracy, context, images, original, state, zeros


def prune(given=None, surroundings=None, **fields):
    step = read_step({"step": "magnitude", **fields})
    return method_for(step)(step, given or state(), surroundings or context())


def whole(outcome) -> float:
    values = [v.numpy() for v in kernels(outcome.model).values()]
    return sum((v == 0).sum() for v in values) / sum(v.size for v in values)


def test_smallest_drops_exactly_the_smallest_values():
    scores = np.array([[0.3, 0.1], [0.2, 0.4]])
    assert smallest(scores, 0.5).tolist() == [[True, False], [False, True]]


def test_ties_do_not_change_the_number_of_zeros():
    assert (~smallest(np.ones((10, 10)), 0.37)).sum() == 37


def test_blocks_go_together_and_edges_are_cut():
    keep = blocks(np.arange(1.0, 36.0).reshape(7, 5), 0.5, 4, 1)
    assert keep.shape == (7, 5)
    assert not keep[:4].any()
    assert keep[4:].all()


def test_two_of_four_keeps_the_two_largest_along_the_inputs():
    kernel = np.array([[1.0], [4.0], [3.0], [2.0]])
    assert two_of_four(kernel).ravel().tolist() == [False, True, True, False]


@pytest.mark.parametrize("rule", [shares.uniform, shares.smallest_overall, shares.erdos_renyi_kernel])
@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9])
def test_every_rule_meets_the_target(rule, sparsity):
    rng = np.random.default_rng(0)
    shapes = {"a": (3, 3, 3, 16), "b": (1, 1, 64, 128), "c": (256, 10), "d": (3, 3, 64, 64)}
    values = {n: rng.normal(0, 1 + len(s), s) for n, s in shapes.items()}
    fractions = rule(values, sparsity)
    sizes = {n: k.size for n, k in values.items()}
    assert shares.total(fractions, sizes) == pytest.approx(sparsity, abs=0.01)
    assert all(0 <= f <= 0.99 for f in fractions.values())


def test_erk_spares_small_layers():
    values = {"small": np.ones((3, 3, 3, 8)), "large": np.ones((3, 3, 256, 256))}
    fractions = shares.erdos_renyi_kernel(values, 0.8)
    assert fractions["small"] < fractions["large"]


def test_global_takes_more_from_a_layer_of_many_small_weights():
    rng = np.random.default_rng(1)
    peaked = np.where(rng.random((100, 100)) < 0.9, 1e-4, 1.0)
    fractions = shares.smallest_overall({"peaked": peaked, "flat": rng.uniform(0.9, 1, (100, 100))}, 0.4)
    assert fractions["peaked"] > 0.7 > 0.1 > fractions["flat"]


@pytest.mark.parametrize("allocation", ["uniform", "global", "erk", "sensitivity"])
def test_one_shot_reaches_the_sparsity_over_all_layers(allocation, tmp_path):
    outcome = prune(surroundings=context(64, cache=tmp_path), sparsity=0.6, allocation=allocation)
    assert whole(outcome) == pytest.approx(0.6, abs=0.005)


def test_fractions_by_layer_leave_the_other_layers_whole():
    outcome = prune(allocation={"conv2": 0.7})
    assert zeros(kernels(outcome.model)["conv2"]) == pytest.approx(0.7, abs=1e-3)
    assert np.array_equal(kernels(outcome.model)["dense"].numpy(), kernels(original())["dense"].numpy())
    assert set(outcome.masks) == {"conv2"}


def test_a_sensitivity_scan_is_made_once(tmp_path):
    stages = []
    report = lambda fraction, stage="", seconds_left=None: stages.append(stage)  # noqa: E731
    first = prune(surroundings=context(32, cache=tmp_path, progress=report), allocation="sensitivity")
    assert stages
    stages.clear()
    second = prune(surroundings=context(32, cache=tmp_path, progress=report), allocation="sensitivity")
    assert not stages
    assert first.promise == second.promise


def test_training_reaches_the_sparsity_and_keeps_the_accuracy():
    outcome = prune(surroundings=context(1197), sparsity=0.8, epochs=3, schedule="polynomial")
    assert whole(outcome) == pytest.approx(0.8, abs=0.002)
    assert all(type(layer).__name__ != "PruneLowMagnitude" for layer in outcome.model.layers)
    one_shot = accuracy(predict(prune(sparsity=0.8).model, images()["test"][0]))
    assert accuracy(predict(outcome.model, images()["test"][0])) > one_shot + 0.1


def test_training_without_labels_learns_from_the_original():
    outcome = prune(surroundings=context(640, labels=False), sparsity=0.5, epochs=2, schedule="constant")
    assert whole(outcome) == pytest.approx(0.5, abs=0.002)
    assert accuracy(predict(outcome.model, images()["test"][0])) > 0.9


def test_two_of_four_in_training():
    outcome = prune(granularity="2:4", epochs=1)
    assert outcome.promise.two_four == ("conv2", "conv3", "dense", "classifier")
    kernel = kernels(outcome.model)["conv3"].numpy()
    groups = np.moveaxis(kernel, 2, -1).reshape(-1, 4)
    assert ((groups != 0).sum(axis=1) <= 2).all()
    assert outcome.findings[0].parameters == {"layers": "conv1"}


def test_earlier_zeros_stay():
    first = prune(sparsity=0.4)
    later = state()
    later.model.set_weights(first.model.get_weights())
    given = replace(later, masks=first.masks, promise=first.promise)
    second = prune(given, context(320), sparsity=0.7, epochs=1)
    for name, mask in first.masks.items():
        assert not second.masks[name][~mask].any()
    assert whole(second) == pytest.approx(0.7, abs=0.005)


def test_the_original_is_left_alone():
    before = original().get_weights()
    prune(sparsity=0.9)
    assert all(np.array_equal(a, b) for a, b in zip(before, original().get_weights(), strict=True))


def test_training_can_be_cancelled_within_two_steps():
    asked = iter([False, True])
    with pytest.raises(Cancelled):
        prune(surroundings=context(cancelled=lambda: next(asked)), epochs=50)


def test_a_loss_that_is_no_number_says_what_to_do():
    given = state()
    bias = given.model.get_layer("classifier").bias
    bias.assign(np.full(bias.shape, np.nan, np.float32))
    with pytest.raises(InputError, match="learning rate"):
        prune(given, context(64), epochs=1)
