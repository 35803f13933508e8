"""Clustering: codebooks, rounding with compensation, and the step on the digits model, whole."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from core.engine import artifact
from core.engine.clustering.bits import Rate, allot, read_rates, write_rates
from core.engine.clustering.codebook import codebook, entropy, nearest
from core.engine.clustering.codes import codes
from core.engine.clustering.rounding import descend, round_with_compensation
from core.engine.convert import to_tflite
from core.engine.methods.frame import kernels, method_for
from core.engine.methods.quantize import apply as quantize
from core.engine.probabilities import divergence, predict
from core.errors import InputError, PromiseError
from core.recipes import check, load_recipe, read_step
from tests.unit.engine.digits_case import accuracy, context, images, original, state
from tests.unit.recipes.test_recipes import FACTS


def carry_out(kind, tmp_path, given=None, **fields):
    step = read_step({"step": kind, **fields})
    return method_for(step)(step, given or state(), context(scratch=tmp_path))


def distinct(model) -> dict[str, int]:
    return {name: np.unique(v.numpy()).size for name, v in kernels(model).items()}


def test_the_codebook_of_few_values_is_those_values():
    values = np.repeat([-2.0, 0.5, 3.0], [5, 1, 9])
    assert codebook(values, np.ones(15), 3).tolist() == [-2.0, 0.5, 3.0]
    assert codebook(values, np.ones(15), 8, zero=True).tolist() == [-2.0, 0.0, 0.5, 3.0]


def test_the_codebook_reaches_the_known_distortion_of_a_normal_variable():
    # Max, "Quantizing for minimum distortion" (1960): 8 values, mean squared error 0.03454.
    x = np.random.default_rng(0).normal(size=200_000)
    book = codebook(x, np.ones(x.size), 8)
    assert np.mean((x - nearest(x, book)) ** 2) == pytest.approx(0.03454, rel=0.02)


def test_importance_moves_values_to_where_it_counts():
    x = np.linspace(-1, 1, 2001)
    book = codebook(x, np.where(x > 0, 100.0, 1.0), 16)
    assert (book > 0).sum() > 9


@pytest.mark.parametrize("bits", [3.2, 2.6, 2.0])
def test_a_codebook_keeps_to_its_bits_and_beats_fewer_values_of_k_means(bits):
    x = np.random.default_rng(2).standard_t(4, size=50_000)
    book = codebook(x, np.ones(x.size), 16, bits=bits)
    rounded = nearest(x, book)
    assert book.size <= 16
    assert bits - 0.25 < entropy(rounded) <= bits + 0.01
    fewer = max((codebook(x, np.ones(x.size), k) for k in range(2, 17)),
                key=lambda b: b.size if entropy(nearest(x, b)) <= bits else 0)
    assert np.mean((x - rounded) ** 2) < np.mean((x - nearest(x, fewer)) ** 2)


def test_bits_that_suffice_change_nothing():
    x = np.random.default_rng(3).normal(size=5000)
    assert codebook(x, np.ones(x.size), 8, bits=3.0).tolist() == codebook(x, np.ones(x.size), 8).tolist()
    assert codebook(x, np.ones(x.size), 8, zero=True, bits=2.0).tolist().count(0.0) == 1


def test_bits_go_to_layers_that_matter_more_and_hold_fewer_weights():
    rates = [Rate("small", 100, 3.0, 0.01, 4.5), Rate("large", 10_000, 3.0, 0.01, 4.5),
             Rate("dull", 10_000, 3.0, 0.000625, 4.5)]
    given = allot(rates, 3.0)
    assert given["small"] is None
    assert given["large"] - given["dull"] == pytest.approx(2.0)  # 16 times the divergence: two bits
    total = sum(r.weights * (given[r.layer] or r.most) for r in rates)
    assert total / sum(r.weights for r in rates) == pytest.approx(3.0, abs=1e-3)
    assert set(allot(rates, 99.0).values()) == {None}


def test_rates_are_kept_for_the_next_run(tmp_path):
    rates = [Rate("one", 10, 2.5, 0.25, 4.0)]
    write_rates(tmp_path / "new", "key", rates)
    assert read_rates(tmp_path / "new", "key") == rates
    assert read_rates(tmp_path / "new", "other") is None


def test_compensation_halves_the_error_of_the_outputs_and_keeps_zeros():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 8)) @ rng.normal(size=(8, 40)) + 0.5 * rng.normal(size=(500, 40))
    hessian = (x.T @ x / 500 + 0.01 * np.eye(40))[None]
    kernel = rng.normal(size=(1, 40, 12))
    allowed = rng.random(kernel.shape) > 0.2
    kernel = kernel * allowed
    book = codebook(kernel[allowed], np.ones(int(allowed.sum())), 8, zero=True)
    rounded = round_with_compensation(kernel, hessian, lambda row: nearest(row, book), allowed)
    plain = nearest(kernel, book) * allowed

    def error(found):
        return float(np.square(x @ (found - kernel)[0]).sum())

    assert error(rounded) < 0.5 * error(plain)
    assert not rounded[~allowed].any()
    assert set(np.unique(rounded)) <= set(book) | {0.0}
    better = descend(rounded, kernel, hessian, lambda row: nearest(row, book), allowed)
    assert error(better) < 0.97 * error(rounded)
    assert not better[~allowed].any()
    assert set(np.unique(better)) <= set(book) | {0.0}


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_one_shot_keeps_the_promise_and_the_accuracy(tmp_path, per):
    before = [w.copy() for w in original().get_weights()]
    outcome = carry_out("cluster", tmp_path, clusters=8, per=per)
    assert all(n <= outcome.promise.distinct[name] for name, n in distinct(outcome.model).items())
    biases = np.concatenate([layer.bias.numpy() for layer in outcome.model.layers if getattr(layer, "use_bias", False)])
    assert biases.any()
    assert not (biases.view(np.uint32) & 0xFFF).any()
    if per == "layer":
        assert max(distinct(outcome.model).values()) <= 8
    x = images()["test"][0]
    assert accuracy(predict(outcome.model, x)) > accuracy(predict(original(), x)) - 0.03
    content = to_tflite(outcome.model, scheme="float32")
    artifact.check_promise(content, outcome.promise)
    fewer = dict.fromkeys(outcome.promise.distinct, 2)
    with pytest.raises(PromiseError, match="distinct"):
        artifact.check_promise(content, outcome.promise.also(distinct=fewer))
    assert all((a == b).all() for a, b in zip(before, original().get_weights(), strict=True))
    assert not list(tmp_path.iterdir())


def test_it_beats_plain_rounding(tmp_path):
    x = images()["test"][0]
    ours = carry_out("cluster", tmp_path, clusters=4, depthwise_clusters=1).model
    plain = state().model
    for variable in kernels(plain).values():
        value = variable.numpy()
        variable.assign(nearest(value, codebook(value.ravel(), np.ones(value.size), 4)))
    reference = predict(original(), x)
    assert divergence(reference, predict(ours, x)) < 0.5 * divergence(reference, predict(plain, x))


@pytest.mark.parametrize("fields", [{}, {"one_shot": False, "epochs": 1}])
def test_zeros_stay_and_count_as_one_of_the_values(tmp_path, fields):
    pruned = carry_out("magnitude", tmp_path, sparsity=0.5, epochs=0)
    given = replace(state(), model=pruned.model, masks=pruned.masks, promise=pruned.promise)
    outcome = carry_out("cluster", tmp_path, given, clusters=8, **fields)
    for name, variable in kernels(outcome.model).items():
        value = variable.numpy()
        assert not value[~pruned.masks[name]].any()
        assert np.unique(value).size <= 8
    artifact.check_promise(to_tflite(outcome.model, scheme="float32"), outcome.promise)


def test_training_per_channel_leaves_channels_of_fewer_weights_than_clusters(tmp_path):
    outcome = carry_out("cluster", tmp_path, clusters=16, one_shot=False, per="channel", epochs=1)
    first = next(iter(kernels(outcome.model).values())).numpy()
    assert first[..., 0].size < 16  # nothing to share there
    for name, variable in kernels(outcome.model).items():
        value = variable.numpy()
        if value.ndim == 4:
            assert max(np.unique(value[..., c]).size for c in range(value.shape[-1])) <= 16
        assert np.unique(value).size <= outcome.promise.distinct[name]
    artifact.check_promise(to_tflite(outcome.model, scheme="float32"), outcome.promise)


def test_int8_keeps_values_few_over_the_whole_layer(tmp_path):
    outcome = carry_out("cluster", tmp_path, clusters=16)
    given = replace(state(), model=outcome.model, promise=outcome.promise)
    made = quantize(read_step({"step": "quantize", "scheme": "int8"}), given, context(scratch=tmp_path))
    artifact.check_promise(made.artifact, made.promise)
    file = artifact.parse(made.artifact)
    for name in kernels(outcome.model):
        for weight in file.weights:
            if weight.is_of(name):
                assert np.unique(weight.tensor.values).size <= 16
    x, y = images()["test"]
    found = artifact.answers(made.artifact, x)
    assert (found.argmax(1) == y).mean() > accuracy(predict(original(), x)) - 0.04


def test_codes_scaled_per_channel_are_what_the_int8_file_holds(tmp_path):
    outcome = carry_out("cluster", tmp_path, clusters=16, per="scaled", bits=3.0, depthwise_clusters=24)
    rows = outcome.details["layers"]
    assert sum(r["weights"] * r["bits"] for r in rows) / sum(r["weights"] for r in rows) < 3.3
    given = replace(state(), model=outcome.model, promise=outcome.promise)
    made = quantize(read_step({"step": "quantize", "scheme": "int8"}), given, context(scratch=tmp_path))
    file = artifact.parse(made.artifact)
    seen = 0
    for name, scales in outcome.promise.grid.items():
        layer = outcome.model.get_layer(name)
        wanted = codes(layer, scales)
        most = 24 if "depthwise" in type(layer).__name__.lower() else 16
        assert np.unique(wanted).size <= most
        for weight in file.weights:
            if weight.is_of(name):
                seen += 1
                assert np.array_equal(np.unique(weight.tensor.values), np.unique(wanted))
                assert weight.tensor.scale.ravel() == pytest.approx(np.float32(scales))
                assert made.promise.distinct[name] == np.unique(wanted).size
    assert seen == len(outcome.promise.grid) > 1
    assert all(abs(float(np.log2(a / b) * 2) - round(float(np.log2(a / b) * 2))) < 1e-3
               for scales in outcome.promise.grid.values() for a, b in pairwise(scales))
    artifact.check_promise(made.artifact, made.promise)
    x, y = images()["test"]
    found = artifact.answers(made.artifact, x)
    assert (found.argmax(1) == y).mean() > accuracy(predict(original(), x)) - 0.04


def test_dynamic_quantization_of_scaled_clusters_keeps_its_promise(tmp_path):
    outcome = carry_out("cluster", tmp_path, clusters=16, per="scaled")
    given = replace(state(), model=outcome.model, promise=outcome.promise)
    made = quantize(read_step({"step": "quantize", "scheme": "dynamic"}), given, context(scratch=tmp_path))
    artifact.check_promise(made.artifact, made.promise)


@pytest.mark.parametrize(("steps", "words"), [
    ([{"step": "cluster", "one_shot": False, "per": "scaled"}], "one shot only"),
    ([{"step": "cluster", "one_shot": False, "bits": 3}], "one shot only"),
    ([{"step": "cluster", "per": "channel", "bits": 3}], "whole layer shares"),
    ([{"step": "cluster"}, {"step": "magnitude"}], "values of their own"),
    ([{"step": "cluster"}, {"step": "distill"}], "values of their own"),
    ([{"step": "cluster", "clusters": 2, "one_shot": False}], "at least 3 clusters"),
    ([{"step": "cluster", "clusters": 8}, {"step": "cluster", "clusters": 16}], "only for fewer"),
    ([{"step": "cluster", "clusters": 256, "per": "channel"}], "no fewer than the weights"),
])
def test_what_cannot_work_is_refused_before_it_starts(steps, words):
    with pytest.raises(InputError, match=words):
        check(load_recipe({"name": "x", "steps": steps}), FACTS)
