"""A finished run's model as ONNX: made in a process of its own, for whoever may read the run."""

import time

import onnxruntime
import pytest

from core.errors import NotFoundError
from core.jobs.exports import Exports
from tests.finished import made, store
from tests.prepared import models
from tests.unit.experiments.places import make_place

__all__ = ["made", "models"]
WAIT_S = 180


@pytest.fixture
def place(tmp_path):
    return make_place(tmp_path / "home")


def ended(exports, who, run):
    """Wait for the end of a conversion; return where it stands and the fractions that were told meanwhile."""
    until, told = time.monotonic() + WAIT_S, []
    while time.monotonic() < until:
        found = exports.state(who, run, "onnx")
        if found.status not in ("waiting", "running"):
            return found, told
        told.append(found.fraction)
        time.sleep(0.1)
    raise TimeoutError


def test_a_run_becomes_onnx_that_answers_as_its_file(place, made):
    (run,) = store(place.engine, place.settings, place.ada.user_id, [made[1]])
    exports = Exports(place.experiments, place.settings)
    assert exports.state(place.ada, run, "onnx").status == "none"
    exports.start(place.ada, run, "onnx")
    exports.start(place.ada, run, "onnx")  # a second click changes nothing
    found, told = ended(exports, place.ada, run)
    assert found.status == "ready", found.error
    assert told == sorted(told)
    assert found.checked["same"] == 1
    assert found.checked["apart"] < 1e-3
    session = onnxruntime.InferenceSession(found.path, providers=["CPUExecutionProvider"])
    assert session.get_outputs()[0].shape[-1] == 10
    again = Exports(place.experiments, place.settings)  # as after a restart
    assert again.state(place.ada, run, "onnx").status == "ready"


def test_a_file_that_cannot_be_converted_is_one_sentence_and_leaves_nothing(place, made):
    damaged = type(made[1])(made[1].record, {**made[1].files, "model.tflite": b"\x1c\0\0\0TFL3" + bytes(64)})
    (run,) = store(place.engine, place.settings, place.ada.user_id, [damaged])
    exports = Exports(place.experiments, place.settings)
    exports.start(place.ada, run, "onnx")
    found, _ = ended(exports, place.ada, run)
    assert found.status == "failed"
    assert str(found.error)
    assert not list((place.settings.home / "exports").iterdir())


def test_only_what_one_may_read_is_converted(place, made):
    (run,) = store(place.engine, place.settings, place.ada.user_id, [made[1]])
    exports = Exports(place.experiments, place.settings)
    for who, name, form in ((place.ben, run, "onnx"), (place.ada, run, "saved_model"), (place.ada, run, "../x"),
                            (place.ada, "0" * 36, "onnx")):
        with pytest.raises(NotFoundError):
            exports.state(who, name, form)
        with pytest.raises(NotFoundError):
            exports.start(who, name, form)
