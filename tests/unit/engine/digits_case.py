"""The digits model that ships and its images, for tests of what is done to it."""

from __future__ import annotations

from functools import cache

import numpy as np
import tf_keras

from core.engine.base import load_base
from core.engine.digits import splits
from core.engine.methods.frame import Array, Context, State
from core.settings import settings
from core.zoo import Library


@cache
def original() -> tf_keras.Model:
    """Return the trained model; tests must not change it."""
    card = Library(settings()).card("digits")
    return load_base(card, settings())


@cache
def images() -> dict[str, tuple[Array, Array]]:
    """Return images and targets of train, validation and test."""
    return splits(settings())


def state() -> State:
    """Return a fresh copy of the model, ready for a step."""
    copy = tf_keras.models.clone_model(original())
    copy.set_weights(original().get_weights())
    return State(copy, original())


def context(n: int = 320, labels: bool = True, **changes: object) -> Context:
    """Return the surroundings of a step with the first ``n`` training images."""
    x, y = images()["train"]
    given = {"calibration": x[:n], "recovery": x[:n], "targets": y[:n] if labels else None}
    return Context(**{**given, **changes})


def accuracy(probabilities: Array) -> float:
    """Return the share of the 360 test images that are right."""
    return float((probabilities.argmax(axis=1) == images()["test"][1]).mean())


def zeros(kernel: object) -> float:
    """Return the fraction of a variable that is zero."""
    return float((np.asarray(kernel) == 0).mean())
