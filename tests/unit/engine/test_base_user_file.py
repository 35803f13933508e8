"""A person adds the missing weights: the waiting model becomes ready, or says why not."""

from pathlib import Path

import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from core.engine.base import load_base
from core.errors import InputError
from core.inference import classifier
from core.settings import Settings
from core.zoo import Library

NAME = "suspect-detection"


def mobile_net(classes: int) -> tf_keras.Model:
    """A few inverted residual blocks in the manner of MobileNetV2, with random weights."""
    tf_keras.utils.set_random_seed(0)

    def normalized(x: object, activate: bool = True) -> object:
        x = layers.BatchNormalization()(x)
        return layers.ReLU(6.0)(x) if activate else x

    image = layers.Input((224, 224, 3))
    x = normalized(layers.Conv2D(8, 3, strides=4, padding="same", use_bias=False)(image))
    for stride, filters in ((2, 12), (1, 12)):
        y = normalized(layers.Conv2D(filters * 3, 1, use_bias=False)(x))
        y = normalized(layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(y))
        y = normalized(layers.Conv2D(filters, 1, use_bias=False)(y), activate=False)
        x = layers.Add()([x, y]) if stride == 1 else y
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return tf_keras.Model(image, layers.Dense(classes, activation="softmax")(x))


def place(library: Library, model: tf_keras.Model) -> Path:
    path = library.prepared_folder(NAME) / "model.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    model.compile("adam", "categorical_crossentropy")  # as training leaves it
    model.save(path, save_format="h5")
    return path


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_placed_file_becomes_a_served_model(settings: Settings) -> None:
    library = Library(settings)
    assert library.status(NAME) == "waiting"
    model = mobile_net(9)
    place(library, model)
    assert library.status(NAME) == "preparing"
    library.prepare(names=[NAME])
    assert library.status(NAME) == "ready"
    photos = np.random.default_rng(0).uniform(-1, 1, (2, 224, 224, 3)).astype(np.float32)
    expected = model(photos).numpy()
    np.testing.assert_allclose(classifier(library.artifact(NAME)).predict(photos), expected, atol=1e-5)
    np.testing.assert_allclose(classifier(library.artifact(NAME, "int8")).predict(photos), expected, atol=0.05)
    base = load_base(library.card(NAME), settings)
    np.testing.assert_allclose(base(photos).numpy(), expected, atol=1e-6)

    place(library, mobile_net(4))
    assert library.status(NAME) == "preparing"
    with pytest.raises(InputError, match="9 classes"):
        library.prepare(names=[NAME])
    assert library.status(NAME) == "failed"
    assert not list(library.prepared_folder(NAME).glob("*.tflite"))


def test_a_file_with_a_lambda_runs_nothing(settings: Settings, tmp_path: Path) -> None:
    library, target = Library(settings), tmp_path / "ran"
    name = str(target)
    image = layers.Input((224, 224, 3))
    flat = layers.GlobalAveragePooling2D()(image)
    scores = layers.Dense(9, activation="softmax")(flat)
    hostile = tf_keras.Model(image, layers.Lambda(lambda x: (open(name, "w").close(), x)[1])(scores))  # noqa: PTH123
    place(library, hostile)
    target.unlink(missing_ok=True)
    with pytest.raises(InputError, match="not admitted"):
        library.prepare(names=[NAME])
    assert not target.exists()
    progress = library.progress(NAME)
    assert progress is not None
    assert "not admitted" in progress.explain(str)
