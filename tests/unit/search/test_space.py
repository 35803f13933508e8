"""The space of recipes, and what Optuna's samplers make of it."""

import random

import pytest

from core.recipes import REGISTRY, LayerFacts, ModelFacts, check, load_recipe, presets
from core.search.known import known
from core.search.parsing import parse_wish
from core.search.sampling import HOPELESS, Tried, identity, near, propose
from core.search.space import CONVERT, NONE, PRUNE, RECOVER, Conditions, Space, complexity

FACTS = ModelFacts(
    name="small", has_batch_norm=True, parameters=30_000,
    layers=(LayerFacts(name="a", kind="conv2d", shape=(3, 3, 16, 32), parameters=4640),
            LayerFacts(name="b", kind="conv2d", shape=(1, 1, 32, 64), parameters=2112),
            LayerFacts(name="c", kind="dense", shape=(256, 64), parameters=16448),
            LayerFacts(name="d", kind="dense", shape=(64, 10), parameters=650)))
RICH = Conditions(labelled=True, images=900, minutes=10, image_macs=800_000, facts=FACTS)
POOR = Conditions(labelled=False, images=20, minutes=10, image_macs=800_000, facts=FACTS)
WISH = parse_wish("lose at most 1 point, be smallest")


def walk(space: Space, count: int, sampler: str = "tpe", seed: int = 1) -> list[Tried]:
    """Let the sampler choose, with made-up outcomes."""
    outcome = random.Random(seed)
    tried: list[Tried] = []
    taken: list[str] = []
    for _ in range(count):
        found = propose(space, tried, known(space, WISH), taken, sampler=sampler, seed=seed)
        assert found is not None
        check(found.recipe, space.conditions.facts)
        assert identity(found.recipe) not in taken
        taken.append(identity(found.recipe))
        tried.append(Tried(found.params, found.distributions, outcome.random(), outcome.random() - 0.5))
    return tried


def test_every_kind_of_step_has_a_place() -> None:
    slots = Space(RICH).slots
    assert {kind for kinds in slots.values() for kind in kinds} - {NONE} == set(REGISTRY)
    assert set(slots[PRUNE]) == {NONE, "magnitude", "reconstruction"}
    assert "quantize" in slots[CONVERT]
    assert "distill" in slots[RECOVER]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_samplers_only_propose_recipes_that_work_and_never_one_twice(sampler: str) -> None:
    assert len(walk(Space(RICH), 30, sampler)) == 30


def test_without_images_to_train_on_nothing_trains() -> None:
    space = Space(POOR)
    assert "distill" not in space.slots.get(RECOVER, ())
    for tried in walk(space, 25):
        chosen = {k: v for k, v in tried.params.items() if k.endswith((".epochs", ".labels", ".one_shot"))}
        assert not chosen.get("magnitude.epochs")
        assert not chosen.get("magnitude.labels")
        assert chosen.get("cluster.one_shot", True)


def test_kinds_that_always_fail_are_left_out() -> None:
    barred = Conditions(True, 900, 10, 800_000, FACTS, frozenset({"channels"}))
    assert "channels" not in Space(barred).slots


def test_a_search_that_is_asked_again_proposes_the_same() -> None:
    space = Space(RICH)
    tried = walk(space, 12)
    taken = [str(i) for i in range(12)]
    first, second = (propose(space, tried, [], taken, seed=3) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.params == second.params


@pytest.mark.parametrize("name", list(presets()))
def test_choices_that_lead_to_a_preset(name: str) -> None:
    space = Space(RICH)
    preset = presets()[name]
    found = propose(space, [], [preset], [])
    assert found is not None
    assert [s.kind for s in found.recipe.steps] == [s.kind for s in preset.steps]
    if all(step.kind != "distill" for step in preset.steps):  # five minutes of which are too long for this search
        assert found.recipe.steps == preset.steps
    again = space.params(found.recipe)
    assert again == {k: v for k, v in found.params.items() if k in again}


def test_the_known_recipes_come_first_and_fit_the_wish() -> None:
    small, fast = (known(Space(RICH), parse_wish(t)) for t in ("lose 1 point, smallest", "2 times faster"))
    assert any(step.kind == "magnitude" for recipe in small for step in recipe.steps)
    assert any(step.kind == "channels" for recipe in fast for step in recipe.steps)


def test_what_is_expected_to_be_hopeless_is_pruned() -> None:
    space = Space(RICH)
    found = propose(space, [], [], [], expect=lambda _: HOPELESS + 0.1)
    assert found is not None
    assert found.pruned
    hopeful = propose(space, [], [], [], expect=lambda _: 0.0)
    assert hopeful is not None
    assert not hopeful.pruned


def test_neighbours_stay_within_bounds_and_move_one_or_two_numbers() -> None:
    import numpy as np

    best = max(walk(Space(RICH), 10), key=lambda t: len(t.params))
    for seed in range(20):
        moved = near(best, np.random.default_rng(seed))
        assert moved.keys() == best.params.keys()
        assert sum(moved[k] != best.params[k] for k in moved) <= 2
        for name, value in moved.items():
            bounds = best.distributions[name]["attributes"]
            if "low" in bounds:
                assert bounds["low"] <= value <= bounds["high"]


def test_training_makes_a_recipe_longer() -> None:
    short, long = (load_recipe({"steps": [{"step": "magnitude", "epochs": e}]}) for e in (0, 20))
    assert complexity(long) > complexity(short)
