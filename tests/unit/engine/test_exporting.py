"""Models in other formats, as the files say it themselves."""

import io
import zipfile

import numpy as np
import onnx
import pytest
import tensorflow as tf

from core.engine import digits
from core.engine.convert import to_tflite
from core.engine.exporting import write_onnx, write_saved_model
from core.errors import InputError


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    tf.keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    model = digits.architecture()
    model.save(path)
    return path, model


def test_a_saved_model_is_a_zip_that_answers_as_the_model(keras, tmp_path):
    path, model = keras
    checked = write_saved_model(path, tmp_path)
    assert checked["apart"] < 1e-5
    with zipfile.ZipFile(io.BytesIO((tmp_path / "result").read_bytes())) as archive:
        archive.extractall(tmp_path / "unpacked")
    images = np.random.default_rng(1).random((3, 8, 8, 1), np.float32)
    again = tf.saved_model.load(str(tmp_path / "unpacked" / "saved_model"))
    np.testing.assert_allclose(again.serve(images), model(images), atol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["result", "unpacked"]


@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_onnx_keeps_whole_numbers_whole(keras, tmp_path, scheme):
    images = np.random.default_rng(2).random((40, 8, 8, 1), np.float32)
    (tmp_path / "model.tflite").write_bytes(to_tflite(keras[1], scheme=scheme, calibration=[images]))
    checked = write_onnx(tmp_path / "model.tflite", tmp_path)
    assert checked["same"] >= 0.75
    graph = onnx.load_from_string((tmp_path / "result").read_bytes()).graph
    kinds = {onnx.TensorProto.DataType.Name(weight.data_type) for weight in graph.initializer if len(weight.dims) > 1}
    assert ("INT8" in kinds) is (scheme == "int8")


def test_a_file_that_is_none_is_one_sentence(tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    with pytest.raises(InputError, match="cannot be written as ONNX"):
        write_onnx(tmp_path / "model.tflite", tmp_path)
