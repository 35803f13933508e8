"""Varied views of prepared images for distillation, made inside the training step."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

SMALL = 64
"""Sides below this are shifted rather than cropped and resized, which would blur what little there is."""


def augmented(images: Any, seed: Any, mix: bool) -> Any:
    """Return other views of ``images``, float32 [n, h, w, c] in any range.

    Large images are cropped at random (half to all of the area) and mirrored; small ones are shifted by up
    to an eighth. With ``mix``, half the steps blend each image with another one.

    Parameters
    ----------
    seed
        int32 [2]; the same seed gives the same views.
    """
    height = images.shape[1]
    views = _shifted(images, seed) if height < SMALL else _cropped(images, seed)
    return _mixed(views, seed) if mix else views


def _cropped(images: Any, seed: Any) -> Any:
    n = tf.shape(images)[0]
    random = tf.random.stateless_uniform([n, 4], tf.add(seed, (11, 0)))
    side = tf.sqrt(0.5 + 0.5 * random[:, 0])
    top, left = random[:, 1] * (1 - side), random[:, 2] * (1 - side)
    flip = random[:, 3] < 0.5
    boxes = tf.stack([top, tf.where(flip, left + side, left),
                      top + side, tf.where(flip, left, left + side)], axis=1)
    return tf.image.crop_and_resize(images, boxes, tf.range(n), images.shape[1:3])


def _shifted(images: Any, seed: Any) -> Any:
    height, width = images.shape[1:3]
    most = max(1, height // 8)
    padded = tf.pad(images, [[0, 0], [most, most], [most, most], [0, 0]], "SYMMETRIC")
    n = tf.shape(images)[0]
    offsets = tf.random.stateless_uniform([n, 2], tf.add(seed, (13, 0)), 0, 2 * most + 1, tf.int32)
    rows = offsets[:, :1] + tf.range(height)[tf.newaxis]
    columns = offsets[:, 1:] + tf.range(width)[tf.newaxis]
    down = tf.gather(padded, rows, axis=1, batch_dims=1)
    return tf.gather(down, columns, axis=2, batch_dims=1)


def _mixed(images: Any, seed: Any) -> Any:
    random = tf.random.stateless_uniform([2], tf.add(seed, (17, 0)))
    share = tf.where(random[0] < 0.5, 0.5 * random[1], 0.0)
    return images * (1 - share) + tf.roll(images, 1, axis=0) * share
