"""Parameters of one-shot pruning by reconstruction."""

from __future__ import annotations

from typing import ClassVar

from core.locales import N_
from core.recipes.allocation import Pruning
from core.recipes.step import register, setting


@register
class Reconstruction(Pruning):
    """Zero weights layer by layer and refit the others to the layer's own outputs: no labels, no training."""

    kind: ClassVar[str] = "reconstruction"
    title: ClassVar[str] = N_("Pruning by reconstruction")
    help: ClassVar[str] = N_("Zeroes weights layer by layer and refits the remaining ones by least squares, so "
                             "that each layer still gives the original's outputs on calibration images. Needs "
                             "no labels and no training.")
    words: ClassVar[str] = N_("zero {sparsity:.0%} of the weights and refit the others layer by layer "
                              "({allocation})")
    paper: ClassVar[str] = "Frantar and Alistarh 2023, arXiv:2301.00774; Boža 2024, arXiv:2401.02938"

    images: int = setting(
        500, title=N_("Calibration images"), help=N_("At most so many images are used; more is slower."),
        unit=N_("images"), ge=8, le=5000, step=50, advanced=True)
