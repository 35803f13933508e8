"""Every archive of the corpus gets its verdict, and none leaves a trace on the disk."""

from __future__ import annotations

import pickle
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.datasets import open_dataset, unreadable
from core.errors import InputError, StorageError
from core.settings import Limits, Settings
from tests.corpus.images import mutate
from tests.corpus.zips import Case, corpus, photo, two, zipped

CASES = corpus()


def read_everything(archive: Path, settings: Settings) -> None:
    dataset = open_dataset(archive, settings)
    for index in range(len(dataset)):
        dataset.image(index)


def test_the_corpus_is_large_and_unambiguous() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_corpus(case: Case, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    archive = folder / "upload.zip"
    archive.write_bytes(case.data)
    before = sorted(tmp_path.rglob("*"))
    if case.photos is None:
        with pytest.raises(InputError, match=r"\.$"):
            read_everything(archive, settings)
    else:
        dataset = open_dataset(archive, settings)
        assert unreadable(dataset) == {}
        assert len(dataset) == case.photos
        assert (dataset.classes and tuple(dataset.classes)) == case.classes
        assert tuple(dataset.splits) == case.splits
    assert sorted(tmp_path.rglob("*")) == before
    assert archive.read_bytes() == case.data


def test_limits_are_those_of_the_installation(settings: Settings, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped(two()))
    for limits, says in ((Limits(dataset_images=3), "more than 3"), (Limits(dataset_mb=0.001), "MB"),
                         (Limits(photo_mb=0.0001), "MB")):
        with pytest.raises(InputError, match=says):
            open_dataset(archive, settings.model_copy(update={"limits": limits}))


def test_threads_and_other_processes_read_the_same(settings: Settings, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped({f"c{i % 3}/{i}.jpg": photo(i) for i in range(60)}))
    dataset = open_dataset(archive, settings)
    expected = [dataset.image(i) for i in range(60)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            for one, other in zip(expected, pool.map(dataset.image, range(60)), strict=True):
                np.testing.assert_array_equal(one, other)
    copy = tmp_path / "dataset.pickle"
    copy.write_bytes(pickle.dumps(dataset))
    program = "import pickle, sys; d = pickle.load(open(sys.argv[1], 'rb')); print(d.digest, d.image(7).sum())"
    run = subprocess.run([sys.executable, "-c", program, str(copy)], capture_output=True, text=True,
                         check=True, timeout=60)
    assert run.stdout.split() == [dataset.digest, str(expected[7].sum())]


def test_an_archive_that_disappears_is_a_storage_error(settings: Settings, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped(two()))
    dataset = pickle.loads(pickle.dumps(open_dataset(archive, settings)))
    archive.unlink()
    with pytest.raises(StorageError):
        dataset.image(0)


def test_the_directory_of_a_huge_archive_is_not_built(settings: Settings, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"PK\x01\x02" * 5_000_000 + next(c.data for c in CASES if c.name == "45,000 members"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError):
        open_dataset(archive, settings)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def attempt(data: bytes, archive: Path, settings: Settings) -> None:
    archive.write_bytes(data)
    try:
        dataset = open_dataset(archive, settings)
        unreadable(dataset)
    except InputError:
        return
    assert len(dataset) > 0


SOUND = {case.name: case.data for case in CASES if case.photos and len(case.data) < 20_000}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SOUND)
def test_mutated_archives_never_crash(name: str, settings: Settings, tmp_path: Path) -> None:
    for number in range(12):
        attempt(mutate(SOUND[name], number), tmp_path / "a.zip", settings)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SOUND)
def test_twenty_thousand_mutated_archives_never_crash(name: str, settings: Settings, tmp_path: Path) -> None:
    for number in range(20_000 // len(SOUND) + 1):
        attempt(mutate(SOUND[name], 100 + number), tmp_path / "a.zip", settings)
