"""Recipes are read strictly, refused with the nearest one that works, and describe themselves."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from core.errors import InputError
from core.recipes import (
    REGISTRY,
    LayerFacts,
    ModelFacts,
    check,
    describe,
    in_words,
    load_recipe,
    parse_recipe,
    preset_words,
    presets,
    repair,
    step_in_words,
)
from core.recipes.__main__ import DOCUMENT, with_table


def recipe(*steps):
    return {"name": "a test", "steps": list(steps)}


def refused(content, facts=None) -> InputError:
    with pytest.raises(InputError) as caught:
        load_recipe(content, facts)
    return caught.value


def nearest(content, facts=None) -> list[str]:
    """Return the kinds of the nearest recipe, after making sure that it does work."""
    steps = refused(content, facts).parameters["nearest_steps"]
    load_recipe(recipe(*steps), facts)
    return [step["step"] for step in steps]


PRESETS = ["smaller-safe", "smallest", "smallest-packed", "fastest-cpu", "label-free", "sparse-mobile"]
FACTS = ModelFacts(
    name="small", parameters=1000, has_batch_norm=False, layers=(
        LayerFacts(name="conv", kind="conv2d", shape=(3, 3, 3, 8), parameters=216),
        LayerFacts(name="mix", kind="depthwise_conv2d", shape=(3, 3, 8, 1), parameters=72),
        LayerFacts(name="head", kind="dense", shape=(64, 10), parameters=650)))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_works_and_says_what_it_does(name):
    preset = load_recipe(name)
    title, description = preset_words(name)
    assert preset.name == title
    assert description
    assert in_words(preset)
    assert load_recipe(yaml.safe_load(preset.to_yaml())) == preset


@pytest.mark.parametrize(("content", "said"), [
    (recipe({"step": "magnitud"}), "'magnitude'"),
    (recipe({"step": "magnitude", "sparcity": 0.5}), "'sparsity'"),
    ({"name": "x", "step": []}, "'steps'"),
    (recipe({"step": "magnitude", "sparsity": 1.5}), "at most 0.99"),
    (recipe({"step": "magnitude", "sparsity": 0}), "more than 0"),
    (recipe({"step": "magnitude", "sparsity": "half"}), "a number"),
    (recipe({"step": "magnitude", "sparsity": float("nan")}), "a number"),
    (recipe({"step": "magnitude", "sparsity": True}), "a number"),
    (recipe({"step": "magnitude", "epochs": 1.5}), "a whole number"),
    (recipe({"step": "magnitude", "allocation": "lots"}), "uniform | global | erk | sensitivity"),
    (recipe({"step": "magnitude", "allocation": {"conv": 2}}), "'allocation.conv'"),
    (recipe({"step": "quantize", "scheme": "int7"}), "int8"),
    (recipe({"step": "quantize", "scheme": ["int8"]}), "a list"),
    (recipe({"sparsity": 0.5}), "step: KIND"),
    (recipe("quantize"), "step: KIND"),
    (recipe(), "1 to 12"),
    ({"name": "x"}, "1 to 12"),
    ({"name": ["x"], "steps": [{"step": "quantize"}]}, "'name'"),
])
def test_what_cannot_be_read_is_named(content, said):
    assert said in str(refused(content))


@pytest.mark.parametrize(("steps", "kinds"), [
    (["quantize", "magnitude"], ["magnitude", "quantize"]),
    (["quantize", "quantize"], ["quantize"]),
    (["recalibrate", "reconstruction"], ["reconstruction", "recalibrate"]),
    (["recalibrate", "quantize"], ["quantize"]),
    (["distill"], ["reconstruction", "distill"]),
    (["channels", "recalibrate", "quantize"], ["channels", "quantize"]),
    (["low_rank", "recalibrate"], ["low_rank"]),
    (["quantize", "recalibrate", "reconstruction"], ["reconstruction", "recalibrate", "quantize"]),
])
def test_an_order_that_cannot_work_comes_with_the_nearest_that_can(steps, kinds):
    assert nearest(recipe(*({"step": kind} for kind in steps))) == kinds


def test_pruning_again_must_reach_more():
    first, second = {"step": "magnitude", "sparsity": 0.5}, {"step": "reconstruction", "sparsity": 0.3}
    assert nearest(recipe(first, second)) == ["magnitude"]
    load_recipe(recipe({**second}, {**first}))


@pytest.mark.parametrize("fields", [
    {"step": "magnitude", "granularity": "2:4", "sparsity": 0.3},
    {"step": "magnitude", "granularity": "2:4", "sparsity": 0.5, "allocation": "erk"},
    {"step": "quantize", "scheme": "float16", "io": "int8"},
    {"step": "quantize", "scheme": "float16", "keep_float": 2},
    {"step": "quantize", "scheme": "int8", "io": "int8", "keep_float": 2},
    {"step": "quantize", "scheme": "int4", "engine": "converter"},
])
def test_fields_that_contradict_each_other_are_mended(fields):
    assert nearest(recipe(fields)) == [fields["step"]]


def test_2_4_is_not_broken_by_later_pruning():
    steps = {"step": "magnitude", "granularity": "2:4"}, {"step": "magnitude", "sparsity": 0.7}
    assert nearest(recipe(*steps)) == ["magnitude"]


@pytest.mark.parametrize(("steps", "said"), [
    ([{"step": "magnitude", "allocation": {"heat": 0.5}}], "'head'"),
    ([{"step": "magnitude", "allocation": {"mix": 0.5}}], "'mix'"),
    ([{"step": "magnitude"}, {"step": "recalibrate", "method": "batch_norm"}], "no batch norm"),
    ([{"step": "quantize", "keep_float": 3}], "nothing to quantize"),
])
def test_a_model_that_does_not_fit_is_refused_before_any_work(steps, said):
    assert said in str(refused(recipe(*steps), FACTS))


def test_a_model_without_prunable_layers_is_named():
    bare = FACTS.model_copy(update={"layers": FACTS.layers[1:2]})
    error = refused(recipe({"step": "reconstruction"}, {"step": "quantize"}), bare)
    assert "depthwise_conv2d" in str(error)
    assert nearest(recipe({"step": "reconstruction"}, {"step": "quantize"}), bare) == ["quantize"]


def test_a_repaired_recipe_has_no_problem_left():
    broken = parse_recipe("steps: [{step: quantize}, {step: distill}, {step: quantize}]")
    check(repair(broken))


@pytest.mark.parametrize("text", [
    "steps: [", "- 1", "", "just words", "steps: &a [{step: quantize}]\nname: *a", "[" * 3000,
    "x" * 70_000, "steps: !!python/object/apply:os.system ['true']",
])
def test_hostile_text_is_an_input_error(text):
    with pytest.raises(InputError):
        parse_recipe(text)


def test_files_are_read_and_missing_ones_name_a_preset(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("steps:\n- step: quantize\n  scheme: float16\n")
    assert load_recipe(path).steps[0].scheme == "float16"
    assert "'smallest'" in str(refused("smalest"))
    path.write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in str(refused(path))
    assert "no recipe file" in str(refused(tmp_path))


def test_the_description_is_enough_for_a_form():
    for kind in describe(str.upper):
        assert kind["title"] == kind["title"].upper()
        assert kind["role"] in ("compress", "recover", "convert")
        defaults = {}
        for field in kind["fields"]:
            assert field["title"]
            assert field["help"]
            assert field["type"] in ("number", "integer", "boolean", "choice")
            if field["type"] == "choice":
                assert field["default"] in [choice["value"] for choice in field["choices"]]
            if field["type"] == "number":
                assert field["minimum"] is not None or field["exclusive_minimum"] is not None
            for name in field["shown_when"]:
                assert name in REGISTRY[kind["kind"]].model_fields
            defaults[field["name"]] = field["default"]
        step = REGISTRY[kind["kind"]].model_validate(defaults)
        assert "{" not in step_in_words(step)


def test_recipes_need_no_tensorflow():
    code = "import sys, core.recipes; sys.exit('tensorflow' in sys.modules or 'tf_keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_presets_come_in_the_order_of_the_design():
    assert list(presets()) == PRESETS


def test_the_table_in_the_docs_is_up_to_date():
    text = DOCUMENT.read_text("utf-8")
    assert with_table(text) == text, "run `python -m core.recipes`"
