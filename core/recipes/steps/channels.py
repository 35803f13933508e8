"""Parameters of channel pruning."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator

from core.locales import N_
from core.recipes.allocation import nothing_to_prune
from core.recipes.facts import ModelFacts
from core.recipes.step import Problem, Step, register, setting

Target = Literal["macs", "channels", "parameters", "latency"]
_FEWEST = 2


def _text(value: object) -> object:
    """Return a number as the text that names it among the choices."""
    return str(value) if type(value) is int else value


@register
class Channels(Step):
    """Remove whole channels, so that the model is an ordinary smaller one."""

    kind: ClassVar[str] = "channels"
    title: ClassVar[str] = N_("Channel pruning")
    help: ClassVar[str] = N_("Removes whole channels and everything that hangs on them, and refits the layers that "
                             "read the others. The result is an ordinary smaller model that runs faster everywhere. "
                             "Needs no labels and no training.")
    words: ClassVar[str] = N_("remove channels worth {target} ({importance}, {allocation})")
    main: ClassVar[tuple[str, ...]] = ("macs",)
    paper: ClassVar[str] = "Fang et al. 2023, arXiv:2301.12900; He, Zhang and Sun 2017, arXiv:1707.06168"

    macs: float = setting(
        0.25, title=N_("Multiply-accumulates"), help=N_("Fraction of the multiply-accumulates that goes. The time "
                                                        "that the model takes falls by a little less or more."),
        unit=N_("fraction"), gt=0, le=0.95, step=0.05)
    channels: float = setting(
        0, title=N_("Channels"), help=N_("Fraction of the removable channels that goes, instead of a fraction of the "
                                         "multiply-accumulates. 0 goes by the multiply-accumulates."),
        unit=N_("fraction"), ge=0, le=0.95, step=0.05, advanced=True)
    parameters: float = setting(
        0, title=N_("Parameters"), help=N_("Fraction of the weights of convolutions and dense layers that goes, "
                                           "instead of a fraction of the multiply-accumulates."),
        unit=N_("fraction"), ge=0, le=0.95, step=0.05, advanced=True)
    latency: float = setting(
        0, title=N_("Time"), help=N_("Fraction of the time that goes, measured: smaller models are built and timed on "
                                     "this machine until one is fast enough. 0 goes by the multiply-accumulates."),
        unit=N_("fraction"), ge=0, le=0.9, step=0.05, advanced=True)
    importance: Literal["reconstruction", "weight_norm", "batch_norm_scale", "activation"] = setting(
        "reconstruction", title=N_("Importance"),
        help=N_("Which channels go first. By reconstruction, those whose work the others can take over."),
        choices={"reconstruction": N_("what the others cannot take over"),
                 "weight_norm": N_("size of the weights"),
                 "batch_norm_scale": N_("scale of batch norm"),
                 "activation": N_("strength of the activations")})
    allocation: Literal["sensitivity", "uniform"] = setting(
        "sensitivity", title=N_("Allocation"),
        help=N_("How the channels that go are shared out among layers. Measured sensitivity needs a scan that is "
                "made once per model."),
        choices={"sensitivity": N_("by measured sensitivity"), "uniform": N_("the same in every layer")})
    round_to: Annotated[Literal["1", "4", "8"], BeforeValidator(_text)] = setting(
        "8", title=N_("Round to"),
        help=N_("Keep a multiple of so many channels in each layer that has four times as many. LiteRT's kernels work "
                "on tiles of 8 or 16 channels, and a tile that is half empty takes as long as a full one."),
        choices={"1": N_("any number"), "4": N_("multiples of 4"), "8": N_("multiples of 8")}, advanced=True)
    refit: bool = setting(
        True, title=N_("Refit"), help=N_("Refit the layers by least squares and fold batch norm into them. Without, "
                                         "weights are only cut and batch norm stays, for training afterwards."),
        advanced=True)
    images: int = setting(
        500, title=N_("Calibration images"), help=N_("At most so many images are used; more is slower."),
        unit=N_("images"), ge=8, le=5000, step=50, advanced=True)

    def by(self) -> tuple[Target, float]:
        """Return what the target counts, and the fraction of it that goes."""
        given: tuple[tuple[Target, float], ...] = (
            ("channels", self.channels), ("parameters", self.parameters), ("latency", self.latency))
        return next((pair for pair in given if pair[1] > 0), ("macs", self.macs))

    def problems(self) -> list[Problem]:
        """Return the contradiction of two targets in place of the multiply-accumulates."""
        given = [name for name in ("channels", "parameters", "latency") if getattr(self, name) > 0]
        if len(given) > 1:
            return [Problem(
                N_("'{first}' and '{second}' are two targets for the same thing; give one of them. Nearest recipe that "
                   "works: {nearest}."), {"first": given[0], "second": given[1]},
                (self.model_copy(update=dict.fromkeys(given[1:], 0.0)),))]
        return []

    def problems_on(self, facts: ModelFacts) -> list[Problem]:
        """Return what this model lacks: a layer whose channels another layer reads."""
        found = nothing_to_prune(facts, self.kind)
        if not found and len(facts.prunable()) < _FEWEST:
            found = [Problem(
                N_("Step '{kind}' removes channels between layers, and the model {model} has only one layer, "
                   "'{layer}', whose channels are its answers. Nearest recipe that works: {nearest}."),
                {"kind": self.kind, "model": facts.name, "layer": facts.prunable()[0].name})]
        return found

    def problems_after(self, earlier: tuple[Step, ...]) -> list[Problem]:
        """Return what would be undone: a 2:4 pattern or clusters of weights."""
        for step in earlier:
            if step.kind == "cluster" or getattr(step, "granularity", "") == "2:4":
                return [Problem(
                    N_("'{kind}' refits the weights, which would undo the pattern that '{earlier}' made: remove "
                       "channels first. Nearest recipe that works: {nearest}."),
                    {"kind": self.kind, "earlier": step.kind})]
        return []

    def word_values(self) -> dict[str, object]:
        """Return the fields with the target in words."""
        what, fraction = self.by()
        shown = {"macs": "MACs", "channels": "channels", "parameters": "parameters", "latency": "time"}[what]
        return {**dict(self), "target": f"{fraction:.0%} {shown}"}
