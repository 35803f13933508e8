"""What earlier steps promised of the weights, kept at every step of a training: zeros and shared values.

The effect is that of TFMOT's pruning- and cluster-preserving schemes (PQAT, CQAT and both), which lose values where
batch norm follows or scales are per channel; here kernels are projected after each step instead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from core.engine.methods.frame import Mask


class Tie:
    """What holds one kernel: places that are zero, and places that share one value.

    Parameters
    ----------
    kernel
        The variable.
    mask
        True where a weight lives, or None.
    shared
        Whether places that hold equal values now must hold equal values always.
    """

    def __init__(self, kernel: Any, mask: Mask | None, shared: bool) -> None:
        self.kernel = kernel
        self.mask = None if mask is None or mask.all() else tf.constant(mask.astype(np.float32))
        self.groups, self.count = None, 0
        if shared:
            values, places = np.unique(kernel.numpy(), return_inverse=True)
            self.groups, self.count = tf.constant(places.ravel().astype(np.int32)), len(values)

    def averaged(self, value: Any) -> Any:
        """Return ``value``, of the kernel's shape, with the mean of each group in all its places, and the zeros."""
        if self.groups is not None:
            means = tf.math.unsorted_segment_mean(tf.reshape(value, [-1]), self.groups, self.count)
            value = tf.reshape(tf.gather(means, self.groups), self.kernel.shape)
        return value if self.mask is None else value * self.mask

    def hold(self) -> None:
        """Put the kernel back where it must be."""
        self.kernel.assign(self.averaged(self.kernel))


def ties(kernels: Mapping[str, Any], masks: Mapping[str, Mask], shared: Collection[str]) -> dict[str, Tie]:
    """Return the tie of each kernel that has one, by the layer's name."""
    return {name: Tie(kernel, masks.get(name), name in shared) for name, kernel in kernels.items()
            if name in shared or (name in masks and not masks[name].all())}
