"""Would XNNPACK use the zeros? Its rules for sparse inference, checked on the file's graph.

The rules are those of XNNPACK's rewrite to channel-first layout (``xnn_check_nchw_compatibility``;
Elsen, Dukhan, Gale and Simonyan, "Fast Sparse ConvNets", CVPR 2020): between a first 3x3 convolution
of stride 2 and a global mean, only 1x1 convolutions, a few depthwise ones and elementwise operators,
in float, and more than two thirds of a 1x1 layer's weights zero.
"""

from __future__ import annotations

import platform
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from core.locales import N_
from core.measurement.graph import FLOATS, Operator, TfliteModel, Weight

SPARSE_FROM = 2 / 3
_SAME = 0
_ELEMENTWISE = frozenset({
    "ABS", "ADD", "ELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MUL", "NEG", "PRELU", "RELU",
    "RELU6", "RELU_N1_TO_1", "SQUARE", "SUB", "TANH",
})
_UNSEEN = frozenset({"DENSIFY", "DEQUANTIZE"})


class Reason(BaseModel):
    """Why not: a template marked with ``N_`` and its values."""

    model_config = ConfigDict(frozen=True)

    message: str
    parameters: dict[str, str | int | float] = {}


class SparseSpeed(BaseModel):
    """Whether zeros would save time, and why not.

    ``eligible`` judges the file for ARM64 and WebAssembly SIMD; ``here`` whether this machine's
    processor would also admit it. ``sparse_layers`` would run sparse; ``reasons`` is empty when
    eligible and here are both true.
    """

    model_config = ConfigDict(frozen=True)

    eligible: bool
    here: bool
    sparse_layers: list[str]
    reasons: list[Reason]


def has_avx() -> bool:
    """Tell whether this is an x86 processor with AVX, on which XNNPACK never runs sparse."""
    if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686"):
        return False
    try:
        return " avx " in Path("/proc/cpuinfo").read_text().replace("\n", " ")
    except OSError:
        return True


def machine_admits() -> bool:
    """Tell whether this processor is one on which XNNPACK considers sparse inference at all."""
    return not has_avx()


def _geometry(weight: Weight) -> tuple[int, int, int, bool]:
    _, height, width, *_ = weight.tensor.shape
    options = weight.operator.options
    stride = max(options.get("strideH", 1), options.get("strideW", 1))
    return height, width, stride, options.get("padding") == _SAME


def _pads_one_each_side(model: TfliteModel, operator: Operator, each: int) -> bool:
    maker = model.producers.get(operator.inputs[0])
    if maker is None or maker.name not in ("PAD", "PADV2"):
        return False
    amounts = model.constant_behind(maker.inputs[1])
    if amounts is None or amounts.values.shape != (4, 2):
        return False
    return bool(amounts.values.tolist() == [[0, 0], [each, each], [each, each], [0, 0]])


def _admits(model: TfliteModel, operator: Operator, weights: dict[int, Weight]) -> bool:
    """Tell whether one operator may stand between the first convolution and the mean."""
    if operator.name in _ELEMENTWISE | _UNSEEN:
        return True
    if operator.name in ("PAD", "PADV2"):
        readers = model.consumers.get(operator.outputs[0], [])
        return all(r.name in ("DEPTHWISE_CONV_2D", "CONV_2D") for r in readers)
    weight = weights.get(operator.index)
    if weight is None or operator.name not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return False
    height, width, stride, same = _geometry(weight)
    options = operator.options
    if max(options.get("dilationHFactor", 1), options.get("dilationWFactor", 1)) != 1:
        return False
    if operator.name == "CONV_2D":
        return (height, width, stride) == (1, 1, 1)
    if height != width or height not in (3, 5) or options.get("depthMultiplier", 1) > 1:
        return False
    return (stride == 1 and same) or (
        stride in (1, 2) and _pads_one_each_side(model, operator, height // 2)
    )


def xnnpack_sparse(model: TfliteModel, here: bool | None = None) -> SparseSpeed:
    """Judge whether XNNPACK's sparse path would run for this file.

    ``here`` overrides what this machine's processor admits.
    """
    here = machine_admits() if here is None else here
    weights = {weight.operator.index: weight for weight in model.weights}
    reasons: list[Reason] = []
    if any(t.type not in FLOATS and t.scale.size for t in model.tensors):
        reasons.append(Reason(message=N_(
            "The model is quantized; XNNPACK has sparse kernels for float models only.")))
    if not any(w.tensor.sparsity is not None for w in model.weights):
        reasons.append(Reason(message=N_(
            "No weight is stored sparse in the file, which is what tells XNNPACK to look.")))
    operators = [o for o in model.operators if o.name not in _UNSEEN]
    first = next((o for o in operators if o.name == "CONV_2D"), None)
    last = next((i for i, o in enumerate(operators) if o.name == "MEAN"), None)
    if first is None or first.index not in weights or not _opens(model, weights[first.index]):
        reasons.append(Reason(message=N_(
            "The model does not begin with a 3x3 convolution of stride 2 on 3 channels after a "
            "padding of 1 on each side.")))
    if last is None or not operators[last].options.get("keepDims"):
        reasons.append(Reason(message=N_(
            "The convolutions do not end in a global mean that keeps its dimensions.")))
    start = operators.index(first) + 1 if first is not None else 0
    for operator in operators[start:last]:
        if not _admits(model, operator, weights):
            name = model.tensors[operator.outputs[0]].name.split(";")[0] if operator.outputs else ""
            if operator.index in weights:
                name = weights[operator.index].layer
            reasons.append(Reason(
                message=N_("Operator {operator} ('{layer}') is not one that XNNPACK runs sparse."),
                parameters={"operator": operator.name, "layer": name}))
            break
    pointwise = [
        w for w in model.weights
        if w.operator.name == "CONV_2D" and w.tensor.shape[1:3] == (1, 1)
    ]
    sparse = [
        w.layer for w in pointwise if 1 - w.tensor.nonzero() / max(1, w.tensor.size) > SPARSE_FROM
    ]
    if not sparse:
        reasons.append(Reason(message=N_(
            "No 1x1 convolution has more than two thirds of its weights zero.")))
    eligible = not reasons
    if not here:
        reasons.append(Reason(message=N_(
            "This processor has AVX, on which XNNPACK always runs dense: zeros save no time here.")))
    return SparseSpeed(eligible=eligible, here=here and eligible,
                       sparse_layers=sparse if eligible else [], reasons=reasons)


def _opens(model: TfliteModel, weight: Weight) -> bool:
    height, width, stride, same = _geometry(weight)
    return (
        (height, width, stride) == (3, 3, 2)
        and weight.tensor.shape[-1] == 3
        and not same
        and _pads_one_each_side(model, weight.operator, 1)
    )
