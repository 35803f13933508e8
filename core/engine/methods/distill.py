"""Distillation from the original model, within a number of minutes.

The loss is that of Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015,
arXiv:1503.02531); teacher and student see the very same augmented image and mixtures of images, after Beyer
et al., "Knowledge distillation: a good teacher is patient and consistent" (CVPR 2022, arXiv:2106.05237).
Batch norm keeps its statistics: a few hundred images are too few to estimate them while weights move.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from core.engine.augmentation import augmented
from core.engine.methods.frame import (
    Array,
    Context,
    Finding,
    Mask,
    Outcome,
    State,
    implements,
    kernels,
)
from core.engine.probabilities import compiled, divergence, in_batches, logits_of, predict
from core.engine.watching import require_finite
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.distill import Distill

FEWEST = 8
_LOOKS = 12  # how often the held-out images are looked at
_WARM_UP = 0.05


@implements("distill")
def apply(step: Distill, state: State, context: Context) -> Outcome:
    """Train ``state.model`` in place towards ``state.original``; its best moment is kept.

    Raises
    ------
    InputError
        If there are fewer than 8 images, or training diverges.
    """
    train, held = _divided(len(context.recovery), context)
    reference = predict(state.original, context.recovery[held])
    with_labels = step.labels and context.targets is not None
    with logits_of(state.original) as teacher, logits_of(state.model) as student:
        one = _training_step(step, state, teacher, student, with_labels)
        answers = compiled(student)

        def look() -> float:
            given = in_batches(answers, context.recovery[held])
            return divergence(reference, tf.nn.softmax(given).numpy())

        story = _train(step, state, context, one, look, train)
    findings = []
    if step.labels and context.targets is None:
        findings.append(Finding("no-labels", N_("The images have no labels: the original's answers alone "
                                                "were the targets.")))
    if story.best_at == 0:
        findings.append(Finding(
            "distillation-no-gain", N_("Distillation for {minutes} minutes brought nothing on the images held "
                                       "out, so the model is as it was. More varied images or more minutes "
                                       "may help."), {"minutes": step.minutes}, "warning"))
    return Outcome(state.model, details=story.as_dict(len(train), len(held)), findings=tuple(findings))


@dataclass
class _Story:
    """What happened: divergence (nats) on the held-out images at each look, and the best of them."""

    looks: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    best_at: int = 0
    weights: list[Array] = field(default_factory=list)
    steps: int = 0

    def look(self, value: float, model: tf_keras.Model, seconds: float) -> None:
        self.looks.append({"step": self.steps, "seconds": round(seconds, 2), "divergence": value})
        if value < self.best:
            self.best, self.best_at, self.weights = value, self.steps, model.get_weights()

    def as_dict(self, train: int, held: int) -> dict[str, Any]:
        return {"looks": self.looks, "best_step": self.best_at, "steps": self.steps,
                "divergence_before": self.looks[0]["divergence"], "divergence_after": self.best,
                "images": {"training": train, "held_out": held}}


def _divided(n: int, context: Context) -> tuple[Array, Array]:
    if n < FEWEST:
        raise InputError(N_("Distillation needs at least {fewest} images and there are {n}. Add some."),
                         fewest=FEWEST, n=n)
    order = context.rng(1).permutation(n)
    held = min(128, max(2, n // 6))
    return np.sort(order[held:]), np.sort(order[:held])


def _train(
    step: Distill, state: State, context: Context, one: Callable[..., Any], look: Callable[[], float],
    train: Array,
) -> _Story:
    """Go on until the minutes, or the steps, are used up; end with the best weights seen."""
    budget, started, story = step.minutes * 60, time.monotonic(), _Story()
    story.look(look(), state.model, 0.0)
    look_seconds = time.monotonic() - started
    order, rng, slowest, looked = np.empty(0, np.int64), context.rng(2), 0.0, 0.0
    while True:
        spent = time.monotonic() - started
        done = story.steps / step.steps if step.steps else (spent + slowest + look_seconds) / budget
        if done >= 1:
            break
        if done - looked >= 1 / _LOOKS:
            looked = done
            story.look(look(), state.model, spent)
        if len(order) < min(step.batch_size, len(train)):
            order = np.concatenate([order, rng.permutation(train)])
        chosen, order = np.sort(order[: step.batch_size]), order[step.batch_size:]
        began = time.monotonic()
        targets = np.zeros(len(chosen), np.int64) if context.targets is None else context.targets[chosen]
        loss = float(one(tf.constant(context.recovery[chosen], tf.float32), tf.constant(targets, tf.int64),
                         tf.constant([context.seed, story.steps], tf.int32),
                         tf.constant(step.learning_rate * _cosine(done), tf.float32)))
        require_finite(loss)
        story.steps += 1
        if story.steps > 1:  # the first one includes the compilation
            slowest = max(slowest, time.monotonic() - began)
        context.check_cancelled()
        left = spent / done * (1 - done) if step.steps and done else budget - spent
        context.progress(done, N_("Distilling"), max(0.0, left))
    story.look(look(), state.model, time.monotonic() - started)
    state.model.set_weights(story.weights)
    return story


def _cosine(done: float) -> float:
    if done < _WARM_UP:
        return done / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))


def _training_step(
    step: Distill, state: State, teacher: Callable[..., Any], student: Callable[..., Any], labels: bool
) -> Callable[..., Any]:
    """Return the compiled step: (images, targets, seed [2], learning rate) to the loss."""
    optimizer = tf_keras.optimizers.Adam(step.learning_rate, global_clipnorm=1.0)
    variables = state.model.trainable_variables
    optimizer.build(variables)
    masked = _masked(state.model, state.masks)
    temperature = float(step.temperature)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def one(images: Any, targets: Any, seed: Any, rate: Any) -> Any:
        optimizer.learning_rate.assign(rate)
        images = augmented(images, seed, mix=not labels)
        soft = tf.nn.softmax(teacher(images, training=False) / temperature)
        with tf.GradientTape() as tape:
            answers = student(images, training=False)
            loss = tf.reduce_mean(
                tf.nn.softmax_cross_entropy_with_logits(soft, answers / temperature)
            ) * temperature**2
            if labels:
                hard = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, answers)
                loss = (loss + tf.reduce_mean(hard)) / 2
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for kernel, mask in masked:
            kernel.assign(kernel * mask)
        return loss

    compiled_step: Callable[..., Any] = one
    return compiled_step


def _masked(model: tf_keras.Model, masks: Mapping[str, Mask]) -> list[tuple[Any, Any]]:
    variables = kernels(model)
    return [(variables[n], tf.constant(m.astype(np.float32))) for n, m in masks.items()]
