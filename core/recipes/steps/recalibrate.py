"""Parameters of recovery without training."""

from __future__ import annotations

from typing import ClassVar, Literal

from core.locales import N_
from core.recipes.facts import ModelFacts
from core.recipes.step import Problem, Role, Step, register, setting


@register
class Recalibrate(Step):
    """Re-estimate the statistics that compression shifted: seconds, no labels."""

    kind: ClassVar[str] = "recalibrate"
    title: ClassVar[str] = N_("Recalibration")
    help: ClassVar[str] = N_("Brings the mean and the spread of each layer's outputs back to what they were, on "
                             "unlabelled images and without training.")
    words: ClassVar[str] = N_("re-estimate the statistics ({method})")
    paper: ClassVar[str] = "Nagel et al. 2019, arXiv:1906.04721"
    role: ClassVar[Role] = Role.RECOVER

    method: Literal["auto", "batch_norm", "bias"] = setting(
        "auto", title=N_("Method"),
        help=N_("Batch norm re-estimates its running mean and variance; bias shifts each layer's outputs. "
                "Automatic takes the first where the model still has batch norm."),
        choices={"auto": N_("automatic"), "batch_norm": N_("batch norm"), "bias": N_("bias")})
    images: int = setting(
        256, title=N_("Images"), help=N_("At most so many images are used."), unit=N_("images"), ge=8, le=5000,
        step=8, advanced=True)

    def problems_after(self, earlier: tuple[Step, ...]) -> list[Problem]:
        """Return a problem when layers no longer have the shape whose statistics would be compared."""
        for step in earlier:
            if step.kind in ("channels", "low_rank"):
                return [Problem(
                    N_("Recalibration compares layers with the original's, and the step '{kind}' changes their "
                       "shape; it refits by itself. Nearest recipe that works: {nearest}."), {"kind": step.kind})]
        return []

    def problems_on(self, facts: ModelFacts) -> list[Problem]:
        """Return a problem when batch norm is to be re-estimated in a model without any."""
        if self.method != "batch_norm" or facts.has_batch_norm:
            return []
        return [Problem(
            N_("The model {model} has no batch norm to re-estimate. Nearest recipe that works: {nearest}."),
            {"model": facts.name}, (self.model_copy(update={"method": "bias"}),))]
