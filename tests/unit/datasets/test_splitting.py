"""Parts are disjoint, of the size asked for, stratified, and copies stay on one side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.datasets import Subset, batches, digests, open_dataset, split
from core.datasets.arrays import ArrayImages
from core.errors import InputError
from core.settings import Settings
from tests.unit.images.test_preparing import DIGITS


@settings(max_examples=150, deadline=None)
@given(
    targets=st.lists(st.integers(0, 6), min_size=1, max_size=120),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)), seed=st.integers(0, 9), rest=st.booleans(),
)
def test_parts_are_disjoint_exact_and_stratified(
    targets: list[int], shares: tuple[float, float], seed: int, rest: bool
) -> None:
    n = len(targets)
    a = max(1, int(shares[0] * n))
    b = max(1, int(shares[1] * (n - a)))
    sizes: dict[str, int | None] = {"a": a, "b": b} | ({"rest": None} if rest else {})
    labels = np.array(targets)
    if a + b + rest > n:
        with pytest.raises(InputError):
            split(labels, seed, **sizes)
        return
    parts = split(labels, seed, **sizes)
    together = np.concatenate(list(parts.values()))
    assert len(set(together.tolist())) == len(together)
    assert len(parts["a"]) == a
    assert len(parts["b"]) == b
    if rest:
        assert sorted(together.tolist()) == list(range(n))
    for part in parts.values():
        for label in np.unique(labels):
            expected = (labels == label).mean() * len(part)
            assert abs((labels[part] == label).sum() - expected) <= 2 + len(np.unique(labels)) / 2
    again = split(labels, seed, **sizes)
    assert all((parts[name] == again[name]).all() for name in parts)


def with_copies(copies: list[int]) -> ArrayImages:
    pixels = np.stack([np.full((8, 8, 1), value, np.uint8) for value in copies])
    return ArrayImages("copies", ["x", "y"], pixels, np.arange(len(copies)) % 2, {})


@settings(max_examples=80, deadline=None)
@given(copies=st.lists(st.integers(0, 12), min_size=4, max_size=60), seed=st.integers(0, 5))
def test_copies_never_face_each_other(copies: list[int], seed: int) -> None:
    dataset = with_copies(copies)
    different = len(set(copies))
    if different < 3:
        with pytest.raises(InputError):
            split(dataset, seed, test=1, calibrate=1, train=None)
        return
    parts = split(dataset, seed, test=1, calibrate=different - 2, train=None)
    sides = [{copies[i] for i in part} for part in parts.values()]
    assert len(parts["test"]) == 1
    assert len(parts["calibrate"]) == different - 2
    assert sum(len(side) for side in sides) == len(set.union(*sides)) == different
    only = next(iter(sides[2]))
    assert len(parts["train"]) == copies.count(only)


def test_fractions_and_the_remainder() -> None:
    parts = split(200, 1, test=0.25, train=None)
    assert (len(parts["test"]), len(parts["train"])) == (50, 150)
    assert list(parts) == ["test", "train"]
    other = split(200, 2, test=0.25, train=None)
    assert (parts["test"] != other["test"]).any()


@pytest.mark.parametrize("sizes", [
    {"a": 11}, {"a": 6, "b": 5}, {"a": 10, "b": None}, {"a": None, "b": None}, {"a": 0}, {"a": -3}, {"a": 1.5},
    {"a": 0.0},
])
def test_sizes_that_cannot_be_are_input_errors(sizes: dict[str, float | None]) -> None:
    with pytest.raises(InputError):
        split(10, 0, **sizes)


def test_the_record_says_which_were_which(settings: Settings) -> None:
    dataset = open_dataset("digits", settings, "validation")
    parts = split(dataset, 3, calibrate=20, test=30)
    record = digests(dataset, parts)
    assert {name: len(found) for name, found in record.items()} == {"calibrate": 20, "test": 30}
    assert not set(record["calibrate"]) & set(record["test"])
    assert record["test"][4] == Subset(dataset, parts["test"], "x").sha256(4)


def test_batches_come_in_order_and_the_last_is_short(settings: Settings) -> None:
    dataset = open_dataset("digits", settings)
    indices = [5, 3, 8, 1, 0]
    found = list(batches(dataset, indices, DIGITS, 2))
    assert [batch.shape for batch in found] == [(2, 8, 8, 1), (2, 8, 8, 1), (1, 8, 8, 1)]
    expected = np.stack([dataset.image(i) for i in indices]).astype(np.float32) / 255
    np.testing.assert_allclose(np.concatenate(found), expected)
    assert list(batches(dataset, [], DIGITS)) == []
