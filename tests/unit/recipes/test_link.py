"""A recipe survives its way through an address; whatever else stands there is refused in one sentence."""

from __future__ import annotations

import base64
import json
import re
import zlib

import pytest

from core.errors import InputError
from core.recipes import REGISTRY, from_link, load_recipe, presets, to_link


def packed(text: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(text)).decode().rstrip("=")


@pytest.mark.parametrize("name", list(presets()))
def test_a_preset_comes_back_the_same_from_letters_that_need_no_escape(name):
    content = load_recipe(name).model_dump(mode="json")
    link = to_link(content)
    assert re.fullmatch(r"[\w-]+", link, re.ASCII)
    assert len(link) < 700
    assert from_link(link) == load_recipe(name)


def test_every_kind_of_step_fits_and_the_same_recipe_has_one_link():
    for kind, cls in REGISTRY.items():
        step = cls().as_dict()
        link = to_link({"name": "", "steps": [step]})
        assert from_link(link).steps == (cls(),), kind
        assert link == to_link({"steps": [dict(reversed(step.items()))]})


def test_a_recipe_that_cannot_work_yet_comes_back_too():
    steps = [{"step": "quantize"}, {"step": "magnitude", "sparsity": 0.25}]
    assert [step.kind for step in from_link(to_link({"steps": steps})).steps] == ["quantize", "magnitude"]


def test_layers_and_names_in_any_script_come_back():
    content = {"name": "Größe 大", "steps": [
        {"step": "magnitude", "sparsity": 0.5, "allocation": {"dense/été": 0.25}}]}
    found = from_link(to_link(content))
    assert found.name == content["name"]
    assert found.steps[0].allocation == {"dense/été": 0.25}


@pytest.mark.parametrize("text", [
    "", "nothing", "%00", "é", "AAAA", "=", "a" * 70_000, packed(b"")[:-3], packed(b"[1]"), packed(b"{"), packed(b"1"),
    packed(b"\xff"), packed(b"[" * 60_000), packed(b'{"steps":' + b" " * 10_000_000 + b"[]}"),
    packed(b'{"steps": 1' + b"0" * 5000 + b"}"),
])
def test_what_is_no_packed_mapping_is_damaged(text):
    with pytest.raises(InputError, match="damaged"):
        from_link(text)


@pytest.mark.parametrize(("content", "words"), [
    ({}, "1 to 12 steps"), ({"steps": []}, "1 to 12 steps"), ({"steps": [{}] * 13}, "1 to 12 steps"),
    ({"steps": [{"step": "magnitud"}]}, "Did you mean"), ({"steps": [{"step": "magnitude", "sparsity": 7}]}, "at most"),
    ({"steps": [{"step": "magnitude", "sparsity": float("nan")}]}, "cannot be"), ({"sTeps": []}, "Did you mean"),
    ({"steps": [{"step": "quantize"}], "name": "n" * 121}, "short text"),
])
def test_what_is_no_recipe_says_why(content, words):
    with pytest.raises(InputError, match=words):
        from_link(packed(json.dumps(content).encode()))
