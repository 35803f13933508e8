"""Baseline against compressed on the same images: what changed, and whether it is real."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.errors import InputError
from core.locales import N_
from core.measurement.accuracy import answers, check
from core.measurement.calibration import FLOOR, Probabilities, Targets
from core.measurement.statistics import (
    Interval,
    holm,
    mcnemar_exact,
    paired_difference,
    pairs_needed,
    smallest_difference,
)

Direction = Literal["right_to_wrong", "wrong_to_right", "wrong_to_other", "changed"]


class Flip(BaseModel):
    """One image whose class changed; without labels the direction is only "changed"."""

    model_config = ConfigDict(frozen=True)

    index: int
    direction: Direction
    target: int | None
    before: int
    after: int
    confidence_before: float
    confidence_after: float


class Drift(BaseModel):
    """What can be said without labels.

    ``kl`` is the mean Kullback-Leibler divergence KL(baseline || compressed) in nats;
    ``confidence`` the mean change of the top probability (negative: less sure).
    """

    model_config = ConfigDict(frozen=True)

    n: int
    agreement: float
    kl: float
    confidence: float


class PairedAccuracy(BaseModel):
    """The difference of top-1 accuracy, compressed minus baseline, on the same images."""

    model_config = ConfigDict(frozen=True)

    n: int
    difference: Interval
    mcnemar_p: float
    right_to_wrong: int
    wrong_to_right: int
    images_to_show_it: int | None
    smallest_shown: float

    @property
    def discordant(self) -> float:
        """Share of the images on which exactly one of the two models is right."""
        return (self.right_to_wrong + self.wrong_to_right) / self.n

    def images_to_show(self, difference: float) -> int:
        """Return the number of images that would show ``difference`` (0.005 is half a point)."""
        return pairs_needed(difference, self.discordant)


class ClassChange(BaseModel):
    """One class's paired change; ``p`` is exact McNemar, ``p_holm`` adjusted over all classes."""

    model_config = ConfigDict(frozen=True)

    index: int
    n: int
    difference: float
    right_to_wrong: int
    wrong_to_right: int
    p: float
    p_holm: float


def _check_pair(before: Probabilities, after: Probabilities, targets: Targets | None) -> None:
    check(before, targets)
    check(after, targets)
    if before.shape != after.shape:
        raise InputError(
            N_(
                "The two models answer in different shapes. "
                "Compare models of the same classes and images."
            )
        )


def drift(before: Probabilities, after: Probabilities) -> Drift:
    """Compare probabilities [n, k] of the baseline and of the compressed model without labels."""
    _check_pair(before, after, None)
    p = np.maximum(before.astype(np.float64), FLOOR)
    q = np.maximum(after.astype(np.float64), FLOOR)
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    return Drift(
        n=len(before),
        agreement=float((answers(before) == answers(after)).mean()),
        kl=max(0.0, float((p * np.log(p / q)).sum(axis=1).mean())),
        confidence=float((after.max(axis=1) - before.max(axis=1)).mean()),
    )


def flips(
    before: Probabilities, after: Probabilities, targets: Targets | None = None
) -> list[Flip]:
    """Return the images whose class changed: harm first, then by the old answer's confidence."""
    _check_pair(before, after, targets)
    old, new = answers(before), answers(after)
    found = []
    for i in np.flatnonzero(old != new):
        direction: Direction = "changed"
        if targets is not None:
            direction = "wrong_to_other"
            if old[i] == targets[i]:
                direction = "right_to_wrong"
            elif new[i] == targets[i]:
                direction = "wrong_to_right"
        found.append(
            Flip(
                index=int(i),
                direction=direction,
                target=None if targets is None else int(targets[i]),
                before=int(old[i]),
                after=int(new[i]),
                confidence_before=float(before[i, old[i]]),
                confidence_after=float(after[i, new[i]]),
            )
        )
    order = ("right_to_wrong", "wrong_to_right", "wrong_to_other", "changed")
    return sorted(found, key=lambda f: (order.index(f.direction), -f.confidence_before))


def paired_accuracy(
    before: Probabilities, after: Probabilities, targets: Targets
) -> PairedAccuracy:
    """Compare the top-1 accuracy of two models on the same n images.

    ``images_to_show_it`` is how many images would show the difference that was seen, were it the
    true one (None where none was seen); ``smallest_shown`` the smallest difference that these n
    images show with 80 % power, at the observed share of discordant images. A share of zero is
    taken as half an image: "none in n" is no proof of none.
    """
    _check_pair(before, after, targets)
    was, now = answers(before) == targets, answers(after) == targets
    n = len(targets)
    lost, won = int((was & ~now).sum()), int((~was & now).sum())
    difference = paired_difference(int((was & now).sum()), lost, won, int((~was & ~now).sum()))
    discordant = max(lost + won, 0.5) / n
    return PairedAccuracy(
        n=n,
        difference=difference,
        mcnemar_p=mcnemar_exact(lost, won),
        right_to_wrong=lost,
        wrong_to_right=won,
        images_to_show_it=pairs_needed(difference.value, discordant) if lost != won else None,
        smallest_shown=smallest_difference(n, discordant),
    )


def class_changes(
    before: Probabilities, after: Probabilities, targets: Targets
) -> list[ClassChange]:
    """Return the paired change of every class that occurs, worst first.

    The tests are exact McNemar within the class; Holm's correction runs over the classes that have
    a discordant image, since the others were not tested on anything.
    """
    _check_pair(before, after, targets)
    was, now = answers(before) == targets, answers(after) == targets
    classes = np.unique(targets)
    lost = [int((was & ~now & (targets == c)).sum()) for c in classes]
    won = [int((~was & now & (targets == c)).sum()) for c in classes]
    p = [mcnemar_exact(a, b) for a, b in zip(lost, won, strict=True)]
    tested = [i for i in range(len(classes)) if lost[i] + won[i]]
    adjusted = dict(zip(tested, holm([p[i] for i in tested]), strict=True))
    rows = []
    for i, index in enumerate(classes):
        n = int((targets == index).sum())
        rows.append(
            ClassChange(
                index=int(index),
                n=n,
                difference=(won[i] - lost[i]) / n,
                right_to_wrong=lost[i],
                wrong_to_right=won[i],
                p=p[i],
                p_holm=adjusted.get(i, 1.0),
            )
        )
    return sorted(rows, key=lambda row: (row.difference, row.p))
