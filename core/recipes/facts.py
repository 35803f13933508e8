"""What a recipe may need to know about a model before it is run: plain facts, no weights."""

from __future__ import annotations

import difflib

from pydantic import BaseModel, ConfigDict, Field

PRUNABLE = ("conv2d", "dense")
"""Kinds of layers whose weights the pruning steps zero. Depthwise ones are small and fragile: left alone."""


class LayerFacts(BaseModel):
    """One layer with weights.

    Attributes
    ----------
    kind
        "conv2d", "depthwise_conv2d", "dense" or the lower-case class name of another layer.
    shape
        Of the kernel as Keras stores it: [h, w, in, out] for a convolution, [in, out] for a dense layer.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int

    @property
    def inputs(self) -> int:
        """Return the number of input channels, over which 2:4 groups run."""
        return self.shape[-2] if len(self.shape) >= 2 else 0


class ModelFacts(BaseModel):
    """One model.

    Attributes
    ----------
    operations
        Name of each layer, with weights or without, to the Keras class, such as "Add"; with the function for an
        activation, such as "Activation(swish)", also where it is inside a layer. Empty where it is not known.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    layers: tuple[LayerFacts, ...]
    has_batch_norm: bool
    parameters: int
    operations: dict[str, str] = Field(default_factory=dict)

    def prunable(self) -> tuple[LayerFacts, ...]:
        """Return the layers that pruning steps act on."""
        return tuple(layer for layer in self.layers if layer.kind in PRUNABLE)


def nearest(name: str, known: list[str]) -> str:
    """Return the known name that looks most like ``name``; the first one when none looks like it."""
    close = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.0)
    return next((k for k in known if close and k.lower() == close[0]), known[0] if known else "")
