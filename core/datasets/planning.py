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
    """

    calibration: Subset
    recovery: Subset | None
    test: Subset
    synthetic: bool

    def digests(self) -> dict[str, dict[str, object]]:
        """Return, for the record, each part's source, number of images and SHA-256 over its contents."""
        parts = {"calibration": self.calibration, "recovery": self.recovery, "test": self.test}
        return {
            name: {"source": part.name, "n": len(part), "sha256": part.digest}
            for name, part in parts.items() if part is not None
        }


def plan(
    data: Dataset, seed: int, *, trains: bool, calibration: Dataset | None = None, limit: int | None = None
) -> Plan:
    """Divide ``data`` for a run.

    A set that comes divided is tested on its ``test`` part (``validation`` where there is none) and learns from
    the rest; any other is cut in half by ``seed``, stratified. What is learned from serves as calibration
    (at most 512 images); when a step trains, a quarter of it calibrates and the rest trains (at most 4,096).
    ``calibration`` replaces the calibration part. An image whose bytes occur in the test part is not learned from.

    Raises
    ------
    InputError
        If a part would be empty.
    """
    test, pool = _test_and_pool(data, seed, alone=calibration is not None and not trains)
    if limit is not None and limit < len(test):
        test = np.sort(test[split(_targets(data, test), seed, chosen=limit)["chosen"]])
    if calibration is not None:
        pool = _without_twins(pool, data, Subset(data, test, data.name))
        own = np.arange(len(calibration))
        if calibration.splits:
            own = calibration.splits.get(_TRAIN, own)
        own = _without_twins(own, calibration, Subset(data, test, data.name))
        chosen = Subset(calibration, _cut(own, CALIBRATION_MOST, seed), calibration.name)
        recovery = _cut(pool, RECOVERY_MOST, seed) if trains else None
        synthetic = calibration.name == "photos"
    else:
        pool = _without_twins(pool, data, Subset(data, test, data.name))
        first = pool
        recovery = None
        if trains and len(pool) > 1:
            parts = split(_targets(data, pool), seed, calibration=min(0.25, CALIBRATION_MOST / len(pool)),
                          recovery=None)
            first, recovery = pool[parts["calibration"]], _cut(pool[parts["recovery"]], RECOVERY_MOST, seed)
        chosen = Subset(data, _cut(first, CALIBRATION_MOST, seed), data.name)
        synthetic = data.name == "photos"
    if not len(chosen) or not len(test) or (trains and (recovery is None or not len(recovery))):
        raise InputError(
            N_("The data '{data}' has too few different images to calibrate, train and test on. Add images."),
            data=data.name,
        )
    return Plan(
        chosen, None if recovery is None else Subset(data, recovery, data.name),
        Subset(data, test, data.name), synthetic,
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
