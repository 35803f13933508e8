"""The shelf: states of a model, its files, and preparing it in a child process for real."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from core.errors import BusyError, InputError, NotFoundError
from core.settings import ROOT, Settings
from core.zoo import Library, Progress, Weights
from core.zoo.progress import STOPPED, lock, write_progress


@pytest.fixture
def library(settings: Settings) -> Library:
    return Library(settings)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Library, list[Progress]]:
    """A library whose digits model two starters prepared at the same time."""
    home = tmp_path_factory.mktemp("home")
    library = Library(Settings(home=home))
    rival = library.start(["digits"])
    steps: list[Progress] = []
    library.prepare(steps.append, ["digits"])
    assert rival is not None
    assert rival.process.wait(120) == 0
    assert rival.process.stdout is not None
    rival.process.stdout.close()
    return library, steps


def test_states_of_a_fresh_installation(library: Library) -> None:
    assert library.names()[0] == "efficientnet-lite0"
    assert [library.status(name) for name in library.names()] == ["preparing", "preparing", "waiting"]
    assert library.pending() == ["efficientnet-lite0", "digits"]
    with pytest.raises(BusyError):
        library.artifact("digits")
    with pytest.raises(NotFoundError, match="waiting"):
        library.artifact("suspect-detection")


@pytest.mark.parametrize("name", ["", ".", "..", "nothing", "../models/digits", "/etc", "digits/../digits"])
def test_unknown_names(library: Library, name: str) -> None:
    with pytest.raises(NotFoundError):
        library.card(name)


def test_unknown_form(library: Library) -> None:
    with pytest.raises(NotFoundError, match="float32, int8"):
        library.artifact("digits", "int3")


def test_labels_and_aliases(library: Library) -> None:
    card = library.card("suspect-detection")
    assert library.labels(card, "fr")[3] == "bâton"
    assert library.labels(card)[3] == "stick"
    assert library.aliases(library.card("digits")) is None


def test_prepare_makes_whole_verified_files_once(prepared: tuple[Library, list[Progress]]) -> None:
    library, steps = prepared
    assert library.status("digits") == "ready"
    assert steps[-1].state == "ready"
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    folder = library.prepared_folder("digits")
    assert not list(folder.glob("*partial*"))
    record = json.loads(next(folder.glob("prepared-*.json")).read_text("utf-8"))
    assert record["files"]["float32"]["parity"]["max_abs_difference"] < 1e-5
    for form in ("float32", "int8"):
        path = library.artifact("digits", form)
        assert path.stat().st_size == record["files"][form]["bytes"]
        assert path.read_bytes()[4:8] == b"TFL3"
    log = (folder.parent / "prepare.log").read_bytes()
    assert b"Traceback" not in log


def test_preparing_again_does_nothing(prepared: tuple[Library, list[Progress]]) -> None:
    library, _ = prepared
    before = library.artifact("digits").stat().st_mtime_ns
    assert library.start(["digits"]) is None
    library.prepare(names=["digits"])
    assert library.artifact("digits").stat().st_mtime_ns == before


def test_resolve(prepared: tuple[Library, list[Progress]], tmp_path: Path) -> None:
    library, _ = prepared
    assert library.resolve("digits").form == "float32"
    assert library.resolve("digits:int8").path == library.artifact("digits", "int8")
    copy = tmp_path / "model.tflite"
    shutil.copyfile(library.artifact("digits", "int8"), copy)
    assert library.resolve(str(copy)).card.name == "digits"
    (tmp_path / "run.json").write_text('{"model": "suspect-detection"}', "utf-8")
    assert library.resolve(str(copy)).card.name == "suspect-detection"
    with pytest.raises(NotFoundError):
        library.resolve(str(tmp_path / "missing.tflite"))
    bad = tmp_path / "sub" / "bad.tflite"
    bad.parent.mkdir()
    bad.write_bytes(b"\0\0\0\0TFL3" + b"\xff" * 100)
    with pytest.raises(InputError):
        library.resolve(str(bad))


def test_a_variant_is_served_from_its_own_files(prepared: tuple[Library, list[Progress]]) -> None:
    library, _ = prepared
    card = library.card("digits").model_copy(update={
        "name": "digits-small", "kind": "variant", "weights": Weights(kind="none"), "forms": ["int8"],
        "files": {"int8": "model.tflite"}, "base": "digits", "architecture": "",
    })
    names = {"en": library.labels(library.card("digits"))}
    library.add(card, names, {"model.tflite": library.artifact("digits", "int8")})
    assert library.status("digits-small") == "ready"
    assert library.resolve("digits-small").path.name == "model.tflite"
    with pytest.raises(InputError, match="already"):
        library.add(card, names, {})


def test_a_killed_preparation_is_told_and_can_be_repeated(settings: Settings) -> None:
    library = Library(settings)
    child = library.start(["digits"])
    assert child is not None
    assert child.process.stdout is not None
    child.process.stdout.readline()
    assert library.status("digits") == "preparing"
    os.kill(child.process.pid, signal.SIGKILL)
    with pytest.raises(InputError):
        child.wait()
    assert library.status("digits") == "failed"
    progress = library.progress("digits")
    assert progress is not None
    assert progress.explain(str) == STOPPED
    assert not list(library.prepared_folder("digits").glob("*.tflite"))
    with pytest.raises(NotFoundError):
        library.artifact("digits")
    assert "digits" in library.pending()


def test_a_held_lock_means_preparing(library: Library) -> None:
    folder = library.prepared_folder("digits")
    fingerprint = library.fingerprint(library.card("digits"))
    with lock(folder):
        write_progress(folder, Progress(model="digits", state="running", fingerprint=fingerprint))
        assert library.status("digits") == "preparing"
    assert library.status("digits") == "failed"


def test_a_failure_of_other_inputs_is_forgotten(library: Library) -> None:
    folder = library.prepared_folder("digits")
    folder.mkdir(parents=True)
    write_progress(folder, Progress(model="digits", state="failed", reason="no", fingerprint="other"))
    assert library.status("digits") == "preparing"


def test_damaged_weights_fail_with_a_sentence(settings: Settings, tmp_path: Path) -> None:
    shelf = tmp_path / "models"
    shutil.copytree(settings.models_folder / "digits", shelf / "digits")
    weights = shelf / "digits" / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-5000])
    library = Library(settings.model_copy(update={"models_folder": shelf}))
    with pytest.raises(InputError, match=r"weights\.npz"):
        library.prepare(names=["digits"])
    assert library.status("digits") == "failed"


def test_the_library_never_imports_tensorflow() -> None:
    code = ("import sys; from core.settings import Settings; from core.zoo import Library;"
            "l = Library(Settings()); [l.labels(c) for c in l.cards()];"
            "assert not {'tensorflow', 'tf_keras', 'h5py', 'core.engine'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_a_preparation_does_not_outlive_the_process_that_started_it(settings: Settings) -> None:
    code = (
        "import os, sys, time; from core.settings import settings; from core.zoo import Library;"
        "child = Library(settings()).start(['digits']); print(child.process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "SECATEUR_HOME": str(settings.home)},
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    child.wait(timeout=60)
    assert not child.is_running()
    assert Library(settings).status("digits") != "ready"
