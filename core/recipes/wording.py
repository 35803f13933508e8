"""A recipe in words, for people who do not read YAML."""

from __future__ import annotations

from collections.abc import Callable

from core.recipes.recipe import Recipe
from core.recipes.step import Step


def step_in_words(step: Step, translate: Callable[[str], str] = str) -> str:
    """Return one step as a phrase, such as "zero 80% of the weights by magnitude (...)".

    ``translate`` is applied to the phrase and to the titles of named values in it.
    """
    fields = type(step).model_fields
    values: dict[str, object] = {}
    for name, value in step.word_values().items():
        extra = fields[name].json_schema_extra if name in fields else None
        choices = extra.get("choices") if isinstance(extra, dict) else None
        title = choices.get(str(value)) if isinstance(choices, dict) else None
        values[name] = translate(str(title)) if title is not None else value
    return translate(step.words).format(**values)


def in_words(recipe: Recipe, translate: Callable[[str], str] = str) -> str:
    """Return the whole recipe as one sentence without a capital or a full stop: phrases joined by arrows."""
    return " → ".join(step_in_words(step, translate) for step in recipe.steps)
