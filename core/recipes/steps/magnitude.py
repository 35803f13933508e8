"""Parameters of magnitude pruning."""

from __future__ import annotations

from typing import ClassVar, Literal

from core.locales import N_
from core.recipes.allocation import CHOICES, HELP, Allocation, Pruning, in_words
from core.recipes.facts import ModelFacts
from core.recipes.step import Problem, register, setting


@register
class Magnitude(Pruning):
    """Zero the smallest weights, at once or while training goes on."""

    kind: ClassVar[str] = "magnitude"
    title: ClassVar[str] = N_("Magnitude pruning")
    help: ClassVar[str] = N_("Zeroes the weights of smallest absolute value. With epochs of training the other "
                             "weights learn to make up for them; without, it takes a second and costs accuracy.")
    words: ClassVar[str] = N_("zero {sparsity:.0%} of the weights by magnitude ({granularity}, {allocation}, "
                              "{epochs} epochs)")
    paper: ClassVar[str] = "Zhu and Gupta 2017, arXiv:1710.01878"

    allocation: Allocation = setting(
        "uniform", title=N_("Allocation"), help=HELP, choices=CHOICES)
    granularity: Literal["weights", "block", "2:4"] = setting(
        "weights", title=N_("Granularity"),
        help=N_("What becomes zero together. Single weights harm least; blocks and 2:4 follow what some "
                "hardware can skip. 2:4 means two zeros in every four weights along the input channels."),
        choices={"weights": N_("single weights"), "block": N_("blocks"), "2:4": N_("2 of every 4")})
    block: Literal["1x4", "4x1", "4x4", "1x16", "16x1"] = setting(
        "4x1", title=N_("Block"), help=N_("Rows (inputs) by columns (outputs) of a block, in dense "
                                          "layers; convolutions are pruned by single weights."),
        choices={v: v for v in ("1x4", "4x1", "4x4", "1x16", "16x1")}, advanced=True,
        shown_when={"granularity": ("block",)})
    epochs: int = setting(
        0, title=N_("Epochs"), help=N_("Passes over the recovery images while pruning. 0 prunes in one shot."),
        unit=N_("epochs"), ge=0, le=1000, step=1)
    schedule: Literal["constant", "polynomial"] = setting(
        "polynomial", title=N_("Schedule"),
        help=N_("Reach the sparsity at the first step, or step by step along a cubic curve."),
        choices={"constant": N_("constant"), "polynomial": N_("polynomial")})
    ramp: float = setting(
        0.6, title=N_("Ramp"), help=N_("Part of the training during which the sparsity grows; the rest heals."),
        unit=N_("fraction"), gt=0, le=1, step=0.05, advanced=True,
        shown_when={"schedule": ("polynomial",)})
    learning_rate: float = setting(
        1e-3, title=N_("Learning rate"), help=N_("Of the Adam optimizer."), gt=0, le=1, scale="log",
        advanced=True)
    batch_size: int = setting(
        32, title=N_("Batch size"), help=N_("Images per training step."), unit=N_("images"), ge=1, le=1024,
        step=1, advanced=True)
    labels: bool = setting(
        True, title=N_("Use labels"),
        help=N_("Train on the labels when the data has them. Without, the original model's answers are the "
                "targets."))

    def trains(self) -> bool:
        """Return whether fine-tuning follows."""
        return self.epochs > 0

    def problems(self) -> list[Problem]:
        """Return the contradictions of 2:4 with another sparsity or allocation."""
        if self.granularity != "2:4":
            return []
        fixed = self.model_copy(update={"sparsity": 0.5, "allocation": "uniform"})
        if self.sparsity != 0.5:
            return [Problem(
                N_("2:4 zeroes two of every four weights, so its sparsity is 0.5 and not {sparsity}. Nearest "
                   "recipe that works: {nearest}."), {"sparsity": self.sparsity}, (fixed,))]
        if self.allocation != "uniform":
            return [Problem(
                N_("2:4 zeroes half of every layer, so its allocation is uniform and not {allocation}. Nearest "
                   "recipe that works: {nearest}."), {"allocation": in_words(self.allocation)}, (fixed,))]
        return []

    def problems_on(self, facts: ModelFacts) -> list[Problem]:
        """Return what this model lacks: prunable layers, named layers, channels in fours."""
        found = super().problems_on(facts)
        if not found and self.granularity == "2:4" and all(x.inputs % 4 for x in facts.prunable()):
            found = [Problem(
                N_("2:4 needs a layer whose input channels are a multiple of 4, and the model {model} has none. "
                   "Nearest recipe that works: {nearest}."), {"model": facts.name},
                (self.model_copy(update={"granularity": "weights"}),))]
        return found
