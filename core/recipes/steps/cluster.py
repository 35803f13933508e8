"""Parameters of clustering."""

from __future__ import annotations

from math import log2
from typing import ClassVar, Literal

from core.locales import N_
from core.recipes.allocation import nothing_to_prune
from core.recipes.facts import ModelFacts
from core.recipes.step import Problem, Step, register, setting


@register
class Cluster(Step):
    """Let the weights of a layer share few values, so that the file packs small."""

    kind: ClassVar[str] = "cluster"
    title: ClassVar[str] = N_("Clustering")
    help: ClassVar[str] = N_("Lets the weights of each layer share a few values, so that the file packs small. In one "
                             "shot the rounding is made up for layer by layer on calibration images; with training, "
                             "the shared values learn.")
    words: ClassVar[str] = N_("let the weights of each layer share {clusters} values ({way}, per {per})")
    main: ClassVar[tuple[str, ...]] = ("clusters",)
    paper: ClassVar[str] = "Han et al. 2016, arXiv:1510.00149; Frantar et al. 2022, arXiv:2210.17323"

    clusters: int = setting(
        32, title=N_("Clusters"), help=N_("Most different values in the weights of one layer."), unit=N_("values"),
        ge=2, le=256, step=1)
    one_shot: bool = setting(
        True, title=N_("One shot"), help=N_("Without training: each layer is rounded to its values and refitted to the "
                                            "original's outputs. Otherwise TFMOT trains the values."))
    per: Literal["layer", "channel", "scaled"] = setting(
        "layer", title=N_("Shared by"),
        help=N_("What shares one set of values. Per output channel is more exact and packs worse. Scaled is for int8 "
                "after it: the layer shares its int8 codes, and each output channel has a scale of its own."),
        choices={"layer": N_("layer"), "channel": N_("output channel"), "scaled": N_("layer, scaled per channel")})
    bits: float = setting(
        0.0, title=N_("Bits per weight"),
        help=N_("What a packer needs for a weight, on average over the model: uneven use of the values packs smaller. "
                "Layers that matter more get more. 0 takes a little less than the number of clusters needs."),
        unit=N_("bits"), ge=0, le=8, step=0.1, advanced=True, shown_when={"one_shot": (True,)})
    depthwise_clusters: int = setting(
        0, title=N_("Clusters of depthwise layers"),
        help=N_("These hold few weights and suffer most. 0 takes as many as elsewhere, and 64 where those are 16 or "
                "fewer; 1 leaves them whole."),
        unit=N_("values"), ge=0, le=256, step=1, advanced=True, shown_when={"one_shot": (True,)})
    preserve_sparsity: bool = setting(
        True, title=N_("Keep zeros"), help=N_("Weights that earlier steps made zero stay zero; zero is one of the "
                                              "values."))
    epochs: int = setting(
        5, title=N_("Epochs"), help=N_("Passes over the recovery images while the values learn."), unit=N_("epochs"),
        ge=1, le=1000, step=1, shown_when={"one_shot": (False,)})
    learning_rate: float = setting(
        1e-4, title=N_("Learning rate"), help=N_("Of the Adam optimizer."), gt=0, le=1, scale="log", advanced=True,
        shown_when={"one_shot": (False,)})
    batch_size: int = setting(
        32, title=N_("Batch size"), help=N_("Images per training step."), unit=N_("images"), ge=1, le=1024, step=1,
        advanced=True, shown_when={"one_shot": (False,)})
    labels: bool = setting(
        True, title=N_("Use labels"),
        help=N_("Train on the labels when the data has them. Without, the original model's answers are the targets."),
        shown_when={"one_shot": (False,)})
    images: int = setting(
        500, title=N_("Calibration images"), help=N_("At most so many images are used; more is slower."),
        unit=N_("images"), ge=8, le=5000, step=50, advanced=True, shown_when={"one_shot": (True,)})

    def trains(self) -> bool:
        """Return whether the values are trained."""
        return not self.one_shot

    def of_depthwise(self) -> int:
        """Return the number of values of a depthwise layer; 1 for a layer that is left whole."""
        if not self.one_shot:
            return 1
        return self.depthwise_clusters or (64 if self.clusters <= 16 else self.clusters)

    def mean_bits(self) -> float | None:
        """Return the bits per weight that are allowed on average; None where each channel has its own values."""
        if self.per == "channel":
            return None
        return self.bits or 0.84 * log2(self.clusters) + 0.12

    def problems(self) -> list[Problem]:
        """Return what training cannot do: zeros kept in two values, scales per channel; and bits without a use."""
        if not self.one_shot and self.per == "scaled":
            return [Problem(
                N_("Values scaled per channel come in one shot only. Nearest recipe that works: {nearest}."), {},
                (self.model_copy(update={"one_shot": True}),))]
        if self.bits and (self.per == "channel" or not self.one_shot):
            return [Problem(
                N_("Bits per weight can be set in one shot only, where a whole layer shares its values. Nearest "
                   "recipe that works: {nearest}."), {}, (self.model_copy(update={"bits": 0.0}),))]
        if not self.one_shot and self.preserve_sparsity and self.clusters < 3:
            return [Problem(
                N_("Training that keeps zeros needs at least 3 clusters, one of them the zero, and not {clusters}. "
                   "Nearest recipe that works: {nearest}."), {"clusters": self.clusters},
                (self.model_copy(update={"clusters": 3}),))]
        return []

    def problems_after(self, earlier: tuple[Step, ...]) -> list[Problem]:
        """Return a problem when the weights share fewer or as few values already."""
        for step in earlier:
            if isinstance(step, Cluster) and self.clusters >= step.clusters:
                return [Problem(
                    N_("The weights share {earlier} values already, and '{kind}' asks for {clusters}: cluster again "
                       "only for fewer. Nearest recipe that works: {nearest}."),
                    {"earlier": step.clusters, "kind": self.kind, "clusters": self.clusters})]
        return []

    def problems_on(self, facts: ModelFacts) -> list[Problem]:
        """Return what this model lacks: layers, or weights enough for so many values."""
        found = nothing_to_prune(facts, self.kind)
        if found:
            return found
        sizes = {layer.name: _shared(layer.shape, self.per) for layer in facts.prunable()}
        largest = max(sizes, key=lambda name: sizes[name])
        if self.clusters >= sizes[largest]:
            fewer = (self.model_copy(update={"clusters": sizes[largest] - 1}),) if sizes[largest] > 2 else ()
            return [Problem(
                N_("{clusters} clusters are no fewer than the weights that would share them: '{layer}' has the most, "
                   "{weights} per {per}. Nearest recipe that works: {nearest}."),
                {"clusters": self.clusters, "layer": largest, "weights": sizes[largest], "per": self.per}, fewer)]
        return []

    def word_values(self) -> dict[str, object]:
        """Return the fields, with the name of the way."""
        return {**dict(self), "way": "GPTQ" if self.one_shot else "TFMOT"}


def _shared(shape: tuple[int, ...], per: str) -> int:
    """Return how many weights share one set of values."""
    size = 1
    for length in shape[:-1]:
        size *= length
    return size if per == "channel" else size * shape[-1]
