"""Parameters of post-training quantization."""

from __future__ import annotations

from typing import ClassVar, Literal

from core.locales import N_
from core.recipes.facts import ModelFacts
from core.recipes.step import Problem, Role, Step, register, setting


@register
class Quantize(Step):
    """Store weights, and compute, in smaller numbers."""

    kind: ClassVar[str] = "quantize"
    title: ClassVar[str] = N_("Quantization")
    help: ClassVar[str] = N_("Stores weights in 16, 8 or 4 bits instead of 32. Full int8 also computes in 8 "
                             "bits, which is the fastest on most processors.")
    words: ClassVar[str] = N_("quantize to {scheme} (input and output in {io}, {keep_float} layers kept in float)")
    main: ClassVar[tuple[str, ...]] = ("scheme",)
    paper: ClassVar[str] = "Jacob et al. 2018, arXiv:1712.05877"
    role: ClassVar[Role] = Role.CONVERT

    scheme: Literal["float16", "dynamic", "int8", "int16x8", "int4"] = setting(
        "int8", title=N_("Scheme"), help=N_("The type of the numbers: float16 halves the file and changes "
                                            "little else; dynamic stores int8 weights and computes in float; "
                                            "int8 is fastest; int16x8 is more exact; int4 is smallest and "
                                            "often harmful."),
        choices={"float16": N_("float16 weights"), "dynamic": N_("int8 weights, float activations"),
                 "int8": N_("full int8"), "int16x8": N_("int16 activations, int8 weights"),
                 "int4": N_("int4 weights")})
    io: Literal["float", "int8"] = setting(
        "float", title=N_("Input and output"), help=N_("Whether the file takes and gives floats or int8."),
        choices={"float": N_("float"), "int8": N_("int8")}, shown_when={"scheme": ("int8",)})
    keep_float: int = setting(
        0, title=N_("Layers kept in float"),
        help=N_("So many of the layers with the largest quantization error stay in float: more exact, larger "
                "and slower."), unit=N_("layers"), ge=0, le=1000, step=1,
        shown_when={"scheme": ("int8", "dynamic", "int4")})
    engine: Literal["auto", "converter", "ai-edge-quantizer"] = setting(
        "auto", title=N_("Engine"),
        help=N_("What does the work. Automatic takes the converter, except where ai-edge-quantizer alone can."),
        choices={"auto": N_("automatic"), "converter": "TFLite converter",
                 "ai-edge-quantizer": "ai-edge-quantizer"}, advanced=True)
    images: int = setting(
        128, title=N_("Calibration images"), help=N_("Images that set the range of the activations."),
        unit=N_("images"), ge=8, le=5000, step=8, advanced=True, shown_when={"scheme": ("int8", "int16x8")})

    def problems(self) -> list[Problem]:
        """Return the contradictions between scheme, input type, layers kept in float and engine."""
        if self.io == "int8" and self.scheme != "int8":
            return [Problem(
                N_("The scheme {scheme} has float input and output; int8 ones need the scheme int8. Nearest "
                   "recipe that works: {nearest}."), {"scheme": self.scheme},
                (self.model_copy(update={"io": "float"}),))]
        if self.keep_float and self.scheme in ("float16", "int16x8"):
            return [Problem(
                N_("Layers can be kept in float with the schemes int8, dynamic and int4, not with {scheme}. "
                   "Nearest recipe that works: {nearest}."), {"scheme": self.scheme},
                (self.model_copy(update={"keep_float": 0}),))]
        if self.keep_float and self.io == "int8":
            return [Problem(
                N_("A file with int8 input and output has no layer in float. Nearest recipe that works: "
                   "{nearest}."), {}, (self.model_copy(update={"io": "float"}),))]
        able = {"int4": ("auto", "ai-edge-quantizer"), "float16": ("auto", "converter"),
                "int16x8": ("auto", "converter")}.get(self.scheme)
        if able and self.engine not in able:
            return [Problem(
                N_("The engine {engine} cannot make {scheme}. Nearest recipe that works: {nearest}."),
                {"engine": self.engine, "scheme": self.scheme},
                (self.model_copy(update={"engine": "auto"}),))]
        return []

    def problems_on(self, facts: ModelFacts) -> list[Problem]:
        """Return a problem when every layer would stay in float."""
        layers = len(facts.layers)
        if self.keep_float and self.keep_float >= layers:
            fewer = (self.model_copy(update={"keep_float": layers - 1}),) if layers > 1 else ()
            return [Problem(
                N_("The model {model} has {layers} layers with weights: keeping {keep} of them in float leaves "
                   "nothing to quantize. Nearest recipe that works: {nearest}."),
                {"model": facts.name, "layers": layers, "keep": self.keep_float}, fewer)]
        return []
