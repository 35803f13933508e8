"""Folders on the disk: the same arrangement as in archives, and links that lead out are refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.datasets import open_dataset, open_for_evaluation
from core.errors import InputError
from core.settings import Limits, Settings
from tests.corpus.zips import photo, two, zipped


def write(root: Path, members: dict[str, bytes]) -> Path:
    for name, data in members.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def test_a_folder_and_its_zip_are_the_same_set(settings: Settings, tmp_path: Path) -> None:
    folder = write(tmp_path / "set", {f"train/{k}": v for k, v in two().items()} | {"val/cat/9.jpg": photo(9)})
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for path in sorted(folder.rglob("*.jpg")):
            target.write(path, Path("wrapped") / path.relative_to(folder))
    one, other = open_dataset(folder, settings), open_dataset(str(archive), settings)
    assert one.ids == other.ids
    assert one.classes == other.classes == ["cat", "dog"]
    assert one.digest == other.digest
    np.testing.assert_array_equal(one.targets, other.targets)
    np.testing.assert_array_equal(one.image(3), other.image(3))


def test_parts_keep_the_numbers_of_the_classes(settings: Settings, tmp_path: Path) -> None:
    folder = write(tmp_path, {"train/a/1.jpg": photo(1), "train/b/2.jpg": photo(2), "test/b/3.jpg": photo(3)})
    test = open_dataset(folder, settings, "test")
    assert test.classes == ["a", "b"]
    assert test.targets is not None
    assert test.targets.tolist() == [1]
    assert test.ids == ["test/b/3.jpg"]
    assert open_for_evaluation(folder, settings).ids == test.ids
    with pytest.raises(InputError, match="train, test"):
        open_dataset(folder, settings, "validation")


def test_renaming_files_keeps_the_digest_and_relabelling_does_not(settings: Settings, tmp_path: Path) -> None:
    first = open_dataset(write(tmp_path / "1", {"a/1.jpg": photo(1), "b/2.jpg": photo(2)}), settings)
    renamed = open_dataset(write(tmp_path / "2", {"a/x.jpg": photo(1), "b/y.jpg": photo(2)}), settings)
    moved = open_dataset(write(tmp_path / "3", {"a/1.jpg": photo(1), "c/2.jpg": photo(2)}), settings)
    assert first.digest == renamed.digest != moved.digest


def test_links_inside_are_followed_and_links_outside_refused(settings: Settings, tmp_path: Path) -> None:
    folder = write(tmp_path / "set", two())
    (folder / "cat" / "again.jpg").symlink_to(folder / "cat" / "1.jpg")
    assert len(open_dataset(folder, settings)) == 5
    secret = write(tmp_path, {"secret.jpg": photo(3)}) / "secret.jpg"
    (folder / "dog" / "out.jpg").symlink_to(secret)
    with pytest.raises(InputError, match=r"out\.jpg"):
        open_dataset(folder, settings)


def test_linked_folders_are_refused_not_skipped(settings: Settings, tmp_path: Path) -> None:
    folder = write(tmp_path / "set", two())
    (folder / "bird").symlink_to(write(tmp_path / "birds", {"1.jpg": photo(1)}))
    with pytest.raises(InputError, match="bird"):
        open_dataset(folder, settings)


def test_hidden_files_and_other_files_are_passed_over(settings: Settings, tmp_path: Path) -> None:
    folder = write(tmp_path, two() | {".git/1.jpg": photo(1), "notes.txt": b"x", "cat/.1.jpg": b"x"})
    (folder / "cat" / "pipe.jpg").mkdir()
    assert len(open_dataset(folder, settings)) == 4


def test_an_unreadable_photo_is_named(settings: Settings, tmp_path: Path) -> None:
    dataset = open_dataset(write(tmp_path, two() | {"dog/broken.jpg": photo(1)[:80]}), settings)
    with pytest.raises(InputError, match=r"broken\.jpg"):
        dataset.image(dataset.ids.index("dog/broken.jpg"))


def test_a_photo_over_the_limit_is_refused(settings: Settings, tmp_path: Path) -> None:
    limited = settings.model_copy(update={"limits": Limits(photo_mb=0.0001)})
    with pytest.raises(InputError):
        open_dataset(write(tmp_path, two()), limited).image(0)


@pytest.mark.parametrize("members", [{}, {"a.txt": b"x"}, {".a/1.jpg": b"x"}])
def test_nothing_to_read_is_an_input_error(settings: Settings, tmp_path: Path, members: dict[str, bytes]) -> None:
    with pytest.raises(InputError, match="no photos"):
        open_dataset(write(tmp_path / "set", members | {"keep/me.txt": b""}), settings)


@pytest.mark.parametrize("spec", ["", "nowhere", "a\0b", "x" * 5000, "digts", "photos:-1", "photos:x",
                                  "photos:0", "photos:99999999999", "digits:nothing", "/dev/null"])
def test_what_does_not_exist_is_an_input_error(settings: Settings, spec: str) -> None:
    with pytest.raises(InputError):
        open_dataset(spec, settings)


def test_the_disk_wins_when_a_path_is_written(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "digits", two())
    monkeypatch.chdir(tmp_path)
    assert open_dataset("./digits", settings).classes == ["cat", "dog"]
    assert len(open_dataset("digits", settings)) == 1797
    (tmp_path / "a.zip").write_bytes(zipped(two()))
    assert len(open_dataset("a.zip", settings)) == 4
