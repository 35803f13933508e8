"""Bits shared out under a budget: the choice, the grid, and files whose layers have just those types."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.engine.artifact import answers, check_promise, parse
from core.engine.bit_widths import FLOAT, LayerCost, choose, costs, rounded
from core.engine.methods.frame import method_for
from core.engine.probabilities import predict
from core.errors import InputError
from core.recipes import check, load_recipe, read_step
from core.recipes.steps.mixed_precision import smallest
from tests.unit.engine.digits_case import accuracy, context, images, original, state
from tests.unit.recipes.test_recipes import FACTS


def mixed(given=None, n=64, **fields):
    step = read_step({"step": "mixed_precision", "images": 32, **fields})
    return method_for(step)(step, given or state(), context(n))


def test_the_step_that_costs_least_per_byte_comes_first():
    layers = [LayerCost("fragile", 1000, 1, {FLOAT: 0.0, 8: 0.1, 4: 9.0}),
              LayerCost("tough", 1000, 1, {FLOAT: 0.0, 8: 0.001, 4: 0.01}),
              LayerCost("depthwise", 100, 1, {FLOAT: 0.0, 8: 0.001})]
    assert choose(layers, 10**9, FLOAT) == {"fragile": 32, "tough": 32, "depthwise": 32}
    assert choose(layers, 6000, FLOAT) == {"fragile": 32, "tough": 8, "depthwise": 32}
    assert choose(layers, 5200, FLOAT) == {"fragile": 32, "tough": 8, "depthwise": 8}
    assert choose(layers, 1900, 8) == {"fragile": 8, "tough": 4, "depthwise": 8}
    assert choose(layers, 0, 8) == {"fragile": 4, "tough": 4, "depthwise": 8}  # as small as can be


def test_rounding_keeps_zeros_and_has_few_levels_per_channel():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 8, 5)).astype(np.float32)
    kernel[:, :, ::2] = 0
    found = rounded(kernel, 4, (3,))
    assert not found[kernel == 0].any()
    for channel in range(5):
        values = np.unique(found[..., channel])
        assert values.size <= 15
        assert np.isclose(np.abs(values).max() / np.abs(values[values != 0]).min(), 7, atol=6.01)
    plain = np.abs(kernel).max((0, 1, 2)) / 7
    assert np.square(found - kernel).sum() <= np.square(np.rint(kernel / plain) * plain - kernel).sum() + 1e-6


@pytest.mark.parametrize(("fields", "types"), [
    ({"budget": 0.15}, {"int4", "int8"}),
    ({"budget": 0.15, "arithmetic": "float"}, {"int4", "int8", "float32"}),
    ({"budget": 0.6, "arithmetic": "float"}, {"int8", "float32"}),
])
def test_the_file_keeps_the_budget_and_still_classifies(fields, types):
    outcome = mixed(**fields)
    check_promise(outcome.artifact, outcome.promise)
    file = parse(outcome.artifact)
    assert {w.tensor.type for w in file.weights} <= types
    chosen = {row["layer"]: row["bits"] for row in outcome.details["bits"]}
    assert {w.tensor.type for w in file.weights if w.is_of("classifier")} == {
        {4: "int4", 8: "int8", 32: "float32"}[chosen["classifier"]]}
    floats = sum(4 * w.tensor.size for w in file.weights)
    assert sum(w.tensor.stored_bytes for w in file.weights) <= fields["budget"] * floats
    x = images()["test"][0]
    assert accuracy(answers(outcome.artifact, x)) > accuracy(predict(original(), x)) - 0.02


def test_zeros_of_earlier_steps_stay():
    step = read_step({"step": "magnitude", "sparsity": 0.5})
    pruned = method_for(step)(step, state(), context(64))
    outcome = mixed(replace(state(), model=pruned.model, masks=pruned.masks, promise=pruned.promise), budget=0.15)
    check_promise(outcome.artifact, outcome.promise)
    assert min(1 - w.tensor.nonzero() / w.tensor.size for w in parse(outcome.artifact).weights) >= 0.499


def test_the_scan_is_kept_for_the_next_run(tmp_path):
    first = costs(original(), replace(context(32), cache=tmp_path))
    calls = []
    again = costs(original(), replace(context(32), cache=tmp_path, progress=lambda *a, **k: calls.append(a)))
    assert first == again
    assert not calls
    assert all(layer.cost[4] > layer.cost[8] >= 0 for layer in first)


def test_an_impossible_budget_is_refused_before_the_run_with_the_smallest_that_works():
    with pytest.raises(InputError, match="at least") as refused:
        check(load_recipe({"steps": [{"step": "mixed_precision", "budget": 0.05}]}), FACTS)
    nearest = refused.value.parameters["nearest_steps"][0]["budget"]
    assert smallest(FACTS) <= nearest < smallest(FACTS) + 0.011
    check(load_recipe({"steps": [{"step": "mixed_precision", "budget": nearest}]}), FACTS)


def test_a_wide_budget_says_that_nothing_needed_4_bits():
    outcome = mixed(budget=0.5)
    assert "budget-not-needed" in [f.code for f in outcome.findings]


def test_too_few_images_are_refused():
    with pytest.raises(InputError, match="calibration photos"):
        mixed(n=0)
