"""Parameters of low-rank factorization."""

from __future__ import annotations

from typing import ClassVar

from core.locales import N_
from core.recipes.facts import LayerFacts, ModelFacts
from core.recipes.step import Problem, Step, register, setting


@register
class LowRank(Step):
    """Replace a large dense or 1x1 layer by two thin ones."""

    kind: ClassVar[str] = "low_rank"
    title: ClassVar[str] = N_("Low-rank factorization")
    help: ClassVar[str] = N_("Replaces a dense layer or 1x1 convolution by two thin ones in a row, where that costs "
                             "fewer multiplications. Smaller and faster in float, without labels and without "
                             "training.")
    words: ClassVar[str] = N_("factorize dense layers and 1x1 convolutions ({target})")
    main: ClassVar[tuple[str, ...]] = ("error",)
    paper: ClassVar[str] = "Zhang et al. 2015, arXiv:1505.06798"

    error: float = setting(
        0.01, title=N_("Error"),
        help=N_("Part of the energy of each layer's outputs on calibration images that may be lost; it decides the "
                "rank."), unit=N_("fraction"), gt=0, lt=1, step=0.01)
    rank: int = setting(
        0, title=N_("Rank"), help=N_("The same rank for every layer, in place of the error. 0 goes by the error."),
        ge=0, le=100000, step=1, advanced=True)
    ratio: float = setting(
        0.0, title=N_("Ratio"),
        help=N_("The part of each layer's multiplications that stays, in place of the error. 0 goes by the error."),
        unit=N_("fraction"), ge=0, lt=1, step=0.05, advanced=True)
    images: int = setting(
        500, title=N_("Calibration images"), help=N_("At most so many images are used; more is slower."),
        unit=N_("images"), ge=8, le=5000, step=50, advanced=True)

    def problems(self) -> list[Problem]:
        """Return the contradiction of two targets."""
        if self.rank and self.ratio:
            return [Problem(
                N_("Rank and ratio are two targets for the same thing; give one of them. Nearest recipe that works: "
                   "{nearest}."), {}, (self.model_copy(update={"rank": 0}),))]
        return []

    def problems_after(self, earlier: tuple[Step, ...]) -> list[Problem]:
        """Return a problem when factors would undo zeros or shared values."""
        undone = next((s for s in earlier if s.kind in ("magnitude", "reconstruction", "cluster")), None)
        if undone is None:
            return []
        return [Problem(
            N_("'{kind}' would replace the layers that '{earlier}' made sparse or clustered by dense ones; factorize "
               "first. Nearest recipe that works: {nearest}."), {"kind": self.kind, "earlier": undone.kind})]

    def problems_on(self, facts: ModelFacts) -> list[Problem]:
        """Return a problem when no layer can become cheaper."""
        most = {layer.name: _most_useful_rank(layer) for layer in facts.layers if _can_split(layer)}
        useful = {name: rank for name, rank in most.items() if rank >= 1}
        if not useful:
            return [Problem(
                N_("The model {model} has no dense layer or 1x1 convolution that two thinner ones could replace with "
                   "fewer multiplications, so there is nothing to factorize. Nearest recipe that works: {nearest}."),
                {"model": facts.name})]
        largest = max(useful.values())
        if self.rank > largest:
            return [Problem(
                N_("At rank {rank} no layer gets cheaper; the highest rank that saves anything is {largest}. Nearest "
                   "recipe that works: {nearest}."), {"rank": self.rank, "largest": largest},
                (self.model_copy(update={"rank": largest}),))]
        return []

    def word_values(self) -> dict[str, object]:
        """Return the fields, with the target in figures."""
        target = f"rank={self.rank}" if self.rank else f"ratio={self.ratio}" if self.ratio else f"error={self.error}"
        return {**dict(self), "target": target}


def _can_split(layer: LayerFacts) -> bool:
    return layer.kind == "dense" or (layer.kind == "conv2d" and layer.shape[:2] == (1, 1))


def _most_useful_rank(layer: LayerFacts) -> int:
    """Return the highest rank at which two factors hold fewer weights than the kernel."""
    inputs, outputs = layer.shape[-2:]
    return (inputs * outputs - 1) // (inputs + outputs)
