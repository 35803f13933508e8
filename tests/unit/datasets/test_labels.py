"""Folders find their class by alias, label or index, and say so when they find none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.datasets import match_labels, open_dataset
from core.datasets.arrays import ArrayImages
from core.errors import InputError
from core.settings import Settings

LABELS = ["tench", "great white shark", "crane", "maillot", "maillot", "crane", "T-shirt, tee", "jack-o'-lantern"]
ALIASES = ["n01440764", "n01484850", "n02012849", "n03710637", "n03710721", "n03126707", "n1", "n2"]


def labelled(folders: Sequence[str]) -> ArrayImages:
    count = len(folders)
    return ArrayImages("set", list(folders), np.zeros((count, 8, 8, 1), np.uint8), np.arange(count), {})


@pytest.mark.parametrize(("folder", "index"), [
    ("tench", 0), ("TENCH", 0), ("great_white_shark", 1), ("Great White  Shark", 1), ("greatwhiteshark", 1),
    ("n01440764", 0), ("N01440764", 0), ("n01440764_tench", 0), ("n01440764 tench", 0),
    ("n02012849_crane", 2), ("n03126707_crane", 5), ("n03710721_maillot", 4),
    ("T-shirt", 6), ("tee", 6), ("t-shirt, tee", 6), ("jack-o'-lantern", 7),
    ("0", 0), ("7", 7), ("2", 2), ("007", 7),
])
def test_examples(folder: str, index: int) -> None:
    assert match_labels(labelled([folder]), LABELS, ALIASES).tolist() == [index]


@pytest.mark.parametrize(("folder", "says"), [
    ("tenche", "'tench'"), ("great white shrk", "'great white shark'"), ("8", "8"), ("-1", "-1"), ("zzz", "zzz"),
    ("n99999999_tench", "n99999999_tench"), ("crane", "several classes"), ("Maillot", "several classes"),
])
def test_what_matches_nothing_is_named_with_the_nearest(folder: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        match_labels(labelled(["tench", folder]), LABELS, ALIASES)
    assert folder in str(caught.value)


def test_without_aliases_labels_and_indices_still_match() -> None:
    assert match_labels(labelled(["tench", "5"]), LABELS, None).tolist() == [0, 5]


def test_a_label_wins_over_an_index() -> None:
    assert match_labels(labelled(["3"]), ["3", "2", "1", "0"]).tolist() == [0]


def test_folders_without_images_need_no_match() -> None:
    dataset = labelled(["tench", "nothing like it"])
    dataset.targets = np.zeros(2, np.int64)
    assert match_labels(dataset, LABELS, ALIASES).tolist() == [0, 0]


def test_unlabelled_images_have_nothing_to_match(settings: Settings) -> None:
    with pytest.raises(InputError, match="no classes"):
        match_labels(open_dataset("photos:3", settings), LABELS)


def test_real_photos_match_imagenet(settings: Settings) -> None:
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    data = Path(os.environ.get("SECATEUR_TEST_DATA", default))
    if not (data / "imagenet-sample-dev.zip").exists():
        pytest.skip("set SECATEUR_TEST_DATA to the folder of the development data")
    rows = [line.split("\t") for line in (data / "imagenet-classes.tsv").read_text("utf-8").splitlines()[1:]]
    dataset = open_dataset(data / "imagenet-sample-dev.zip", settings)
    found = match_labels(dataset, [row[2] for row in rows], [row[1] for row in rows])
    assert [rows[i][1] for i in found] == [name.split("_")[0] for name in dataset.ids]
