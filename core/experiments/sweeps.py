"""One recipe, one field, several values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from core.errors import InputError
from core.locales import N_
from core.recipes import Recipe, load_recipe

MOST = 50


def parse_variation(text: str) -> tuple[str, list[Any]]:
    """Read ``STEP.FIELD=a,b,c`` into the path and the values, each read as YAML reads a scalar.

    Raises
    ------
    InputError
        If it is not of that form, or names no value or too many.
    """
    path, separator, listed = text.partition("=")
    values = [yaml.safe_load(part) for part in listed.split(",") if part.strip()]
    if not separator or path.count(".") != 1 or not all(path.split(".")) or not 1 <= len(values) <= MOST:
        raise InputError(
            N_("'{text}' does not say what to vary. Write it as STEP.FIELD=A,B,C, for example "
               "magnitude.sparsity=0.3,0.5,0.7."),
            text=text,
        )
    return path.strip(), values


def variations(recipe: Recipe, path: str, values: Sequence[Any]) -> list[Recipe]:
    """Return the recipe once per value of the field at ``path``, named after the value.

    ``path`` is ``STEP.FIELD`` where STEP is the number of a step from 1, or a kind that occurs once.

    Raises
    ------
    InputError
        If there is no such step, it occurs more than once, or a value does not fit the field.
    """
    step, field = path.split(".", 1)
    content = recipe.model_dump(mode="json")
    kinds = [each["step"] for each in content["steps"]]
    if step.isdecimal() and 1 <= int(step) <= len(kinds):
        index = int(step) - 1
    elif kinds.count(step) == 1:
        index = kinds.index(step)
    else:
        raise InputError(
            N_("The recipe has no single step '{step}'. Its steps are: {kinds}; a number from 1 works too."),
            step=step, kinds=", ".join(kinds),
        )
    made = []
    for value in values:
        steps = [dict(each) for each in content["steps"]]
        steps[index][field] = value
        name = f"{recipe.name} · {field} {value}".strip(" ·")[:120]
        made.append(load_recipe({"name": name, "description": recipe.description, "steps": steps}))
    return made
