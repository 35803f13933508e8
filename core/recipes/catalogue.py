"""Recipes that come with the product, and the one way to get a recipe from a name, a file or a dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.locales import N_
from core.recipes.composition import check
from core.recipes.facts import ModelFacts, nearest
from core.recipes.recipe import MAX_CHARACTERS, Recipe, parse_recipe, read_recipe

FOLDER = Path(__file__).parent / "presets"

# The files stay readable alone; these are their titles and descriptions, marked for translation.
_WORDS = {
    "smaller-safe": (
        N_("Smaller, safely"),
        N_("Full int8: about four times smaller and two to three times faster, for a loss that is usually "
           "within a point. Start here.")),
    "smallest": (
        N_("Smallest file"),
        N_("More than half of the weights removed by reconstruction, then int8: six times smaller once packed. "
           "Needs no labels; costs a few points.")),
    "smallest-packed": (
        N_("Smallest when packed"),
        N_("Weights share few int8 codes, used as unevenly as a packer likes: about eight times smaller once packed "
           "(zstd), and as fast as any full int8 file. The file itself is as large as other int8 files. Needs no "
           "labels; costs a few points at most.")),
    "fastest-cpu": (
        N_("Fastest on a CPU"),
        N_("Full int8 from the input to the output: no conversion at either end.")),
    "label-free": (
        N_("Without labels"),
        N_("Half the weights removed layer by layer and the rest refitted, on unlabelled images: no training, "
           "a minute.")),
    "sparse-mobile": (
        N_("Sparse, for phones"),
        N_("Seventy per cent zeros in float, then distillation: a sparse file, which phones' processors can "
           "run faster. Not this kind of machine.")),
}


@cache
def presets() -> dict[str, Recipe]:
    """Return the recipes that come with the product, by name, in the order in which they are proposed."""
    return {name: parse_recipe((FOLDER / f"{name}.yaml").read_text("utf-8")) for name in _WORDS}


def preset_words(name: str) -> tuple[str, str]:
    """Return the title and the description of a preset, each a text marked for translation."""
    return _WORDS[name]


def load_recipe(
    source: str | Path | Mapping[str, Any] | Recipe, facts: ModelFacts | None = None
) -> Recipe:
    """Return a recipe that can work.

    Parameters
    ----------
    source
        A preset's name, the path of a YAML file, the mapping that such a file holds, or a recipe.
    facts
        The model it is for, when known.

    Raises
    ------
    InputError
        If there is no such preset or file (the message names the nearest preset), or the recipe cannot be
        read or cannot work.
    """
    if isinstance(source, Recipe):
        recipe = source
    elif isinstance(source, Mapping):
        recipe = read_recipe(source)
    elif str(source) in presets():
        recipe = presets()[str(source)]
    else:
        recipe = parse_recipe(_text(Path(source)))
    check(recipe, facts)
    return recipe


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise FileNotFoundError
        if path.stat().st_size > 4 * MAX_CHARACTERS:
            raise InputError(N_("The recipe is longer than {most} characters, which no recipe needs."),
                             most=MAX_CHARACTERS)
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(N_("{file} is not a text file in UTF-8."), file=path.name) from error
    except (OSError, ValueError) as error:
        raise InputError(
            N_("There is no recipe file and no preset called '{name}'. The nearest preset is '{nearest}'."),
            name=str(path)[:120], nearest=nearest(path.name, list(presets()))) from error
