"""Calibration, recovery and test images share nothing."""

import numpy as np
import pytest

from core.datasets.arrays import ArrayImages
from core.datasets.builtin import digits, photos
from core.datasets.planning import CALIBRATION_MOST, Plan, plan
from core.errors import InputError


def contents(part) -> set[str]:
    return {part.sha256(i) for i in range(len(part))}


def check_disjoint(made: Plan) -> None:
    parts = [contents(p) for p in (made.calibration, made.recovery, made.test) if p is not None]
    assert all(a.isdisjoint(b) for i, a in enumerate(parts) for b in parts[:i])


def some(n: int, classes: int = 2, splits: dict | None = None) -> ArrayImages:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 4, 4, 1)).astype(np.uint8)
    targets = np.arange(n, dtype=np.int64) % classes
    return ArrayImages("some", [str(i) for i in range(classes)], pixels, targets, splits or {})


@pytest.mark.parametrize("trains", [False, True])
def test_a_divided_set_is_tested_on_its_test_part(trains: bool) -> None:
    made = plan(digits(), 3, trains=trains)
    assert len(made.test) == 360
    assert len(made.calibration) == (299 if trains else CALIBRATION_MOST)
    assert (made.recovery is not None) == trains
    check_disjoint(made)


def test_an_undivided_set_is_cut_in_half_by_seed() -> None:
    one, same, other = (plan(some(40), seed, trains=False) for seed in (1, 1, 2))
    assert len(one.test) == len(one.calibration) == 20
    assert np.bincount(one.test.targets).tolist() == [10, 10]
    assert one.digests() == same.digests()
    assert one.digests() != other.digests()
    check_disjoint(one)


def test_images_of_the_test_part_are_not_learned_from() -> None:
    twins = some(10)
    doubled = ArrayImages(
        "doubled", twins.classes, np.stack([twins.image(i % 10) for i in range(20)]), np.tile(twins.targets, 2),
        {"train": np.arange(8, 20), "test": np.arange(0, 10)},
    )
    with pytest.raises(InputError, match="too few"):
        plan(doubled, 0, trains=False)


def test_other_calibration_images_leave_the_whole_set_for_testing() -> None:
    made = plan(some(40), 0, trains=False, calibration=photos(30))
    assert len(made.test) == 40
    assert len(made.calibration) == 30
    assert made.synthetic
    check_disjoint(made)


def test_a_limit_keeps_the_classes_in_proportion() -> None:
    made = plan(some(80), 0, trains=False, limit=10)
    assert np.bincount(made.test.targets).tolist() == [5, 5]


def test_one_image_is_too_few() -> None:
    with pytest.raises(InputError, match="Add images"):
        plan(some(1), 0, trains=False)
