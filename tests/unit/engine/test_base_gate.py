"""The gate before Keras: plain classifiers pass, everything that can run, read or write does not."""

import copy
import json
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from core.engine.gate import check_config, check_h5
from core.errors import InputError


@pytest.fixture(scope="module")
def model() -> tf_keras.Model:
    image = layers.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2")(image)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return tf_keras.Model(image, layers.Dense(3, activation="softmax")(x))


@pytest.fixture
def config(model: tf_keras.Model) -> dict[str, Any]:
    return json.loads(model.to_json())


@pytest.fixture
def h5(model: tf_keras.Model, tmp_path: Path) -> Path:
    model.save(tmp_path / "model.h5", save_format="h5")
    return tmp_path / "model.h5"


def rewrite(path: Path, config: object) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(config)


def test_a_plain_classifier_passes(config: dict[str, Any], h5: Path) -> None:
    check_config(config, "model.h5")
    check_h5(h5)


def test_keras_applications_pass() -> None:
    for build in (tf_keras.applications.MobileNetV2, tf_keras.applications.EfficientNetB0):
        model = build(weights=None, classes=9, input_shape=(32, 32, 3))
        check_config(json.loads(model.to_json()), "model.h5")


def layer(class_name: str, **config: object) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": "x", **config}, "name": "x", "inbound_nodes": []}


@pytest.mark.parametrize("bad", [
    layer("Lambda", function=["4wEAAA==", None, None]),
    layer("TFOpLambda", function="io.write_file"),
    layer("SlicingOpLambda", function="__operators__.getitem"),
    layer("TFSMLayer", filepath="/tmp/x"),
    layer("TextVectorization", vocabulary="/etc/passwd"),
    layer("StringLookup", vocabulary="/etc/passwd"),
    layer("Dense", units=10**9),
    layer("Dense", units=float("inf")),
    layer("Dense", units=float("nan")),
    layer("Dense", units=4, activation="os.system"),
    layer("Dense", units=4, activation={"class_name": "function", "config": "system", "module": "os"}),
    layer("Dense", units=4, kernel_initializer={"module": "os", "class_name": "Zeros", "config": {}}),
    layer("Dense", units=4, kernel_initializer={"class_name": "Zeros", "config": {},
                                                "registered_name": "pkg>Evil"}),
    layer("MyLayer"),
    layer("Dense", units=4) | {"config": {"name": "../../etc/cron.d/x", "units": 4}},
    layer("Dense", units=4) | {"config": {"name": "a\x00b", "units": 4}},
], ids=lambda bad: f"{bad['class_name']}-{zlib.crc32(json.dumps(bad).encode())}")
def test_what_could_run_is_refused(config: dict[str, Any], h5: Path, bad: dict[str, Any]) -> None:
    hostile = copy.deepcopy(config)
    hostile["config"]["layers"].insert(1, bad)
    with pytest.raises(InputError, match="not admitted"):
        check_config(hostile, "model.h5")
    rewrite(h5, hostile)
    with pytest.raises(InputError, match="not admitted"):
        check_h5(h5)


@pytest.mark.parametrize("root", [None, 1, [], {}, {"class_name": "Lambda"}, {"class_name": ["Model"]}])
def test_a_root_that_is_no_model_is_refused(root: object) -> None:
    with pytest.raises(InputError):
        check_config(root, "model.h5")


def test_depth_is_bounded(config: dict[str, Any]) -> None:
    deep: Any = 0
    for _ in range(100):
        deep = {"a": deep}
    config["config"]["extra"] = deep
    with pytest.raises(InputError):
        check_config(config, "model.h5")


def test_files_may_not_point_elsewhere(h5: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"root:x:0:0:root:" * 8)

    def external(file: h5py.File) -> None:
        file.create_dataset("x", (16,), "f4", external=[(str(secret), 0, 64)])

    def linked(file: h5py.File) -> None:
        file["x"] = h5py.ExternalLink("other.h5", "/")

    def soft(file: h5py.File) -> None:
        file["x"] = h5py.SoftLink("/model_weights")

    def cycle(file: h5py.File) -> None:
        file["model_weights/x"] = file["/"]

    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "y", (4,))
        file.create_virtual_dataset("x", layout)

    def text(file: h5py.File) -> None:
        file["x"] = "text"

    def bomb(file: h5py.File) -> None:
        file.create_dataset("x", (10**6, 10**6), "f4", chunks=(100, 100))

    original = h5.read_bytes()
    for spoil in (external, linked, soft, cycle, virtual, text, bomb):
        h5.write_bytes(original)
        with h5py.File(h5, "r+") as file:
            spoil(file)
        with pytest.raises(InputError, match="not admitted"):
            check_h5(h5)


def test_mutated_and_foreign_files_are_refused_or_sound(h5: Path) -> None:
    original = h5.read_bytes()
    h5.write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(InputError):
        check_h5(h5)
    rng = np.random.default_rng(0)
    for length in rng.integers(0, len(original), 20):
        h5.write_bytes(original[:length])
        with pytest.raises(InputError):
            check_h5(h5)


def test_weights_alone_are_no_model(model: tf_keras.Model, tmp_path: Path) -> None:
    model.save_weights(tmp_path / "only.h5", save_format="h5")
    with pytest.raises(InputError, match="only weights"):
        check_h5(tmp_path / "only.h5")
