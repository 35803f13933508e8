import json
import math
from pathlib import Path

import numpy as np
import pytest

from core.experiments.estimates import History, estimate, history, outcome
from core.experiments.profiles import LEVELS, profile
from core.experiments.shares import divergence, overall, shares
from core.recipes import Step, load_recipe, parse_recipe, presets, register, setting
from core.recipes.step import REGISTRY

RECORDS = json.loads((Path(__file__).parent / "digits_records.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def digits(models, tmp_path_factory):
    """The profile of the digits model that ships."""
    path = next((models / "digits").glob("float32-*.tflite"))
    cache = tmp_path_factory.mktemp("cache")
    made = profile(path, cache)
    (kept,) = cache.iterdir()
    before = kept.stat().st_mtime_ns
    assert profile(path, cache) == made
    assert kept.stat().st_mtime_ns == before
    kept.write_text("{")
    assert profile(path, cache) == made
    return made


def pruned(sparsity, scheme="int8", **fields):
    steps = [{"step": "magnitude", "sparsity": sparsity, **fields}]
    return load_recipe({"steps": [*steps, *([{"step": "quantize", "scheme": scheme}] if scheme else [])]})


def test_a_profile_tells_layers_macs_and_packed_sizes(digits):
    assert [layer.name for layer in digits.layers] == ["conv1", "conv2", "conv3", "dense", "classifier"]
    assert digits.macs == 13824 + 442368 + 294912 + 49152 + 480
    assert digits.layers[0].shape == (3, 3, 1, 24)
    assert sum(layer.float_bytes[0] for layer in digits.layers) == pytest.approx(digits.gzip_bytes, rel=0.03)
    for layer in digits.layers:
        assert layer.error[0] == 0
        assert np.all(np.diff(layer.error) >= 0)
        assert layer.float_bytes[-1] < layer.float_bytes[0] / 5
        assert len(layer.int8_bytes) == len(LEVELS)


@pytest.mark.parametrize("rule", ["uniform", "global", "erk", "sensitivity"])
@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9])
def test_every_rule_shares_out_what_was_asked(digits, rule, sparsity):
    found = shares(digits, sparsity, rule, {})
    assert overall(digits, found) == pytest.approx(sparsity, abs=0.02)
    assert all(0 <= fraction <= 0.99 for fraction in found.values())


def test_layers_that_were_set_by_hand_stay_as_set(digits):
    found = shares(digits, 0.5, {"dense": 0.9}, {})
    assert found == {"conv1": 0.0, "conv2": 0.0, "conv3": 0.0, "dense": 0.9, "classifier": 0.0}


def test_measured_sensitivity_spares_the_layer_that_hurts(digits):
    curves = {layer.name: ((0.3, 0.5, 0.7), (1e-4, 1e-3, 1e-2)) for layer in digits.prunable}
    curves["dense"] = ((0.3, 0.5, 0.7), (0.5, 1.0, 2.0))
    found = shares(digits, 0.3, "sensitivity", curves)
    assert found["dense"] < 0.1 < found["conv3"]
    assert float(divergence(*curves["dense"], 0.5)) == pytest.approx(1.0)
    assert float(divergence(*curves["dense"], 0.0)) == 0.0


def test_more_zeros_are_smaller_and_never_better(digits):
    found = [estimate(digits, pruned(s), History()) for s in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert np.all(np.diff([f.gzip_bytes.value for f in found]) < 0)
    assert np.all(np.diff([f.loss.value for f in found]) >= 0)
    assert np.all(np.diff([f.nonzero_macs for f in found]) < 0)
    assert all(f.gzip_bytes.low < f.gzip_bytes.value < f.gzip_bytes.high for f in found)
    assert all(f.accuracy is None and f.latency_ms is None and f.based_on == 0 for f in found)


def test_int8_is_expected_to_be_a_quarter_of_float(digits):
    whole = estimate(digits, pruned(0.05, "float16"), History())
    small = estimate(digits, pruned(0.05), History())
    assert whole.file_bytes.value == pytest.approx(digits.tflite_bytes / 2, rel=0.1)
    assert small.file_bytes.value == pytest.approx(digits.tflite_bytes / 4, rel=0.2)


def test_without_any_run_the_ranges_hold_sizes_that_were_measured(digits):
    inside = []
    for record in RECORDS:
        found, measured = estimate(digits, load_recipe(record["recipe"]), History()), outcome(record)[0]
        inside.append(found.gzip_bytes.low * 0.9 <= math.exp(measured["gzip"]) <= found.gzip_bytes.high * 1.1)
    assert np.mean(inside) >= 0.7


def test_a_run_that_was_measured_is_estimated_as_it_came_out(digits):
    past = history(digits, RECORDS)
    assert past.runs == len(RECORDS)
    for record in RECORDS:
        found, measured = estimate(digits, load_recipe(record["recipe"]), past), outcome(record)[0]
        assert found.gzip_bytes.value == pytest.approx(math.exp(measured["gzip"]), rel=0.05)
        assert found.speed.value == pytest.approx(math.exp(measured["speed"]), rel=0.15)
        top1 = record["compressed"]["accuracy"]["top1"]
        assert found.accuracy.low - 0.08 <= top1["value"] <= found.accuracy.high + 0.08
        assert found.latency_ms is not None
        assert found.based_on == len(RECORDS)


def test_runs_bring_estimates_of_other_recipes_nearer(digits):
    """Leave each record out: the mean error of the packed size and of the loss falls."""
    errors = {"gzip": ([], []), "damage": ([], [])}
    for place, record in enumerate(RECORDS):
        rest = RECORDS[:place] + RECORDS[place + 1:]
        recipe, measured = load_recipe(record["recipe"]), outcome(record)[0]
        for which, past in enumerate((History(), history(digits, rest))):
            found = estimate(digits, recipe, past)
            errors["gzip"][which].append(abs(math.log(found.gzip_bytes.value) - measured["gzip"]))
            errors["damage"][which].append(abs(found.loss.value - (1 - math.exp(-math.exp(measured["damage"])))))
    assert np.mean(errors["gzip"][1]) < np.mean(errors["gzip"][0])
    assert np.mean(errors["gzip"][1]) < 0.06
    assert np.mean(errors["damage"][1]) < 0.1


def test_estimates_that_were_far_off_widen_the_next_ranges(digits):
    told = [estimate(digits, load_recipe(r["recipe"]), History()).model_dump(mode="json") for r in RECORDS]
    far = [{**each, "gzip_bytes": {"value": 1000.0, "low": 990.0, "high": 1010.0}} for each in told]
    recipe = pruned(0.6, epochs=3)
    narrow = estimate(digits, recipe, history(digits, RECORDS, told)).gzip_bytes
    wide = estimate(digits, recipe, history(digits, RECORDS, far)).gzip_bytes
    assert wide.high / wide.low > narrow.high / narrow.low


def test_a_record_of_a_kind_that_is_gone_teaches_nothing_and_breaks_nothing(digits):
    strange = {**RECORDS[0], "recipe": {"steps": [{"step": "teleport"}]}}
    past = history(digits, [strange])
    assert past.runs == 0
    assert past.baseline is not None
    assert estimate(digits, pruned(0.5), past).latency_ms is not None


@pytest.mark.parametrize("name", presets())
def test_every_preset_has_an_estimate(digits, name):
    found = estimate(digits, load_recipe(name), history(digits, RECORDS))
    assert 0 <= found.loss.low <= found.loss.value <= found.loss.high <= 1
    assert found.gzip_bytes.value < digits.gzip_bytes
    assert json.loads(found.model_dump_json())


def test_a_step_that_nobody_foresaw_is_named_and_widens_the_range(digits):
    class Shrug(Step):
        kind = "shrug"
        title = help = words = "Shrug"

        strength: float = setting(0.5, title="Strength", help="How much.", ge=0, le=1)

    register(Shrug)
    try:
        known = estimate(digits, parse_recipe("steps: [{step: quantize}]"), History())
        found = estimate(digits, parse_recipe("steps: [{step: shrug}, {step: quantize}]"), History())
    finally:
        del REGISTRY["shrug"]
    assert found.unknown == ("shrug",)
    assert found.gzip_bytes.high > known.gzip_bytes.high


@pytest.mark.parametrize("steps", [
    [{"step": "channels", "macs": 0.5}], [{"step": "channels", "channels": 0.3}], [{"step": "low_rank", "error": 0.3}],
    [{"step": "low_rank", "ratio": 0.4}], [{"step": "low_rank", "rank": 8}], [{"step": "cluster", "clusters": 16}],
    [{"step": "magnitude", "sparsity": 0.5}, {"step": "cluster", "clusters": 16}],
    [{"step": "channels", "macs": 0.5}, {"step": "quantize", "scheme": "int8"}],
])
def test_steps_that_change_shapes_or_values_are_foreseen_as_smaller_with_a_wide_range(digits, steps):
    found = estimate(digits, load_recipe({"steps": steps}), History())
    plain = estimate(digits, load_recipe({"steps": [{"step": "quantize", "scheme": "float16"}]}), History())
    assert found.unknown == ()
    assert found.gzip_bytes.value < digits.gzip_bytes
    assert found.gzip_bytes.high / found.gzip_bytes.low > plain.gzip_bytes.high / plain.gzip_bytes.low
    assert 0 < found.loss.low < found.loss.value < found.loss.high < 1
    if steps[0]["step"] != "cluster" and steps[-1]["step"] != "cluster":
        assert found.macs < digits.macs
        assert found.speed.value > 1


def test_the_more_goes_the_smaller_the_faster_and_the_worse(digits):
    for field, values in (("channels", [{"macs": m} for m in (0.1, 0.3, 0.6)]),
                          ("cluster", [{"clusters": c} for c in (256, 32, 8)]),
                          ("low_rank", [{"error": e} for e in (0.02, 0.1, 0.4)])):
        found = [estimate(digits, load_recipe({"steps": [{"step": field, **v}]}), History()) for v in values]
        sizes, losses = [f.gzip_bytes.value for f in found], [f.loss.value for f in found]
        assert sizes == sorted(sizes, reverse=True)
        assert losses == sorted(losses)
        assert [f.macs for f in found] == sorted([f.macs for f in found], reverse=True)


def test_a_fraction_of_multiplications_is_what_the_estimate_counts(digits):
    found = estimate(digits, load_recipe({"steps": [{"step": "channels", "macs": 0.25}]}), History())
    assert found.macs == pytest.approx(0.75 * digits.macs, rel=1e-3)


def test_training_with_the_rounding_is_expected_to_lose_less_than_rounding_afterwards(digits):
    trained, rounded = (estimate(digits, load_recipe({"steps": steps}), History()) for steps in (
        [{"step": "quantization_aware_training"}], [{"step": "quantize", "scheme": "int8"}]))
    assert trained.loss.value < rounded.loss.value
    assert trained.file_bytes.value == pytest.approx(rounded.file_bytes.value)
