"""Parameters of one-shot pruning by reconstruction."""

from __future__ import annotations

from typing import ClassVar

from core.locales import N_
from core.recipes.allocation import (
    CHOICES,
    HELP,
    Allocation,
    in_words,
    nothing_to_prune,
    unknown_layers,
)
from core.recipes.facts import ModelFacts
from core.recipes.step import Problem, Step, register, setting


@register
class Reconstruction(Step):
    """Zero weights layer by layer and refit the others to the layer's own outputs: no labels, no training."""

    kind: ClassVar[str] = "reconstruction"
    title: ClassVar[str] = N_("Pruning by reconstruction")
    help: ClassVar[str] = N_("Zeroes weights layer by layer and refits the remaining ones by least squares, so "
                             "that each layer still gives the original's outputs on calibration images. Needs "
                             "no labels and no training.")
    words: ClassVar[str] = N_("zero {sparsity:.0%} of the weights and refit the others layer by layer "
                              "({allocation})")
    main: ClassVar[tuple[str, ...]] = ("sparsity",)
    paper: ClassVar[str] = "Frantar and Alistarh 2023, arXiv:2301.00774; Boža 2024, arXiv:2401.02938"

    sparsity: float = setting(
        0.5, title=N_("Sparsity"), help=N_("Fraction of the weights of convolutions and dense layers that "
                                           "become zero."),
        unit=N_("fraction"), gt=0, le=0.99, step=0.05)
    allocation: Allocation = setting(
        "sensitivity", title=N_("Allocation"), help=HELP, choices=CHOICES)
    images: int = setting(
        500, title=N_("Calibration images"), help=N_("At most so many images are used; more is slower."),
        unit=N_("images"), ge=8, le=5000, step=50, advanced=True)

    def problems_on(self, facts: ModelFacts) -> list[Problem]:
        """Return what this model lacks: prunable layers or named layers."""
        return nothing_to_prune(facts, self.kind) or unknown_layers(self.allocation, facts, self.kind)

    def word_values(self) -> dict[str, object]:
        """Return the fields with the allocation in words."""
        return {**dict(self), "allocation": in_words(self.allocation)}
