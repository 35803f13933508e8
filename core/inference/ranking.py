"""The classes that a model finds most probable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from core.errors import InputError
from core.locales import N_


class Prediction(BaseModel):
    """One class and its probability, 0 to 1."""

    model_config = ConfigDict(frozen=True)

    index: int
    label: str
    probability: float


def rank(probabilities: NDArray[np.float32], labels: Sequence[str],
         top: int = 5) -> list[Prediction]:
    """Return the ``top`` most probable classes, most probable first; ties go to the lower index.

    Parameters
    ----------
    probabilities
        One row, float32 ``[k]``.
    labels
        The names of the ``k`` classes.

    Raises
    ------
    InputError
        If there are not as many labels as classes.
    """
    if probabilities.shape != (len(labels),):
        raise InputError(
            N_("The model has {classes} classes but {labels} labels. Correct its list of labels."),
            classes=probabilities.size, labels=len(labels))
    order = np.argsort(-probabilities, kind="stable")[:max(top, 1)]
    return [Prediction(index=int(i), label=labels[i], probability=float(probabilities[i]))
            for i in order]
