"""What earlier steps promised of the weights, kept at every step of a training: zeros and shared values.

The effect is that of TFMOT's pruning- and cluster-preserving schemes (PQAT, CQAT and both), which lose values where
batch norm follows or scales are per channel; here kernels are projected after each step instead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from core.engine.methods.frame import Array, Mask


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
    scales
        Output channel to its scale, float32 [channels], where values are shared in units of those.
    """

    def __init__(self, kernel: Any, mask: Mask | None, shared: bool, scales: Sequence[float] | None = None) -> None:
        self.kernel = kernel
        self.mask = None if mask is None or mask.all() else tf.constant(mask.astype(np.float32))
        self.groups, self.count = None, 0
        value = kernel.numpy()
        self.scales = np.ones((), np.float32) if scales is None else _along_channels(value, scales)
        if shared or scales is not None:
            units = value if scales is None else np.rint(value / self.scales)
            values, places = np.unique(units, return_inverse=True)
            self.groups, self.count = tf.constant(places.ravel().astype(np.int32)), len(values)

    def averaged(self, value: Any) -> Any:
        """Return ``value``, of the kernel's shape, with the mean of each group in all its places, and the zeros."""
        if self.groups is not None:
            means = tf.math.unsorted_segment_mean(tf.reshape(value, [-1]), self.groups, self.count)
            value = tf.reshape(tf.gather(means, self.groups), self.kernel.shape)
        return value if self.mask is None else value * self.mask

    def hold(self) -> None:
        """Put the kernel back where it must be."""
        self.kernel.assign(self.averaged(self.kernel / self.scales) * self.scales)


def _along_channels(kernel: Array, scales: Sequence[float]) -> Array:
    """Return scales of the output channels, the last axis or for depthwise kernels the last two, for broadcasting."""
    given = np.array(scales, np.float32)
    return given if given.size == kernel.shape[-1] else given.reshape(kernel.shape[-2:])


def ties(
    kernels: Mapping[str, Any], masks: Mapping[str, Mask], shared: Collection[str],
    grid: Mapping[str, Sequence[float]],
) -> dict[str, Tie]:
    """Return the tie of each kernel that has one, by the layer's name."""
    return {name: Tie(kernel, masks.get(name), name in shared, grid.get(name)) for name, kernel in kernels.items()
            if name in shared or name in grid or (name in masks and not masks[name].all())}
