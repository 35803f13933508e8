"""Following channels through models and removing them, without any choice of which."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras

from core.engine.channels import choice
from core.engine.channels.costs import Counter
from core.engine.channels.dependencies import STAYS, trace
from core.engine.channels.importance import lose, refit
from core.engine.channels.refit import mend
from core.engine.channels.surgery import rebuild
from core.engine.channels.timing import fraction_for_time
from core.engine.convert import to_tflite
from core.engine.reconstruction.fold import flatten
from core.engine.reconstruction.solvers import Problem
from core.engine.reconstruction.statistics import Accumulator
from core.errors import InputError
from core.measurement.macs import total_macs
from core.measurement.tflite_file import read_tflite
from tests.unit.engine.channels_case import L, difference, lively, some_of, zoo_of_layers

APPLICATIONS = ["MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "ResNet50", "DenseNet121",
                "EfficientNetB0"]


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_the_smaller_model_equals_the_masked_one_for_every_kind_of_layer():
    model = zoo_of_layers()
    gap, smaller, found = difference(model, 0.3, noise(4, 12, 12, 3))
    assert gap < 1e-5
    assert not found.unfollowed
    widths = {layer.name: layer.output.shape[-1] for layer in smaller.layers}
    # The grouped convolution ties the stem, its own four groups and the addition together.
    assert widths["stem"] == widths["grouped"] == widths["branch"] == 12
    assert widths["deep"] == 2 * widths["expand"] == widths["gate"] == 34
    assert widths["squeeze"] == 5
    assert widths["dense"] == 23
    assert widths["answers"] == 5
    assert isinstance(smaller.get_layer("separable"), L.SeparableConv2D)
    rebuilt = tf_keras.Model.from_config(smaller.get_config())
    assert rebuilt.count_params() == smaller.count_params() < model.count_params()


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_thirty_percent_of_the_channels_of_a_known_architecture_go(name):
    model = lively(getattr(tf_keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=10))
    gap, smaller, found = difference(model, 0.3, noise(4, 64, 64, 3))
    assert gap < 1e-4
    assert not found.unfollowed
    assert smaller.count_params() < 0.6 * model.count_params()


def test_a_layer_that_cannot_be_followed_keeps_its_channels_and_is_named():
    image = L.Input((8, 8, 3))
    x = L.Conv2D(8, 3, name="before")(image)
    x = L.LayerNormalization(name="norm")(x)
    x = L.Conv2D(8, 3, name="between")(x)
    x = L.Permute((3, 1, 2), name="turn")(L.Conv2D(6, 1, name="turned")(x))
    x = L.Dense(4, name="answers")(L.Flatten()(x))
    model = lively(tf_keras.Model(image, x))
    found = trace(model)
    assert found.unfollowed == ("norm", "turn")
    assert [g.name for g in found.groups] == ["between"]
    assert (found.at_layer["before", "out"] == STAYS).all()
    gap, smaller, _ = difference(model, 0.5, noise(2, 8, 8, 3))
    assert gap < 1e-5
    assert smaller.get_layer("before").filters == 8
    assert smaller.get_layer("between").filters == 4


def test_a_normalization_of_the_input_keeps_nothing_back():
    image = L.Input((6, 6, 3))
    x = L.Normalization(name="normalization")(L.Rescaling(1 / 255)(image))
    x = L.Conv2D(8, 1, name="first")(x)
    model = lively(tf_keras.Model(image, L.Flatten()(L.Conv2D(4, 1, name="answers")(x))))
    model.get_layer("normalization").set_weights([np.array([0.4, 0.5, 0.6]), np.array([0.1, 0.2, 0.3]), np.array(0)])
    gap, smaller, found = difference(model, 0.5, noise(2, 6, 6, 3))
    assert not found.unfollowed
    assert gap < 1e-5
    assert smaller.get_layer("first").filters == 4


def test_a_layer_called_twice_loses_the_same_channels_in_both_places():
    image = L.Input((6, 6, 3))
    shared = L.Conv2D(8, 1, name="shared")
    x = shared(L.Conv2D(8, 1, activation="relu", name="first")(image))
    x = L.Dense(3, name="answers")(L.Flatten()(shared(x)))
    gap, smaller, found = difference(lively(tf_keras.Model(image, x)), 0.25, noise(2, 6, 6, 3))
    assert gap < 1e-5
    assert len(found.groups) == 1
    assert smaller.get_layer("shared").filters == smaller.get_layer("first").filters == 6


def test_multiply_accumulates_are_those_of_the_file(tmp_path):
    image = L.Input((12, 12, 3))
    x = L.Conv2D(12, 3, strides=2, padding="same", name="a", activation="relu")(image)
    x = L.DepthwiseConv2D(3, padding="same", name="b")(x)
    x = L.Conv2D(20, 1, name="c", activation="relu")(x)
    plain = tf_keras.Model(image, L.Dense(5, name="d")(L.GlobalAveragePooling2D()(x)))
    file = tmp_path / "plain.tflite"
    file.write_bytes(to_tflite(plain, scheme="float32"))
    assert Counter(trace(plain)).total == total_macs(read_tflite(file))
    flat = zoo_of_layers_flat()
    found = trace(flat)
    removed = some_of(found, 0.4)
    counter = Counter(found)
    for index, group in enumerate(found.groups):
        counter.remove(index, sum(int(u) in removed for u in group.units))
    assert counter.left() == pytest.approx(Counter(trace(rebuild(flat, found, removed))).total)


def test_counted_parameters_are_the_weights_of_the_layers():
    image = L.Input((8, 8, 3))
    x = L.DepthwiseConv2D(3, depth_multiplier=2, name="deep")(L.Conv2D(8, 3, strides=2, name="first")(image))
    x = L.Flatten()(L.Conv2D(12, 1, groups=2, name="grouped")(x))
    model = lively(tf_keras.Model(image, L.Dense(5, name="answers")(x)))
    weights = sum(layer.get_weights()[0].size for layer in model.layers if layer.weights)
    assert Counter(trace(model), "parameters").total == weights


def test_the_least_fraction_that_takes_the_time_away_is_found(tmp_path):
    def ratio(whole, smaller):  # time falls with the square root of the bytes
        return (len(whole.read_bytes()) / len(smaller.read_bytes())) ** 0.5

    def build(fraction):
        return bytes(round(10_000 * (1 - fraction)))

    share, timed = fraction_for_time(build, bytes(10_000), 0.2, 0.9, tmp_path, ratio=ratio)
    assert share == pytest.approx(0.36, abs=0.02)
    assert share >= 0.36 - 1e-3
    assert len(timed) > 3
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="50%"):
        fraction_for_time(build, bytes(10_000), 0.6, 0.75, tmp_path, ratio=ratio)


@pytest.mark.parametrize("target", ["macs", "parameters", "channels"])
@pytest.mark.parametrize("round_to", [1, 4])
@pytest.mark.parametrize("choose", [choice.by_damage, choice.evenly])
def test_the_target_is_met_and_hardly_exceeded(target, round_to, choose):
    found = trace(zoo_of_layers_flat())
    damage = np.random.default_rng(0).uniform(size=found.count)
    removed = choose(found, damage, target, 0.4, round_to)
    rows = choice.summary(found, removed)
    assert len(set(removed)) == len(removed)
    for row in rows:
        width = round_to if row["channels"] >= 4 * round_to else 1
        assert row["kept"] >= 1
        assert row["kept"] % width == 0 or row["kept"] == row["channels"]
    counter = Counter(found, target)
    for index, row in enumerate(rows):
        counter.remove(index, row["channels"] - row["kept"])
    gone = len(removed) / found.count if target == "channels" else 1 - counter.left() / counter.total
    assert 0.4 - 1e-6 <= gone <= 0.4 + 0.06 * round_to


def zoo_of_layers_flat() -> tf_keras.Model:
    return flatten(zoo_of_layers())


def test_cheap_channels_go_first():
    found = trace(zoo_of_layers_flat())
    group = next(g for g in found.groups if g.name == "dense")
    damage = np.ones(found.count)
    damage[group.units] = 0.0
    damage[group.units[3]] = 5.0
    removed = choice.by_damage(found, damage, "channels", 0.2, 1)
    assert set(removed) <= set(group.units.tolist())
    assert int(group.units[3]) not in removed


def problem(copies: bool = True) -> Problem:
    """Return a layer of 8 inputs, of which input 5 is a copy of input 2 and input 6 is silent."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1, 400, 8)).astype("float32")
    if copies:
        x[:, :, 5] = x[:, :, 2]
        x[:, :, 6] *= 1e-3
    kernel = rng.normal(size=(1, 8, 4)).astype("float32")
    sums = Accumulator(1, 8, 4)
    sums.add(x, x @ kernel, x @ kernel)
    return Problem(kernel, sums.moments())


def test_inputs_that_others_can_take_over_go_first():
    losing = lose(problem(), np.arange(8), (0.25,), 1e-4)
    assert losing.order[0] == 6
    assert losing.order[1] in (2, 5)
    assert losing.error[1] < 1e-3 < losing.error[-1]
    assert (np.diff(losing.error) >= -1e-9).all()
    gone, solved = losing.snapshots[0]
    assert gone == 2
    assert not solved.kernel[0, losing.order[:2]].any()


def test_losing_one_by_one_is_least_squares_on_what_is_left():
    given = problem(copies=False)
    losing = lose(given, np.repeat(np.arange(4), 2), (0.5,), 0.05)
    gone, solved = losing.snapshots[0]
    listens = ~np.isin(np.repeat(np.arange(4), 2), losing.order[:gone])
    assert np.allclose(solved.kernel, refit(given, listens, 0.05).kernel, atol=1e-4)


def test_a_given_order_is_kept():
    losing = lose(problem(), np.arange(8), (), 0.05, np.arange(8)[::-1])
    assert losing.order.tolist() == [7, 6, 5, 4, 3, 2, 1]


def test_which_channels_go_is_decided_anew_where_one_layer_reads_them(tmp_path):
    image = L.Input((6, 6, 8))
    x = L.Conv2D(8, 1, name="first")(image)
    model = lively(tf_keras.Model(image, L.Flatten()(L.Conv2D(4, 1, name="second")(x))))
    kernel = noise(1, 1, 8, 8)
    kernel[..., 6:] = kernel[..., :2] + kernel[..., 2:4]  # what these two make, others can take over
    model.get_layer("first").kernel.assign(kernel)
    found = trace(model)
    given = found.keep([4, 5])
    errors, kept = {}, {}
    for choose in (False, True):
        work = tf_keras.models.clone_model(model)
        work.set_weights(model.get_weights())
        errors[choose], kept[choose] = mend(work, model, found, given, [noise(32, 6, 6, 8)], tmp_path, {},
                                            ridge=1e-4, choose=choose)
    assert (kept[False] == given).all()
    assert (~kept[True]).sum() == 2
    assert kept[True][[4, 5]].all()
    assert errors[True]["second"] < 1e-3 < errors[False]["second"]
