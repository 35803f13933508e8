import threading
import time

import numpy as np
import pytest

from core.errors import BusyError, InputError, StorageError
from core.inference import Classifier, classifier, rank
from core.inference.classifier import KEPT


@pytest.fixture
def expected(tflite):
    with np.load(tflite / "expected.npz") as data:
        return data["photos"], data["probabilities"]


@pytest.mark.parametrize(("name", "tolerance"), [
    ("float32", 1e-5), ("int8", 0.03), ("uint8", 0.03), ("int16", 0.01)])
def test_every_input_type_gives_the_answers_of_the_keras_model(tflite, expected, name, tolerance):
    photos, probabilities = expected
    model = Classifier(tflite / f"{name}.tflite")
    assert model.input_shape == (16, 16, 3)
    assert model.classes == 4
    answer = model.predict(photos)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, probabilities, atol=tolerance)


def test_softmax_is_applied_to_raw_scores(tflite, expected):
    photos, probabilities = expected
    model = Classifier(tflite / "logits.tflite", logits=True)
    np.testing.assert_allclose(model.predict(photos), probabilities, atol=1e-5)


def test_values_beyond_the_quantized_range_saturate_instead_of_wrapping(tflite, expected):
    photos, _ = expected
    model = Classifier(tflite / "int8.tflite")
    np.testing.assert_array_equal(model.predict(np.full_like(photos[:1], 1e6)),
                                  model.predict(np.full_like(photos[:1], 50)))


@pytest.mark.parametrize("shape", [(1, 8, 16, 3), (1, 16, 16, 1), (16, 16, 3)])
def test_a_wrong_shape_is_an_input_error_that_names_the_shape(tflite, shape):
    with pytest.raises(InputError, match="16 x 16 x 3"):
        Classifier(tflite / "float32.tflite").predict(np.zeros(shape, np.float32))


def test_a_model_that_is_no_image_classifier_is_refused(tflite):
    with pytest.raises(InputError, match=r"table\.tflite is not an image classifier"):
        Classifier(tflite / "table.tflite")


@pytest.mark.parametrize("content", [
    b"", b"TFL3", b"\x1c\0\0\0TFL3", b"\x1c\0\0\0TFL3" + b"\xff" * 200,
    b"\x89PNG\r\n\x1a\n" + b"\0" * 100])
def test_a_damaged_file_is_a_storage_error(tmp_path, content):
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"broken\.tflite"):
        Classifier(path)


def test_a_file_cut_in_half_is_a_storage_error(tflite, tmp_path):
    path = tmp_path / "half.tflite"
    whole = (tflite / "float32.tflite").read_bytes()
    path.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(StorageError):
        Classifier(path)


def test_a_missing_file_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError):
        classifier(tmp_path / "gone.tflite")


def test_many_threads_get_the_answers_of_one(tflite, expected):
    photos, _ = expected
    model = Classifier(tflite / "float32.tflite", interpreters=2)
    alone = model.predict(photos)
    together = [None] * 16

    def ask(place):
        together[place] = model.predict(photos)

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in together:
        np.testing.assert_array_equal(answer, alone)
    assert len(model._idle) <= 2


def test_waiting_for_an_interpreter_has_a_limit(tflite, expected):
    photos, _ = expected
    model = Classifier(tflite / "float32.tflite", interpreters=1, wait_s=0.05)
    with model._borrow(), pytest.raises(BusyError):
        model.predict(photos)
    assert model.predict(photos).shape == (32, 4)


def test_the_pool_returns_one_classifier_until_the_file_changes(tflite, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes((tflite / "float32.tflite").read_bytes())
    first = classifier(path)
    assert classifier(path) is first
    time.sleep(0.01)
    path.write_bytes((tflite / "int8.tflite").read_bytes())
    assert classifier(path) is not first


def test_the_pool_forgets_the_model_used_longest_ago(tflite, tmp_path):
    paths = [tmp_path / f"{number}.tflite" for number in range(KEPT + 1)]
    for path in paths:
        path.write_bytes((tflite / "float32.tflite").read_bytes())
    first, second = classifier(paths[0]), classifier(paths[1])
    for path in paths[2:]:
        assert classifier(paths[1]) is second
        classifier(path)
    assert classifier(paths[0]) is not first


def test_a_closed_classifier_says_so(tflite, expected):
    photos, _ = expected
    model = Classifier(tflite / "float32.tflite")
    model.close()
    with pytest.raises(StorageError):
        model.predict(photos)


def test_ranking_is_by_probability_and_ties_keep_their_order():
    ranked = rank(np.array([0.1, 0.4, 0.1, 0.4], np.float32), ["a", "b", "c", "d"], top=3)
    assert [(p.index, p.label) for p in ranked] == [(1, "b"), (3, "d"), (0, "a")]
    assert ranked[0].probability == pytest.approx(0.4)


def test_fewer_classes_than_asked_for_gives_them_all():
    assert len(rank(np.array([0.9, 0.1], np.float32), ["a", "b"], top=5)) == 2


def test_labels_that_do_not_fit_are_an_error():
    with pytest.raises(InputError, match="3 classes but 2 labels"):
        rank(np.zeros(3, np.float32), ["a", "b"])
