"""How a target sparsity is shared out among layers: what every step that prunes single weights has in common."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from core.locales import N_
from core.recipes.facts import ModelFacts, nearest
from core.recipes.step import Problem, Step, setting

Fraction = Annotated[float, Field(ge=0, le=0.99)]
Allocation = Literal["uniform", "global", "erk", "sensitivity"] | dict[str, Fraction]
"""A rule by name, or the fraction of zeros of each named layer (the other layers stay whole)."""

CHOICES = {
    "uniform": N_("the same in every layer"),
    "global": N_("smallest weights of the whole model"),
    "erk": N_("more in large layers (ERK)"),
    "sensitivity": N_("by measured sensitivity"),
}
HELP = N_("How the zeros are shared out among layers. Measured sensitivity needs a scan that is made once per "
          "model; by layer, the target above is replaced by your own fractions.")



class Pruning(Step):
    """A step that zeroes a fraction of the weights, shared out among layers by a rule or by name."""

    main: ClassVar[tuple[str, ...]] = ("sparsity",)

    sparsity: float = setting(
        0.5, title=N_("Sparsity"), help=N_("Fraction of the weights of convolutions and dense layers that "
                                           "become zero."),
        unit=N_("fraction"), gt=0, le=0.99, step=0.05)
    allocation: Allocation = setting(
        "sensitivity", title=N_("Allocation"), help=HELP, choices=CHOICES)

    def problems_on(self, facts: ModelFacts) -> list[Problem]:
        """Return what this model lacks: prunable layers or named layers."""
        return nothing_to_prune(facts, self.kind) or unknown_layers(self.allocation, facts, self.kind)

    def word_values(self) -> dict[str, object]:
        """Return the fields with the allocation in words."""
        return {**dict(self), "allocation": in_words(self.allocation)}


def in_words(allocation: Allocation) -> str:
    """Return a rule's name, or "by layer"."""
    return allocation if isinstance(allocation, str) else "by layer"


def unknown_layers(allocation: Allocation, facts: ModelFacts, kind: str) -> list[Problem]:
    """Return a problem for the first layer in ``allocation`` that the model does not have."""
    known = [layer.name for layer in facts.prunable()]
    if isinstance(allocation, str) or not known:
        return []
    for name in allocation:
        if name not in known:
            return [Problem(
                N_("Step '{kind}' gives a fraction for the layer '{layer}', which the model {model} does not "
                   "have or cannot prune. The nearest layer is '{known}'."),
                {"kind": kind, "layer": name, "model": facts.name, "known": nearest(name, known)},
            )]
    return []


def nothing_to_prune(facts: ModelFacts, kind: str) -> list[Problem]:
    """Return a problem when the model has no layer that pruning acts on."""
    if facts.prunable():
        return []
    kinds = ", ".join(sorted({layer.kind for layer in facts.layers})) or "none"
    return [Problem(
        N_("Step '{kind}' prunes convolutions and dense layers, and the model {model} has none (its layers "
           "with weights: {kinds}). Nearest recipe that works: {nearest}."),
        {"kind": kind, "model": facts.name, "kinds": kinds},
    )]
