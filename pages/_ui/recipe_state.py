"""The lab's recipe as the session holds it: steps of plain fields, changed by callbacks, read by the form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.recipes import REGISTRY, Recipe, load_recipe
from pages._ui.state import state

FIRST = "smallest"


def steps() -> tuple[dict[str, Any], ...]:
    """Return the steps, each with its ``uid``; a preset's when the session has none yet."""
    if state.steps is None:
        take(first())
    return state.steps or ()


def first() -> list[dict[str, Any]]:
    """Return the steps that the lab begins with."""
    return list(load_recipe(FIRST).model_dump(mode="json")["steps"])


def whole(new: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return plain steps with every field written out."""
    return [_whole(step) for step in new]


def take(new: Iterable[Mapping[str, Any]], name: str = "") -> None:
    """Replace all steps."""
    made = []
    for step in whole(new):
        state.serial += 1
        made.append({**step, "uid": state.serial})
    state.steps, state.recipe_name = tuple(made), name


def content() -> dict[str, Any]:
    """Return what a recipe file would hold; the recipe is not checked."""
    plain = [{k: v for k, v in step.items() if k != "uid"} for step in steps()]
    return {"name": state.recipe_name, "steps": plain}


def add(kind: str) -> None:
    """Put a step of this kind where its role belongs: a converting one last, others before that."""
    state.serial += 1
    step = {**_whole({"step": kind}), "uid": state.serial}
    kept = list(steps())
    last = kept[-1:] if kept and REGISTRY[kept[-1]["step"]].role.value == "convert" else []
    if REGISTRY[kind].role.value == "convert":
        last = []
    state.steps = (*kept[:len(kept) - len(last)], step, *last)
    state.recipe_name = ""


def remove(uid: int) -> None:
    """Take one step out."""
    state.steps, state.recipe_name = tuple(s for s in steps() if s["uid"] != uid), ""


def move(uid: int, by: int) -> None:
    """Move one step up (-1) or down (1)."""
    order = list(steps())
    at = next((i for i, step in enumerate(order) if step["uid"] == uid), None)
    if at is not None and 0 <= at + by < len(order):
        order[at], order[at + by] = order[at + by], order[at]
        state.steps, state.recipe_name = tuple(order), ""


def change(uid: int, **fields: Any) -> None:
    """Set fields of one step."""
    current = steps()
    changed = tuple({**step, **fields} if step["uid"] == uid else step for step in current)
    if changed != current:
        state.steps, state.recipe_name = changed, ""


def by_layer(uid: int, fractions: Mapping[str, float]) -> None:
    """Let one pruning step zero these fractions, layer by layer."""
    change(uid, allocation={name: round(f, 4) for name, f in fractions.items()})
    state.serial += 1


def of(recipe: Recipe) -> None:
    """Replace all steps by those of a recipe that can work."""
    take(recipe.model_dump(mode="json")["steps"], recipe.name)


def _whole(step: Mapping[str, Any]) -> dict[str, Any]:
    cls = REGISTRY.get(str(step.get("step")))
    return {**(cls().as_dict() if cls else {}), **{k: v for k, v in step.items() if k != "uid"}}
