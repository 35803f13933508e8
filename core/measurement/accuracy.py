"""How often a model is right, with the range that the number of images leaves open."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from core.errors import InputError
from core.locales import N_
from core.measurement.calibration import Probabilities, Targets, expected_calibration_error
from core.measurement.statistics import Interval, wilson

TOP = 5


class Accuracy(BaseModel):
    """The accuracy part of a run's record; top1 and top5 carry Wilson intervals."""

    model_config = ConfigDict(frozen=True)

    n: int
    top1: Interval
    top5: Interval
    ece: float


class ClassAccuracy(BaseModel):
    """How one class fares: recall with its interval, and how often the class is claimed."""

    model_config = ConfigDict(frozen=True)

    index: int
    n: int
    recall: Interval
    predicted: int


def check(probabilities: Probabilities, targets: Targets | None = None) -> None:
    """Refuse arrays that no accuracy can be computed from.

    Raises
    ------
    InputError
        If there is no image, a value is not finite, or a target is not a class of the model.
    """
    if probabilities.ndim != 2 or 0 in probabilities.shape:
        raise InputError(N_("There is no image to measure on. Choose data that holds some."))
    if not np.isfinite(probabilities).all():
        raise InputError(
            N_(
                "The model answers with values that are not numbers. "
                "Its weights are damaged; make it again."
            )
        )
    if targets is None:
        return
    n, k = probabilities.shape
    if len(targets) != n:
        raise InputError(
            N_("{images} images came with {targets} labels. Give one label for each image."),
            images=n,
            targets=len(targets),
        )
    if targets.min() < 0 or targets.max() >= k:
        raise InputError(
            N_(
                "A label is outside the model's {classes} classes. "
                "Match the data's labels to the model's."
            ),
            classes=k,
        )


def answers(probabilities: Probabilities) -> npt.NDArray[np.int64]:
    """Return int64 [n], the class of the largest probability; the first one of a tie."""
    return np.asarray(probabilities.argmax(axis=1), np.int64)


def ranks(probabilities: Probabilities, targets: Targets) -> npt.NDArray[np.int64]:
    """Return int64 [n], how many classes are ranked before the right one.

    Ties, which quantized outputs are full of, go to the lower index, as ``argmax`` has it.
    """
    own = probabilities[np.arange(len(targets)), targets][:, None]
    before = np.arange(probabilities.shape[1])[None, :] < targets[:, None]
    ahead = (probabilities > own) | ((probabilities == own) & before)
    return np.asarray(ahead.sum(axis=1), np.int64)


def accuracy(probabilities: Probabilities, targets: Targets) -> Accuracy:
    """Score probabilities [n, k] against int64 targets [n].

    With fewer than five classes "top5" is the share of answers among all classes, hence 1.

    Raises
    ------
    InputError
        As ``check`` does.
    """
    check(probabilities, targets)
    rank = ranks(probabilities, targets)
    n = len(targets)
    return Accuracy(
        n=n,
        top1=wilson(int((rank == 0).sum()), n),
        top5=wilson(int((rank < TOP).sum()), n),
        ece=expected_calibration_error(probabilities, targets),
    )


def per_class(probabilities: Probabilities, targets: Targets) -> list[ClassAccuracy]:
    """Return one row per class that occurs in ``targets``, in the order of the classes."""
    check(probabilities, targets)
    predicted = answers(probabilities)
    rows = []
    for index in np.unique(targets):
        members = targets == index
        n = int(members.sum())
        rows.append(
            ClassAccuracy(
                index=int(index),
                n=n,
                recall=wilson(int((predicted[members] == index).sum()), n),
                predicted=int((predicted == index).sum()),
            )
        )
    return rows


def confusion(probabilities: Probabilities, targets: Targets) -> npt.NDArray[np.int64]:
    """Return int64 [k, k]: images of class row that the model calls column."""
    check(probabilities, targets)
    k = probabilities.shape[1]
    matrix = np.zeros((k, k), np.int64)
    np.add.at(matrix, (targets, answers(probabilities)), 1)
    return matrix


def confusions(matrix: npt.NDArray[np.int64], limit: int = 20) -> list[tuple[int, int, int]]:
    """Return (right class, answer, images) of the commonest mistakes in ``matrix`` [k, k]."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    rows, columns = np.nonzero(wrong)
    counts = wrong[rows, columns]
    order = np.argsort(-counts, kind="stable")[:limit]
    return [(int(rows[i]), int(columns[i]), int(counts[i])) for i in order]
