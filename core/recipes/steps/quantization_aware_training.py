"""Parameters of quantization-aware training."""

from __future__ import annotations

from typing import ClassVar, Literal

from core.locales import N_
from core.recipes.facts import ModelFacts
from core.recipes.step import Problem, Role, Step, register, setting

TRAINED = frozenset({
    "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense", "BatchNormalization", "ReLU", "LeakyReLU", "Softmax",
    "Activation(linear)", "Activation(relu)", "Activation(relu6)", "Activation(softmax)", "Activation(sigmoid)",
    "Activation(tanh)", "Activation(swish)", "Activation(silu)", "Add", "Multiply", "Subtract", "Maximum",
    "Concatenate", "AveragePooling2D", "GlobalAveragePooling2D", "MaxPooling2D", "GlobalMaxPooling2D", "UpSampling2D",
    "Flatten", "Reshape", "Permute", "ZeroPadding2D", "Cropping2D", "InputLayer",
})
"""What is trained in int8, as ``ModelFacts.operations`` names it."""

GONE = frozenset({
    "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "ActivityRegularization", "RandomFlip",
    "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast",
})
"""What only training has: nothing of it is in the file."""

_SHOWN = 5


@register
class QuantizationAwareTraining(Step):
    """Train with the rounding of int8 in every layer, and write the int8 file with the ranges that training found."""

    kind: ClassVar[str] = "quantization_aware_training"
    title: ClassVar[str] = N_("Quantization-aware training")
    help: ClassVar[str] = N_("Trains the model while every layer already rounds to int8, and writes the int8 file. "
                             "Zeros and shared values of earlier steps stay. Serves where int8 alone costs too much.")
    words: ClassVar[str] = N_("train for {epochs} epochs with the rounding of int8, and write int8 (input and output "
                              "in {io})")
    main: ClassVar[tuple[str, ...]] = ("epochs",)
    paper: ClassVar[str] = "Jacob et al. 2018, arXiv:1712.05877"
    role: ClassVar[Role] = Role.CONVERT
    scheme: ClassVar[str] = "int8"

    epochs: int = setting(
        5, title=N_("Epochs"), help=N_("Passes over the recovery images with rounding."), unit=N_("epochs"), ge=1,
        le=1000, step=1)
    labels: bool = setting(
        True, title=N_("Use labels"),
        help=N_("Train on the labels too when the data has them. The original model's answers are always targets."))
    io: Literal["float", "int8"] = setting(
        "float", title=N_("Input and output"), help=N_("Whether the file takes and gives floats or int8."),
        choices={"float": N_("float"), "int8": N_("int8")})
    unsupported: Literal["refuse", "float"] = setting(
        "refuse", title=N_("Layers that cannot be trained so"),
        help=N_("Refuse a model with layers that TFMOT cannot quantize, naming them, or leave these in float."),
        choices={"refuse": N_("refuse"), "float": N_("leave in float")}, advanced=True)
    learning_rate: float = setting(
        3e-4, title=N_("Learning rate"), help=N_("Of the Adam optimizer."), gt=0, le=1, scale="log", advanced=True)
    batch_size: int = setting(
        32, title=N_("Batch size"), help=N_("Images per training step."), unit=N_("images"), ge=1, le=1024, step=1,
        advanced=True)

    def trains(self) -> bool:
        """Always."""
        return True

    def problems(self) -> list[Problem]:
        """Return the contradiction of int8 input and output with layers in float."""
        if self.io == "int8" and self.unsupported == "float":
            return [Problem(
                N_("A file with int8 input and output has no layer in float. Nearest recipe that works: "
                   "{nearest}."), {}, (self.model_copy(update={"unsupported": "refuse"}),))]
        return []

    def problems_on(self, facts: ModelFacts) -> list[Problem]:
        """Return a problem that names the layers which would stay in float, unless that was asked for."""
        found = left_in_float(facts)
        if len(found) == sum(kind not in GONE for kind in facts.operations.values()) and found:
            return [Problem(
                N_("Quantization-aware training can quantize no layer of the model {model}. Nearest recipe that works: "
                   "{nearest}."), {"model": facts.name})]
        if not found or self.unsupported == "float":
            return []
        named = [f"{name} ({kind})" for name, kind in found.items()]
        more = f" + {len(named) - _SHOWN}" if len(named) > _SHOWN else ""
        fixed = self.model_copy(update={"unsupported": "float", "io": "float"})
        return [Problem(
            N_("Quantization-aware training cannot quantize these layers of the model {model}: {layers}. Allow them to "
               "stay in float. Nearest recipe that works: {nearest}."),
            {"model": facts.name, "layers": ", ".join(named[:_SHOWN]) + more}, (fixed,))]


def left_in_float(facts: ModelFacts) -> dict[str, str]:
    """Return the layers, name to kind, that are neither trained in int8 nor gone from the file."""
    return {name: kind for name, kind in facts.operations.items() if kind not in TRAINED and kind not in GONE}
