"""Parameters of mixed precision."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from core.locales import N_
from core.recipes.allocation import nothing_to_prune
from core.recipes.facts import PRUNABLE, ModelFacts
from core.recipes.step import Problem, Role, Step, register, setting

_SCALE_BYTES = 4


@register
class MixedPrecision(Step):
    """Give each layer's weights 4 bits, 8 bits or float, whichever costs least for the bytes that a budget allows."""

    kind: ClassVar[str] = "mixed_precision"
    title: ClassVar[str] = N_("Mixed precision")
    help: ClassVar[str] = N_("Measures what 4 and 8 bits cost in each layer alone, and gives the fewest bits to the "
                             "layers where they harm least, until the weights fit the budget. Needs no labels.")
    words: ClassVar[str] = N_("give each layer as many bits as it is worth, weights within {budget:.0%} of their float "
                              "size ({arithmetic})")
    main: ClassVar[tuple[str, ...]] = ("budget",)
    paper: ClassVar[str] = "Dong et al. 2019, arXiv:1905.03696"
    role: ClassVar[Role] = Role.CONVERT

    budget: float = setting(
        0.18, title=N_("Budget"),
        help=N_("What the weights may take, as a fraction of their float size. 8 bits in every layer take 0.25, 4 bits "
                "0.125."),
        unit=N_("fraction"), gt=0, le=1, step=0.01)
    arithmetic: Literal["int8", "float"] = setting(
        "int8", title=N_("Arithmetic"),
        help=N_("In int8, weights have 4 or 8 bits and everything computes in int8. In float, weights are turned to "
                "float before computing, and layers may also stay in float."),
        choices={"int8": N_("int8 arithmetic"), "float": N_("float arithmetic")})
    images: int = setting(
        128, title=N_("Calibration images"), help=N_("Images that set the range of the activations."),
        unit=N_("images"), ge=8, le=5000, step=8, advanced=True)

    @property
    def scheme(self) -> str:
        """Return what the file is: int8 arithmetic, or weights alone in few bits."""
        return "int4x8" if self.arithmetic == "int8" else "int4"

    def problems_on(self, facts: ModelFacts) -> list[Problem]:
        """Return a problem when no layer can have 4 bits, or not even 4 bits everywhere meet the budget."""
        found = nothing_to_prune(facts, self.kind)
        if found:
            return found
        lowest = smallest(facts)
        if self.budget >= lowest:
            return []
        return [Problem(
            N_("The weights of the model {model} take {lowest} of their float size at least, with 4 bits wherever "
               "that can be, and the budget is {budget}. Nearest recipe that works: {nearest}."),
            {"model": facts.name, "lowest": f"{lowest:.1%}", "budget": f"{self.budget:.1%}"},
            (self.model_copy(update={"budget": math.ceil(lowest * 100) / 100}),))]


def smallest(facts: ModelFacts) -> float:
    """Return the least that weights can take, as a fraction of their float size: 4 bits but in depthwise layers."""
    floats = least = 0.0
    for layer in facts.layers:
        weights = math.prod(layer.shape)
        channels = layer.shape[-1] if layer.kind in PRUNABLE else math.prod(layer.shape[-2:])
        floats += 4 * weights
        least += weights * (0.5 if layer.kind in PRUNABLE else 1.0) + _SCALE_BYTES * channels
    return least / max(1.0, floats)
