"""Build the served files of base models: ``python -m core.engine.prepare NAME...``.

The library starts this as a child process. It prints one line of JSON per step, holds the model's
lock, writes each file whole or not at all, and leaves the reason where it fails. With ``--with-parent``
it ends when its standard input does, so that it cannot outlive the server. A model of a person's own is
built in one more process, ``--confined``, that :mod:`core.engine.sandbox` shuts in first.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from core.datasets import batches, open_dataset
from core.engine.parent import end_with_parent
from core.errors import PromiseError, SecateurError, StorageError
from core.locales import N_
from core.settings import Settings, settings
from core.zoo import Library, ModelCard, Progress
from core.zoo.progress import STOPPED, lock, write_progress

if TYPE_CHECKING:
    from core.engine.convert import Scheme

Array = np.ndarray[Any, np.dtype[Any]]
Report = Callable[[str, float], None]

CALIBRATION, CHECKED = 200, 32
WORK = ".work-"
MEMORY_BYTES, CPU_S, OPEN_FILES = 12 * 2**30, 900, 256

READING = N_("Reading the weights")
FLOAT = N_("Converting to float32")
CALIBRATING = N_("Measuring activations and quantizing to int8")
CHECKING = N_("Checking the files")
DONE = N_("Ready")


def calibration(card: ModelCard, configuration: Settings) -> Array:
    """Return 200 prepared inputs, float32 ``[200, h, w, c]``, that need no download.

    The digits model sees training digits; any other model random crops of bundled photos, which
    find the range of each activation about as well as photos of the task do.
    """
    name, part = ("digits", "train") if card.architecture == "digits" else ("photos", None)
    data = open_dataset(name, configuration, part)
    return np.concatenate(list(batches(data, range(CALIBRATION), card.preprocessing)))


def prepare(card: ModelCard, configuration: Settings, report: Report) -> dict[str, Any]:
    """Write every missing form of ``card`` and return the record of what was made.

    Raises SecateurError with the reason if the weights, a conversion or a check fails; files that
    were finished before stay.
    """
    library, start = Library(configuration), time.perf_counter()
    folder, fingerprint = library.prepared_folder(card.name), library.fingerprint(card)
    _sweep(folder, fingerprint)
    if card.weights.kind == "user":
        # The sandbox leaves no other place to write; the next sweep clears it if this process is killed.
        work = tempfile.tempdir = tempfile.mkdtemp(prefix=WORK, dir=folder)
        os.environ.update(TMPDIR=work, HOME=work, KERAS_HOME=work)
    from core.engine.base import load_base
    from core.engine.convert import to_tflite
    from core.engine.verify import check_file

    report(READING, 0.02)
    if card.weights.kind == "user":
        _admit(card, library)
    model = load_base(card, configuration)
    inputs = calibration(card, configuration)
    expected = model(inputs[:CHECKED], training=False).numpy()
    files: dict[str, Any] = {}
    for index, form in enumerate(card.forms):
        done = 0.15 + 0.8 * index / len(card.forms)
        report(FLOAT if form == "float32" else CALIBRATING, done)
        content = to_tflite(
            model, scheme=cast("Scheme", form), calibration=[inputs], io="int8" if form == "int8" else "float"
        )
        report(CHECKING, done + 0.3 / len(card.forms))
        parity = check_file(content, form, expected, inputs[:CHECKED])
        _write(library.path_of(card, form), content)
        files[form] = {"bytes": len(content), "parity": parity.model_dump()}
    record = {
        "model": card.name, "fingerprint": fingerprint, "parameters": model.count_params(),
        "files": files, "seconds": round(time.perf_counter() - start, 2),
    }
    _write(folder / f"prepared-{fingerprint}.json", json.dumps(record, indent=2).encode())
    for path in folder.glob(f"{WORK}*"):
        shutil.rmtree(path, ignore_errors=True)
    return record


def _admit(card: ModelCard, library: Library) -> None:
    """Pass a person's ``.h5`` through the gate and keep it in our own form."""
    import tf_keras

    from core.engine.base import check_interface
    from core.engine.canonical import write_model
    from core.engine.gate import check_h5

    path = library.weights(card)
    assert path is not None  # noqa: S101 - only kind "none" has no path
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_NOFILE, OPEN_FILES), (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        resource.setrlimit(limit, (value if hard < 0 else min(value, hard), hard))
    check_h5(path)
    model = tf_keras.models.load_model(path, compile=False)
    check_interface(model, card)
    if not all(np.isfinite(value).all() for value in model.get_weights()):
        raise PromiseError(
            N_("The weights of {name} are not all numbers. Train or export the model again."),
            name=card.name,
        )
    stem = f"base-{library.fingerprint(card)}"
    write_model(model, library.prepared_folder(card.name) / stem)


def _sweep(folder: Path, fingerprint: str) -> None:
    """Remove what a dead worker left, and what older inputs gave."""
    for path in folder.iterdir():
        if path.name.startswith(WORK):
            shutil.rmtree(path, ignore_errors=True)
            continue
        made = path.name.startswith(("float32-", "int8-", "prepared-", "base-", ".partial-"))
        if made and fingerprint not in path.name:
            path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".partial-{os.getpid()}-{path.suffix[1:]}")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def run(name: str, configuration: Settings) -> bool:
    """Prepare one model under its lock, telling its progress; return whether it is ready."""
    library = Library(configuration)
    folder = library.prepared_folder(name)
    with lock(folder):
        card = library.card(name)
        fingerprint = library.fingerprint(card)

        def tell(**state: Any) -> None:
            progress = Progress(model=name, fingerprint=fingerprint, **state)
            write_progress(folder, progress)
            with contextlib.suppress(BrokenPipeError):
                print(progress.model_dump_json(), flush=True)  # noqa: T201 - the parent reads it

        if library.status(name) == "waiting":
            return False
        try:
            if any(not library.path_of(card, form).is_file() for form in card.forms):
                prepare(card, configuration, lambda stage, fraction: tell(
                    state="running", stage=stage, fraction=fraction))
            tell(state="ready", stage=DONE, fraction=1.0)
        except SecateurError as error:
            parameters = error.plain()
            tell(state="failed", reason=error.message, parameters=parameters)
            return False
        except OSError as error:
            full = StorageError(N_("The disk refused a file of the model: {reason}. Free some space."),
                                reason=error.strerror or str(error))
            tell(state="failed", reason=full.message, parameters={"reason": str(full.parameters["reason"])})
            return False
        except BaseException:
            tell(state="failed", reason=STOPPED)
            raise
    return True


def confine_to(name: str, configuration: Settings) -> None:
    """Leave this process nothing but what preparing the user's model ``name`` needs."""
    from core.engine.sandbox import confine

    library = Library(configuration)
    folder = library.prepared_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    confine([configuration.models_folder, library.folder(name)], [folder])


def _confined(name: str) -> bool:
    child = subprocess.Popen(  # noqa: S603 - our own module, the argument is the name of a card
        [sys.executable, "-m", "core.engine.prepare", "--with-parent", "--confined", name], stdin=subprocess.PIPE,
    )
    return child.wait() == 0


def main() -> int:
    """Prepare the models named on the command line; return 0 if all are ready."""
    configuration = settings()
    options = {word for word in sys.argv[1:] if word.startswith("--")}
    names = [word for word in sys.argv[1:] if word not in options]
    if "--confined" in options:
        confine_to(names[0], configuration)
    if "--with-parent" in options:
        end_with_parent()
    library = Library(configuration)
    ready = []
    for name in names:
        apart = "--confined" not in options and library.card(name).weights.kind == "user"
        ready.append(_confined(name) if apart else run(name, configuration))
    return 0 if all(ready) else 2


if __name__ == "__main__":
    sys.exit(main())
