"""A network with its batch norms as they are on other pictures, and the way back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tf_keras

from core.engine.reconstruction.adapted import Adaptation, batch_norms
from core.engine.reconstruction.fold import fold
from tests.unit.engine.test_reconstruction_parts import batches, conv_net
from tests.unit.engine.test_reconstruction_parts import images as small

LAYERS = tf_keras.layers


def net(seed: int = 0) -> tf_keras.Model:
    """Return a network with normalization after a convolution with bias, after a depthwise one, and on its own."""
    tf_keras.utils.set_random_seed(seed)
    inputs = tf_keras.Input((16, 16, 3))
    x = LAYERS.Conv2D(8, 3, name="first")(inputs)
    x = LAYERS.ReLU()(LAYERS.BatchNormalization(name="norm-first")(x))
    x = LAYERS.DepthwiseConv2D(3, use_bias=False, name="deep")(x)
    x = LAYERS.ReLU(6.0)(LAYERS.BatchNormalization(scale=False, name="norm-deep")(x))
    x = LAYERS.BatchNormalization(name="alone")(x)
    x = LAYERS.GlobalAveragePooling2D()(x)
    model = tf_keras.Model(inputs, LAYERS.Dense(4, activation="softmax", name="head")(x))
    random = np.random.default_rng(seed)
    for operation in batch_norms(model):
        operation.layer.set_weights([
            random.uniform(0.5, 1.5, w.shape) if "variance" in v.name or "gamma" in v.name
            else random.normal(0, 0.3, w.shape) for v, w in zip(operation.layer.weights,
                                                               operation.layer.get_weights(), strict=True)])
    return model


def images(count: int) -> np.ndarray:
    """Return float32 [count, 16, 16, 3] of correlated noise."""
    noise = np.random.default_rng(3).normal(0.3, 1, (count, 16, 16, 3))
    return (noise + np.roll(noise, 1, 1) + noise.mean((1, 2), keepdims=True)).astype(np.float32)


def adaptation_to(model: tf_keras.Model, given: np.ndarray, folder: Path) -> Adaptation:
    """Return what the pictures make of the model's batch norms."""
    return Adaptation(model, fold(model).absorbed, batches(given), folder)


def away_from_home(model: tf_keras.Model, layer: str, folder: Path) -> np.ndarray:
    """Return what a layer of the folded model puts out on 64 pictures that it was made at home on."""
    given, away = images(64), fold(model).model
    adaptation_to(model, given, folder).away(away)
    return tf_keras.Model(away.input, away.get_layer(layer).output)(given).numpy()


def test_there_and_back_is_the_original_again(tmp_path):
    for model, given in ((net(), images(24)), (conv_net(), small(24))):
        before = [w.copy() for w in model.get_weights()]
        adaptation = adaptation_to(model, given, tmp_path)
        work = fold(model).model
        adaptation.away(work)
        assert not np.allclose(work.predict(given, verbose=0), model.predict(given, verbose=0), atol=1e-4)
        adaptation.home(work)
        for found, wanted in zip(work.get_weights(), fold(model).model.get_weights(), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
        assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert not list(tmp_path.iterdir())


def test_channels_have_the_moments_of_the_training_again(tmp_path):
    model = net()
    norm, inside = model.get_layer("norm-first"), away_from_home(model, "first", tmp_path)
    np.testing.assert_allclose(inside.mean((0, 1, 2)), norm.beta, atol=2e-2)
    np.testing.assert_allclose(inside.std((0, 1, 2)), np.abs(norm.gamma), rtol=3e-2)


def test_a_normalization_on_its_own_is_moved_too(tmp_path):
    model = net()
    norm, inside = model.get_layer("alone"), away_from_home(model, "alone", tmp_path)
    np.testing.assert_allclose(inside.mean((0, 1, 2)), norm.beta, atol=3e-2)
    spread, wanted = inside.std((0, 1, 2)), np.abs(norm.gamma)
    assert (spread < 1.05 * wanted).all()  # less where it was further off than is believed
    assert np.isclose(spread, wanted, rtol=0.05).sum() >= 4


def test_a_changed_kernel_comes_home_scaled_and_with_its_shift(tmp_path):
    model, given = net(), images(24)
    adaptation, work = adaptation_to(model, given, tmp_path), fold(model).model
    whole = work.get_layer("first").get_weights()
    adaptation.away(work)
    kernel, bias = work.get_layer("first").get_weights()
    work.get_layer("first").set_weights([kernel * 0.5, bias + 0.25])
    adaptation.home(work)
    now = work.get_layer("first").get_weights()
    np.testing.assert_allclose(now[0], 0.5 * whole[0], rtol=1e-4, atol=1e-5)
    # The output's mean moved by 0.25 on the pictures: by the same share of the spread that the training saw.
    np.testing.assert_allclose(now[1] - whole[1], 0.25 * np.abs(whole[0] / kernel).mean((0, 1, 2)), rtol=1e-3,
                               atol=1e-5)
