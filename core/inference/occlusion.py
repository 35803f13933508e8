"""Where a model looked: hide one part of the photo after another and watch the probability fall."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import InputError
from core.inference.classifier import Classifier
from core.locales import N_

BUDGET_S = 0.8
_BATCH = 16

# Dark violet to pale yellow: lightness rises steadily, so it reads without colour vision, in print.
_RAMP = np.array([[24, 12, 60], [96, 24, 110], [176, 50, 96], [232, 105, 50], [251, 178, 50],
                  [252, 250, 170]], np.float32)


def grid_for(side: int, one_call_ms: float, budget_s: float = BUDGET_S) -> tuple[int, int]:
    """Return ``(patch, stride)`` in pixels so that the map of a square image stays in the budget.

    Between 7 and 14 positions along a side; the patch covers about a fifth of the side, at least
    two strides, so that an object of usual size is hidden at some position.
    """
    affordable = int((budget_s * 1000 / max(one_call_ms, 0.01)) ** 0.5)
    positions = min(max(affordable, 7), 14, side)
    stride = max(side // positions, 1)
    return min(max(side // 5, 2 * stride, 1), side), stride


def occlusion_map(model: Classifier, prepared: NDArray[np.float32], index: int, patch: int,
                  stride: int) -> NDArray[np.float32]:
    """Return how much the probability of class ``index`` falls when a patch hides each position.

    The method of Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV
    2014, section 4.2. The patch has the photo's mean colour, neutral for any preprocessing.

    Parameters
    ----------
    prepared
        The model's input, float32 ``[h, w, c]``.
    patch, stride
        Side of the patch and distance between its positions, in pixels of the input. Patches are
        centred on a grid and cut at the border.

    Returns
    -------
    float32 ``[rows, columns]`` of differences in probability, -1 to 1; positive where hiding hurts.

    Raises
    ------
    InputError
        If ``index``, ``patch`` or ``stride`` does not fit the model or the image.
    """
    height, width = prepared.shape[:2]
    if not 0 <= index < model.classes or not 1 <= stride <= min(height, width) or patch < 1:
        raise InputError(
            N_("A map of class {index} with a patch of {patch} pixels every {stride} does not fit "
               "this model."), index=index, patch=patch, stride=stride)
    rows = range(stride // 2, height, stride)
    columns = range(stride // 2, width, stride)
    fill = prepared.mean(axis=(0, 1))
    whole = model.predict(prepared[None])[0, index]
    hidden: list[NDArray[np.float32]] = []
    left: list[NDArray[np.float32]] = []
    for y in rows:
        for x in columns:
            image = prepared.copy()
            image[max(y - patch // 2, 0):y + (patch + 1) // 2,
                  max(x - patch // 2, 0):x + (patch + 1) // 2] = fill
            hidden.append(image)
            if len(hidden) == _BATCH:
                left.append(model.predict(np.stack(hidden))[:, index])
                hidden.clear()
    if hidden:
        left.append(model.predict(np.stack(hidden))[:, index])
    drops: NDArray[np.float32] = (whole - np.concatenate(left)).astype(np.float32)
    return drops.reshape(len(rows), len(columns))


def overlay(picture: NDArray[np.uint8], drops: NDArray[np.float32],
            strength: float = 0.6) -> NDArray[np.uint8]:
    """Lay a map over the picture that the model saw; both uint8 RGB ``[h, w, 3]``.

    Dark violet is no effect (or a rise), pale yellow the largest fall on this map.
    """
    height, width = picture.shape[:2]
    gain = np.clip(drops, 0, None)
    top = float(gain.max())
    scaled = gain / top if top > 0 else gain
    smooth = np.asarray(Image.fromarray(scaled.astype(np.float32)).resize(
        (width, height), Image.Resampling.BICUBIC)).clip(0, 1)
    position = smooth * (len(_RAMP) - 1)
    low = np.minimum(position.astype(int), len(_RAMP) - 2)
    share = (position - low)[..., None]
    colour = _RAMP[low] * (1 - share) + _RAMP[low + 1] * share
    grey = picture.mean(axis=2, keepdims=True)
    shown: NDArray[np.uint8] = (grey * (1 - strength) + colour * strength).round().astype(np.uint8)
    return shown
