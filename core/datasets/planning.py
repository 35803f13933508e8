"""Which images a run calibrates, trains and tests on: three parts that share no image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.datasets.base import Dataset, Indices, Subset
from core.datasets.splitting import split
from core.errors import InputError
from core.locales import N_

CALIBRATION_MOST = 512
RECOVERY_MOST = 4096
VALIDATION_MOST = 1000
_TEST, _VALIDATION, _TRAIN = "test", "validation", "train"


@dataclass(frozen=True)
class Plan:
    """The three parts of a run's data.

    Attributes
    ----------
    calibration
        Images that statistics are collected on; their labels are never used.
    recovery
        Images to train on, or None when no step trains.
    test
        Images to measure on, never seen by any step.
    synthetic
        Whether calibration images are crops of the bundled photos rather than the person's own.
    validation
        Images to choose by, neither learned from nor tested on; None unless asked for.
    """

    calibration: Subset
    recovery: Subset | None
    test: Subset
    synthetic: bool
    validation: Subset | None = None

    def digests(self) -> dict[str, dict[str, object]]:
        """Return, for the record, each part's source, number of images and SHA-256 over its contents."""
        parts = {"calibration": self.calibration, "recovery": self.recovery, "test": self.test}
        return {
            name: {"source": part.name, "n": len(part), "sha256": part.digest}
            for name, part in parts.items() if part is not None
        }


def plan(
    data: Dataset, seed: int, *, trains: bool, calibration: Dataset | None = None, limit: int | None = None,
    validates: bool = False,
) -> Plan:
    """Divide ``data`` for a run.

    A set that comes divided is tested on its ``test`` part (``validation`` where there is none) and learns from
    the rest; any other is cut in half by ``seed``, stratified. What is learned from serves as calibration
    (at most 512 images); when a step trains, a quarter of it calibrates and the rest trains (at most 4,096).
    ``calibration`` replaces the calibration part. An image whose bytes occur in the test part is not learned from.
    ``validates`` sets a validation part aside: the one that comes with the set, else a part of what is learned from
    or, where that is not needed, of what would be tested on; a set that is not divided then gives each part a third.

    Raises
    ------
    InputError
        If a part would be empty.
    """
    held: Indices | None = None
    if validates:
        test, held, pool = _three_parts(data, seed, alone=calibration is not None)
    else:
        test, pool = _test_and_pool(data, seed, alone=calibration is not None and not trains)
    if limit is not None and limit < len(test):
        test = np.sort(test[split(_targets(data, test), seed, chosen=limit)["chosen"]])
    if held is not None:
        held = _without_twins(held, data, Subset(data, test, data.name))
    apart = Subset(data, test if held is None else np.union1d(test, held), data.name)
    if calibration is not None:
        pool = _without_twins(pool, data, apart)
        own = np.arange(len(calibration))
        if calibration.splits:
            own = calibration.splits.get(_TRAIN, own)
        own = _without_twins(own, calibration, apart)
        chosen = Subset(calibration, _cut(own, CALIBRATION_MOST, seed), calibration.name)
        recovery = _cut(pool, RECOVERY_MOST, seed) if trains else None
        synthetic = calibration.name == "photos"
    else:
        pool = _without_twins(pool, data, apart)
        first = pool
        recovery = None
        if trains and len(pool) > 1:
            parts = split(_targets(data, pool), seed, calibration=min(0.25, CALIBRATION_MOST / len(pool)),
                          recovery=None)
            first, recovery = pool[parts["calibration"]], _cut(pool[parts["recovery"]], RECOVERY_MOST, seed)
        chosen = Subset(data, _cut(first, CALIBRATION_MOST, seed), data.name)
        synthetic = data.name == "photos"
    nothing = held is not None and not len(held)
    if not len(chosen) or not len(test) or nothing or (trains and (recovery is None or not len(recovery))):
        raise InputError(
            N_("The data '{data}' has too few different images to calibrate, train and test on. Add images."),
            data=data.name,
        )
    return Plan(
        chosen, None if recovery is None else Subset(data, recovery, data.name),
        Subset(data, test, data.name), synthetic,
        None if held is None else Subset(data, held, f"{data.name}:{_VALIDATION}"),
    )


def _test_and_pool(data: Dataset, seed: int, alone: bool) -> tuple[Indices, Indices]:
    splits = data.splits
    everything = np.arange(len(data))
    for name in (_TEST, _VALIDATION):
        if name in splits and len(splits[name]):
            rest = splits.get(_TRAIN)
            return splits[name], np.setdiff1d(everything, splits[name]) if rest is None else rest
    if alone:
        return everything, everything[:0]
    if len(data) < 2:
        return everything, everything[:0]
    parts = split(data, seed, test=0.5, pool=None)
    return parts["test"], parts["pool"]


def _three_parts(data: Dataset, seed: int, alone: bool) -> tuple[Indices, Indices, Indices]:
    """Return what is tested on, what is chosen by and what is learned from; ``alone``: other images calibrate."""
    splits = data.splits
    test, pool = _test_and_pool(data, seed, alone=False)
    if len(splits.get(_TEST, ())) and len(splits.get(_VALIDATION, ())):
        return splits[_TEST], splits[_VALIDATION], np.setdiff1d(pool, splits[_VALIDATION])
    if len(data) < 3:
        return test, pool, pool[:0]
    if not any(len(splits.get(name, ())) for name in (_TEST, _VALIDATION)):
        third = {"test": 0.4, "held": 0.4} if alone else {"test": 1 / 3, "held": 1 / 3}
        parts = split(data, seed, **third, pool=None)
        return parts["test"], parts["held"], parts["pool"]
    if len(pool) < 2:
        return test, pool, pool[:0]
    parts = split(_targets(data, pool), seed, held=min(0.25, VALIDATION_MOST / len(pool)), pool=None)
    return test, pool[parts["held"]], pool[parts["pool"]]


def _targets(data: Dataset, indices: Indices) -> Indices:
    targets = data.targets
    return np.zeros(len(indices), np.int64) if targets is None else targets[indices]


def _cut(indices: Indices, most: int, seed: int) -> Indices:
    if len(indices) <= most:
        return indices
    return np.sort(np.random.default_rng([seed, most]).choice(indices, most, replace=False))


def _without_twins(indices: Indices, data: Dataset, test: Subset) -> Indices:
    tested = {test.sha256(i) for i in range(len(test))}
    return np.array([i for i in indices if data.sha256(int(i)) not in tested], np.int64)
