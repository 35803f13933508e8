"""Training with rounding, towards the original's answers and the labels; the best moment is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from core.engine.augmentation import augmented
from core.engine.methods.frame import Array, Context
from core.engine.probabilities import compiled, in_batches, logits_of
from core.engine.training_aware.rounding import fit_weights, kernels, wrappers
from core.engine.training_aware.ties import Tie
from core.engine.watching import require_finite
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.quantization_aware_training import QuantizationAwareTraining

FEWEST = 8
_LOOKS = 8  # how often the held-out images are looked at
_WARM_UP = 0.05


@contextmanager
def logits(model: tf_keras.Model) -> Iterator[Callable[..., Any]]:
    """Give a callable whose output is what a model that rounds has before its softmax: int8 is too coarse after it."""
    inside = wrappers(model).get(model.layers[-1].name)
    last = None if inside is None else inside.layer
    if isinstance(last, tf_keras.layers.Softmax) or getattr(last, "activation", None) is tf_keras.activations.softmax:
        yield tf_keras.Model(model.inputs, model.layers[-1].input)
    else:
        with logits_of(model) as call:
            yield call


def train(
    step: QuantizationAwareTraining, model: tf_keras.Model, original: tf_keras.Model, held: Mapping[str, Tie],
    context: Context,
) -> dict[str, Any]:
    """Train a model that rounds in place; return plain data for the record.

    Parameters
    ----------
    held
        What must stay as it is in kernels, by layer.

    Raises
    ------
    InputError
        If there are fewer than 8 images, or training diverges.
    """
    training, judging = _divided(len(context.recovery), context)
    labelled = step.labels and context.targets is not None
    total = step.epochs * -(-len(training) // step.batch_size)
    every = max(1, total // _LOOKS)
    with logits_of(original) as teacher, logits(model) as student:
        one = _training_step(step, model, teacher, student, held, labelled)
        answers = compiled(student)
        expected = tf.nn.softmax(in_batches(compiled(teacher), context.recovery[judging])).numpy()
        targets = context.targets[judging] if labelled and context.targets is not None else None

        def look() -> float:
            fit_weights(model)
            return _loss(in_batches(answers, context.recovery[judging]), expected, targets)

        looks = [{"step": 0, "loss": look()}]
        best = (looks[0]["loss"], 0, [v.numpy() for v in _variables(model)])
        for done, chosen in enumerate(_order(training, step, context), 1):
            context.check_cancelled()
            labels = np.zeros(len(chosen), np.int64) if context.targets is None else context.targets[chosen]
            loss = float(one(tf.constant(context.recovery[chosen], tf.float32), tf.constant(labels, tf.int64),
                             tf.constant([context.seed, done], tf.int32),
                             tf.constant(step.learning_rate * _cosine(done / total), tf.float32)))
            require_finite(loss)
            if done % every == 0 or done == total:
                looks.append({"step": done, "loss": look()})
                if looks[-1]["loss"] < best[0]:
                    best = (looks[-1]["loss"], done, [v.numpy() for v in _variables(model)])
                context.progress(0.15 + 0.7 * done / total, N_("Training with rounding"))
    for variable, value in zip(_variables(model), best[2], strict=True):
        variable.assign(value)
    fit_weights(model)
    return {"looks": looks, "best_step": best[1], "steps": total, "loss_before": looks[0]["loss"],
            "loss_after": best[0], "images": {"training": len(training), "held_out": len(judging)},
            "labels": labelled}


def _variables(model: tf_keras.Model) -> list[Any]:
    """Return all weights and the ranges of activations; ranges of kernels follow from the kernels."""
    return [v for v in model.weights if v.dtype.is_floating]


def _divided(n: int, context: Context) -> tuple[Array, Array]:
    if n < FEWEST:
        raise InputError(N_("Quantization-aware training needs at least {fewest} images and there are {n}. Add some."),
                         fewest=FEWEST, n=n)
    order = context.rng(1).permutation(n)
    held = min(128, max(2, n // 6))
    return np.sort(order[held:]), np.sort(order[:held])


def _order(training: Array, step: QuantizationAwareTraining, context: Context) -> Iterator[Array]:
    rng = context.rng(2)
    for _ in range(step.epochs):
        order = rng.permutation(training)
        for start in range(0, len(order), step.batch_size):
            yield np.sort(order[start: start + step.batch_size])


def _loss(given: Array, expected: Array, targets: Array | None) -> float:
    """Return the mean cross entropy of logits [n, k] to the original's answers, and to the labels if there are any."""
    shifted = given - given.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    soft = float(-(expected * logs).sum(axis=1).mean())
    if targets is None:
        return soft
    return (soft - float(logs[np.arange(len(targets)), targets].mean())) / 2


def _cosine(done: float) -> float:
    if done < _WARM_UP:
        return done / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))


def _training_step(
    step: QuantizationAwareTraining, model: tf_keras.Model, teacher: Callable[..., Any], student: Callable[..., Any],
    held: Mapping[str, Tie], labelled: bool,
) -> Callable[..., Any]:
    """Return the compiled step: (images, targets, seed [2], learning rate) to the loss."""
    optimizer = tf_keras.optimizers.Adam(step.learning_rate, global_clipnorm=1.0)
    variables = model.trainable_variables
    optimizer.build(variables)
    by_kernel = {id(variable): held[name] for name, variable in kernels(model).items() if name in held}

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def one(images: Any, targets: Any, seed: Any, rate: Any) -> Any:
        optimizer.learning_rate.assign(rate)
        images = augmented(images, seed, mix=not labelled)
        soft = tf.nn.softmax(teacher(images, training=False))
        with tf.GradientTape() as tape:
            answers = student(images, training=True)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(soft, answers))
            if labelled:
                hard = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, answers)
                loss = (loss + tf.reduce_mean(hard)) / 2
        gradients = tape.gradient(loss, variables)
        # Places that share a value share its gradient, or Adam would pull each at its own pace.
        gradients = [by_kernel[id(v)].averaged(g) if id(v) in by_kernel and g is not None else g
                     for v, g in zip(variables, gradients, strict=True)]
        optimizer.apply_gradients([(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None])
        for tie in held.values():
            tie.hold()
        return loss

    compiled_step: Callable[..., Any] = one
    return compiled_step
