"""``recipes``: the presets, and every step that a recipe can have."""

from __future__ import annotations

import typer

from core.cli.output import Json, emit, say
from core.locales import translator


def register(app: typer.Typer) -> None:
    """Add this topic's command."""
    app.command()(recipes)


def recipes(as_json: Json = False) -> None:
    """List presets and the fields of every step."""
    from core.recipes import describe, in_words, preset_words, presets
    from core.settings import settings

    if as_json:
        emit({
            "presets": {name: recipe.model_dump(mode="json") for name, recipe in presets().items()},
            "steps": describe(),
        })
        return
    translate = translator(settings().language)
    for name, recipe in presets().items():
        title, text = preset_words(name)
        say(f"{name}: {translate(title)}", f"  {translate(text)}", f"  {in_words(recipe, translate)}")
    for step in describe():
        say("", f"{step['kind']}: {translate(step['title'])}", f"  {translate(step['help'])}")
        for field in step["fields"]:
            say(f"  {field['name']} = {field['default']}: {translate(field['help'])}")
