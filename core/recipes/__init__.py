"""What to do to a model: recipe steps as typed schemas, presets, and the check that they compose.

A method's parameters live here, in ``steps/<kind>.py``, free of TensorFlow; its implementation lives in
``core/engine/methods/<kind>.py``.
"""

from core.recipes import steps as _steps  # noqa: F401 - importing registers the kinds
from core.recipes.catalogue import load_recipe, preset_words, presets
from core.recipes.composition import check, one_line, repair
from core.recipes.facts import LayerFacts, ModelFacts
from core.recipes.link import from_link, to_link
from core.recipes.recipe import Recipe, parse_recipe, read_recipe, read_step
from core.recipes.schema import describe, describe_step
from core.recipes.step import REGISTRY, Problem, Role, Step, register, setting
from core.recipes.wording import in_words, step_in_words

__all__ = [
    "REGISTRY", "LayerFacts", "ModelFacts", "Problem", "Recipe", "Role", "Step", "check", "describe",
    "describe_step", "from_link", "in_words", "load_recipe", "one_line", "parse_recipe", "preset_words", "presets",
    "read_recipe", "read_step", "register", "repair", "setting", "step_in_words", "to_link",
]
