"""Training with rounding: equal rewriting, kept zeros and shared values, int8 files, and models with odd layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from core.datasets import batches, open_dataset
from core.engine import artifact
from core.engine.base import load_base
from core.engine.facts import model_facts
from core.engine.methods.frame import Context, State, kernels, method_for
from core.engine.pipeline import RunData, run_recipe
from core.engine.probabilities import predict
from core.engine.reconstruction.graph import copy_of
from core.engine.training_aware import ranges, rounding
from core.engine.training_aware.rewriting import rewritten
from core.engine.training_aware.ties import Tie
from core.errors import InputError
from core.measurement.promises import distinct_values
from core.recipes import check, load_recipe, read_step
from core.settings import settings
from core.zoo import Library
from tests.unit.engine.digits_case import accuracy, context, images, original, state

KIND = "quantization_aware_training"
L = tf_keras.layers


def carry_out(kind, given=None, n=320, **fields):
    step = read_step({"step": kind, **fields})
    return method_for(step)(step, given or state(), context(n))


def then(given, outcome):
    return replace(given, model=outcome.model, masks=outcome.masks or {}, promise=outcome.promise)


def odd_model(extra=lambda x: x) -> tf_keras.Model:
    tf_keras.utils.set_random_seed(3)
    image = L.Input((8, 8, 3), name="image")
    x = L.SeparableConv2D(8, 3, padding="same", activation="swish", name="separable")(image)
    x = L.BatchNormalization(name="norm")(x)
    x = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = L.BatchNormalization(name="depthwise_norm")(x)
    x = L.ReLU(6.0, name="clipped")(x)
    y = L.Conv2D(8, 1, activation="sigmoid", name="gate")(x)
    x = L.Dropout(0.2, name="dropout")(L.Multiply(name="gated")([x, y]))
    x = L.Add(name="sum")([x, L.Conv2D(8, 3, padding="same", activation="relu", name="side")(image)])
    x = L.Concatenate(name="both")([L.MaxPooling2D(name="max")(x), L.AveragePooling2D(name="mean")(extra(x))])
    x = L.Conv2D(6, 1, name="before_relu")(x)
    x = L.GlobalAveragePooling2D(name="pool")(L.Activation("relu", name="relu")(x))
    model = tf_keras.Model(image, L.Dense(5, activation="softmax", name="head")(x), name="odd")
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


@pytest.fixture
def pictures():
    return np.random.default_rng(1).uniform(-1, 1, (64, 8, 8, 3)).astype(np.float32)


def test_rewriting_computes_the_same(pictures):
    model = odd_model()
    new = rewritten(model)
    assert np.allclose(predict(model, pictures), predict(new, pictures), atol=1e-5)
    kinds = {type(layer).__name__ for layer in new.layers}
    assert not kinds & {"SeparableConv2D", "BatchNormalization", "Dropout"}
    names = {layer.name for layer in new.layers}
    assert {"separable_depthwise", "separable", "separable_swish", "gate_sigmoid", "head_softmax"} <= names


def test_every_layer_of_an_odd_model_computes_in_int8(pictures):
    bare = rewritten(odd_model())
    model = rounding.with_rounding(bare, ())
    given = context(0)
    ranges.begin(model, ranges.measured(bare, pictures, given), "image")
    rounding.fit_weights(model)
    assert np.abs(model(pictures, training=False).numpy() - predict(bare, pictures)).max() < 0.05
    content = rounding.to_int8(model, "float")
    promise = State(bare, bare).promise.also(scheme="int8")
    artifact.check_promise(content, promise)
    file = artifact.parse(content)
    scales = {w.layer: w.tensor.scale.size for w in file.weights}
    assert scales["depthwise"] == scales["side"] == 8  # a scale per channel, the depthwise one included
    found = artifact.answers(content, pictures)
    assert np.abs(found - model(pictures, training=False).numpy()).max() < 0.02  # what was trained is what ships
    whole = rounding.to_int8(model, "int8")
    artifact.check_promise(whole, promise.also(io="int8"))


def test_a_layer_that_cannot_be_quantized_is_named_before_the_run_and_stays_in_float_on_request(pictures, tmp_path):
    model = odd_model(lambda x: L.LayerNormalization(name="layer_norm")(x))
    step = {"step": KIND, "epochs": 1}
    with pytest.raises(InputError, match=r"layer_norm \(LayerNormalization\)") as refused:
        check(load_recipe({"steps": [step]}), model_facts(model))
    assert refused.value.parameters["nearest_steps"][0]["unsupported"] == "float"
    made = run_recipe(model, load_recipe({"steps": [step | {"unsupported": "float"}]}),
                      RunData(pictures, pictures), tmp_path)
    found = {f["code"]: f for f in made.steps[0]["findings"]}
    assert found["layers-in-float"]["parameters"]["layers"] == "layer_norm"
    file = artifact.parse(made.tflite.read_bytes())
    assert all(w.tensor.type == "int8" for w in file.weights)


def test_ties_hold_zeros_and_shared_values():
    kernel = tf.Variable([[0.0, 1.0, 1.0], [2.0, 2.0, 0.0]])
    tie = Tie(kernel, np.array([[False, True, True], [True, True, True]]), shared=True)
    kernel.assign([[0.5, 1.0, 2.0], [3.0, 5.0, 0.7]])
    tie.hold()
    assert np.allclose(kernel.numpy(), [[0.0, 1.5, 1.5], [4.0, 4.0, 0.6]])
    tie.hold()
    assert kernel.numpy()[0, 0] == 0


@pytest.mark.parametrize(("earlier", "way", "most"), [
    pytest.param((), "QAT", 256, marks=pytest.mark.slow),
    (({"kind": "magnitude", "sparsity": 0.5},), "PQAT", 256),
    (({"kind": "cluster", "clusters": 16},), "CQAT", 16),
    (({"kind": "magnitude", "sparsity": 0.5}, {"kind": "cluster", "clusters": 32}), "PCQAT", 32),
    pytest.param(({"kind": "cluster", "clusters": 16, "per": "scaled"},), "CQAT", 16, marks=pytest.mark.slow),
])
def test_what_earlier_steps_promised_holds_in_the_int8_file(tmp_path, earlier, way, most):
    given = state()
    for fields in earlier:
        step = read_step({"step": fields["kind"], **{k: v for k, v in fields.items() if k != "kind"}})
        given = then(given, method_for(step)(step, given, context(320, scratch=tmp_path)))
    masks = dict(given.masks)
    outcome = carry_out(KIND, given, n=600, epochs=2, learning_rate=1e-3)
    assert outcome.details["way"] == way
    artifact.check_promise(outcome.artifact, outcome.promise)
    file = artifact.parse(outcome.artifact)
    assert {w.tensor.type for w in file.weights} == {"int8"}
    for weight in file.weights:
        assert np.unique(weight.tensor.values).size <= most
        assert distinct_values(weight) <= most
    for name, mask in masks.items():
        weight = next(w for w in file.weights if w.is_of(name))
        dropped = (~mask).reshape(-1, mask.shape[-1]).T  # a file's kernels begin with the outputs
        stored = weight.tensor.values.reshape(dropped.shape)
        assert not stored[dropped].any()
    if most < 256 and not outcome.promise.grid:
        assert all(np.unique(v.numpy()).size <= most for v in kernels(outcome.model).values())
    x, y = images()["test"]
    reached = (artifact.answers(outcome.artifact, x).argmax(1) == y).mean()
    assert reached > accuracy(predict(original(), x)) - 0.03


def test_without_labels_the_originals_answers_are_the_targets():
    step = read_step({"step": KIND, "epochs": 1})
    outcome = method_for(step)(step, state(), context(96, labels=False))
    assert "no-labels" in [f.code for f in outcome.findings]
    assert outcome.details["loss_after"] <= outcome.details["loss_before"]


@pytest.mark.slow
def test_training_is_the_same_again_with_the_same_seed():
    files = [artifact.parse(carry_out(KIND, n=96, epochs=1).artifact) for _ in range(2)]
    for one, other in zip(*(file.weights for file in files), strict=True):  # names of operators may count on
        assert np.array_equal(one.tensor.values, other.tensor.values)
        assert np.array_equal(one.tensor.scale, other.tensor.scale)


def test_cancelling_stops_it():
    step = read_step({"step": KIND, "epochs": 1000})
    calls = []

    def cancelled():
        calls.append(1)
        return len(calls) > 12

    with pytest.raises(Exception, match="cancelled"):
        method_for(step)(step, state(), context(96, cancelled=cancelled))


def test_too_few_images_are_refused():
    with pytest.raises(InputError, match="at least 8 images"):
        carry_out(KIND, n=4)


@pytest.mark.parametrize(("steps", "words", "nearest"), [
    ([{"step": KIND}, {"step": "quantize"}], "writes the int8 file itself", [KIND]),
    ([{"step": "quantize"}, {"step": KIND}], "writes the int8 file itself", [KIND]),
    ([{"step": KIND}, {"step": "magnitude"}], "must be the last step", ["magnitude", KIND]),
    ([{"step": KIND}, {"step": "distill"}], "must be the last step", [KIND]),
    ([{"step": KIND}, {"step": KIND}], "twice", [KIND]),
    ([{"step": KIND, "io": "int8", "unsupported": "float"}], "no layer in float", [KIND]),
])
def test_what_cannot_follow_is_refused(steps, words, nearest):
    with pytest.raises(InputError, match=words) as refused:
        check(load_recipe({"steps": steps}))
    assert [s["step"] for s in refused.value.parameters["nearest_steps"]] == nearest


@pytest.mark.slow
def test_half_of_efficientnet_stays_zero_through_a_tiny_epoch():
    given = settings()
    card = Library(given).card("efficientnet-lite0")
    model = load_base(card, given)
    photos = open_dataset("photos:24", given)
    seen = np.concatenate(list(batches(photos, range(24), card.preprocessing, 8)))
    step = read_step({"step": "magnitude", "sparsity": 0.3})
    surroundings = Context(seen, seen)
    pruned = method_for(step)(step, State(copy_of(model), model), surroundings)
    after = State(pruned.model, model, pruned.masks or {}, pruned.promise)
    training = read_step({"step": KIND, "epochs": 1, "batch_size": 8, "learning_rate": 1e-5})
    outcome = method_for(training)(training, after, surroundings)
    artifact.check_promise(outcome.artifact, outcome.promise)
    file = artifact.parse(outcome.artifact)
    assert {w.tensor.type for w in file.weights} == {"int8"}
    depthwise = [w for w in file.weights if w.operator.name == "DEPTHWISE_CONV_2D"]
    assert depthwise
    assert all(w.tensor.scale.size == w.tensor.shape[-1] for w in depthwise)
    assert outcome.details["loss_after"] <= outcome.details["loss_before"]
