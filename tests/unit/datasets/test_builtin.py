"""The sets that need neither file nor network."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits

from core.datasets import Dataset, open_dataset, open_for_evaluation
from core.settings import Settings


def test_digits_lose_nothing(settings: Settings) -> None:
    dataset = open_dataset("digits", settings)
    values, targets = load_digits(return_X_y=True)
    pixels = np.stack([dataset.image(i) for i in range(len(dataset))])
    assert pixels.shape == (1797, 8, 8, 1)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(np.rint(pixels.reshape(1797, 64) / 255 * 16), values)
    np.testing.assert_array_equal(dataset.targets, targets)
    assert dataset.classes == list("0123456789")


def test_digits_are_divided_once_and_for_all(settings: Settings) -> None:
    whole = open_dataset("digits", settings)
    parts = {name: open_dataset("digits", settings, name) for name in ("train", "validation", "test")}
    assert {name: len(part) for name, part in parts.items()} == {"train": 1197, "validation": 240, "test": 360}
    ids = [set(part.ids) for part in parts.values()]
    assert len(set.union(*ids)) == len(whole) == 1797
    for part in parts.values():
        assert part.targets is not None
        share = np.bincount(part.targets, minlength=10) / len(part)
        assert np.abs(share - np.bincount(whole.targets) / 1797).max() < 0.01
    # Fixed for good: published figures stand on this division.
    assert parts["test"].ids[:5] == ["21", "24", "28", "34", "35"]
    assert open_for_evaluation("digits", settings).digest == parts["test"].digest
    assert open_dataset("digits:val", settings).digest == parts["validation"].digest


def test_photos_are_crops_of_one_short_side(settings: Settings) -> None:
    dataset = open_dataset("photos:25", settings)
    assert (dataset.classes, dataset.targets, len(dataset)) == (None, None, 25)
    for i in range(len(dataset)):
        image = dataset.image(i)
        assert image.dtype == np.uint8
        assert min(image.shape[:2]) == 256
        assert image.shape[2] == 3
        assert image.std() > 1
    assert len({name.split("#")[0] for name in dataset.ids}) == 10


def test_more_photos_begin_with_the_same_ones(settings: Settings) -> None:
    few, many = open_dataset("photos:12", settings), open_dataset("photos:300", settings)
    for i in range(12):
        np.testing.assert_array_equal(few.image(i), many.image(i))
        assert few.sha256(i) == many.sha256(i)
    assert few.digest != many.digest
    assert len({many.sha256(i) for i in range(300)}) == 300
    assert len(open_dataset("photos", settings)) == 200


@pytest.mark.parametrize("name", ["digits", "photos"])
def test_they_travel_to_another_process(settings: Settings, name: str) -> None:
    dataset = open_dataset(name, settings)
    assert isinstance(dataset, Dataset)
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.digest == dataset.digest
    np.testing.assert_array_equal(copy.image(3), dataset.image(3))
