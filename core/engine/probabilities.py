"""A classifier's answers before the softmax, which training compares, and after it, which people read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

Array = np.ndarray[Any, np.dtype[Any]]
_SMALLEST = 1e-12


@contextmanager
def logits_of(model: tf_keras.Model) -> Iterator[Callable[..., Any]]:
    """Give a callable like ``model`` whose output is logits, float32 [n, classes].

    A softmax inside the last layer is switched off for the time of the ``with`` block; a softmax layer of
    its own is left out; a model that gives probabilities in another way is followed by a logarithm, which is
    the same up to a constant.
    """
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    if activation is tf_keras.activations.softmax and getattr(last, "kernel", None) is not None:
        last.activation = tf_keras.activations.linear
        try:
            yield model
        finally:
            last.activation = activation
    elif isinstance(last, tf_keras.layers.Softmax) or activation is tf_keras.activations.softmax:
        yield tf_keras.Model(model.inputs, last.input)
    elif _gives_probabilities(model):
        yield lambda x, **options: tf.math.log(model(x, **options) + _SMALLEST)
    else:
        yield model


def compiled(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``call`` in inference mode as a graph, to be traced once and used many times."""
    return tf.function(lambda x: call(x, training=False), reduce_retracing=True)  # type: ignore[no-any-return]


def in_batches(call: Callable[..., Any], images: Array, batch_size: int = 32) -> Array:
    """Return what ``call`` makes of images float32 [n, h, w, c], a batch at a time."""
    return np.concatenate([
        call(tf.constant(np.asarray(images[i: i + batch_size], np.float32))).numpy()
        for i in range(0, len(images), batch_size)])


def predict(model: tf_keras.Model, images: Array, batch_size: int = 32) -> Array:
    """Return the model's outputs, float32 [n, classes], a batch at a time, in inference mode."""
    return in_batches(compiled(model), images, batch_size)


def divergence(reference: Array, other: Array) -> float:
    """Return the mean KL divergence of ``other`` from ``reference``, in nats; both [n, classes]."""
    p, q = np.clip(reference, _SMALLEST, 1), np.clip(other, _SMALLEST, 1)
    return float((p * (np.log(p) - np.log(q))).sum(axis=1).mean())


def _gives_probabilities(model: tf_keras.Model) -> bool:
    shape = [2, *model.input_shape[1:]]
    output = model(tf.random.stateless_normal(shape, seed=(0, 0)), training=False).numpy()
    return bool((output >= 0).all() and np.allclose(output.sum(axis=-1), 1, atol=1e-3))
