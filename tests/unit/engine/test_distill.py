"""Distillation recovers, keeps zeros, keeps its time, and never ends worse than it began."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from core.engine.augmentation import augmented
from core.engine.methods.frame import Cancelled, kernels, method_for
from core.engine.probabilities import divergence, logits_of, predict
from core.errors import InputError
from core.recipes import read_step
from tests.unit.engine.digits_case import accuracy, context, images, original, state


def pruned(sparsity=0.6):
    step = read_step({"step": "magnitude", "sparsity": sparsity})
    given = state()
    outcome = method_for(step)(step, given, context())
    return replace(given, masks=outcome.masks, promise=outcome.promise)


def distill(given, surroundings=None, **fields):
    step = read_step({"step": "distill", **fields})
    return method_for(step)(step, given, surroundings or context())


def test_unlabelled_images_bring_the_answers_back_and_zeros_stay():
    given = pruned()
    before = predict(given.model, images()["test"][0])
    outcome = distill(given, context(640, labels=False), steps=60, learning_rate=1e-3)
    after = predict(outcome.model, images()["test"][0])
    target = predict(original(), images()["test"][0])
    assert divergence(target, after) < 0.5 * divergence(target, before)
    assert accuracy(after) > accuracy(before)
    for name, kernel in kernels(outcome.model).items():
        assert not kernel.numpy()[~given.masks[name]].any()
    details = outcome.details
    assert details["steps"] == 60
    assert details["divergence_after"] < details["divergence_before"]
    assert outcome.model.get_layer("classifier").activation is tf_keras.activations.softmax


def test_a_destructive_rate_leaves_the_model_as_it_was_and_says_so():
    given = pruned(0.05)
    before = given.model.get_weights()
    outcome = distill(given, steps=12, learning_rate=1.0, labels=True)
    assert outcome.details["best_step"] == 0
    assert all(np.array_equal(a, b) for a, b in zip(before, outcome.model.get_weights(), strict=True))
    assert "distillation-no-gain" in [f.code for f in outcome.findings]


def test_minutes_are_kept():
    given, lefts = pruned(), []
    began = time.monotonic()
    outcome = distill(given, context(
        64, progress=lambda fraction, stage="", seconds_left=None: lefts.append(seconds_left)), minutes=0.1)
    looks = outcome.details["looks"]
    assert looks[-1]["seconds"] <= time.monotonic() - began
    assert lefts == sorted(lefts, reverse=True)


def test_cancelling_takes_at_most_two_steps():
    asked = iter([False, True])
    with pytest.raises(Cancelled):
        distill(pruned(), context(cancelled=lambda: next(asked)), minutes=10)
    assert original().get_layer("classifier").activation is tf_keras.activations.softmax


def test_too_few_images():
    with pytest.raises(InputError, match="at least 8"):
        distill(state(), context(7))


@pytest.mark.parametrize("end", ["activation", "layer", "none", "function"])
def test_logits_are_what_softmax_takes(end):
    given = tf_keras.Input((5,))
    dense = tf_keras.layers.Dense(3, activation="softmax" if end == "activation" else None)(given)
    out = {"layer": lambda x: tf_keras.layers.Softmax()(x),
           "function": lambda x: tf_keras.layers.Activation("softmax")(x)}.get(end, lambda x: x)(dense)
    model = tf_keras.Model(given, out)
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    with logits_of(model) as logits:
        found = logits(x, training=False).numpy()
    expected = x @ model.layers[1].kernel.numpy()
    assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("side", [8, 96])
@pytest.mark.parametrize("mix", [False, True])
def test_views_are_repeatable_and_in_range(side, mix):
    x = np.random.default_rng(0).uniform(-1, 1, (4, side, side, 3)).astype(np.float32)
    seed = tf.constant([1, 2])
    first, second = augmented(x, seed, mix).numpy(), augmented(x, seed, mix).numpy()
    assert np.array_equal(first, second)
    assert first.shape == x.shape
    assert np.abs(first).max() <= 1
    assert not np.array_equal(first, augmented(x, seed + 1, mix).numpy())
