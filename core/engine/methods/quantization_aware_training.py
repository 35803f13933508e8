"""Quantization-aware training on TFMOT's fake quantization, with zeros and shared values of earlier steps kept.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (CVPR
2018, arXiv:1712.05877). Keeping zeros (PQAT), shared values (CQAT) or both (PCQAT) follows from what earlier steps
promised.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.engine.clustering.codes import codes
from core.engine.clustering.shared_scale import FEW, with_shared_scales
from core.engine.convert import to_tflite
from core.engine.facts import model_facts
from core.engine.methods.frame import Context, Finding, Outcome, State, implements
from core.engine.report_layers import compare_layers
from core.engine.training_aware import ranges, rounding
from core.engine.training_aware.rewriting import rewritten
from core.engine.training_aware.ties import ties
from core.engine.training_aware.training import train
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.quantization_aware_training import QuantizationAwareTraining, left_in_float

_CALIBRATION = 256
_REPORT_IMAGES = 16


@implements("quantization_aware_training")
def apply(step: QuantizationAwareTraining, state: State, context: Context) -> Outcome:
    """Train a copy of ``state.model`` with rounding and write the int8 file.

    Raises
    ------
    InputError
        If images are missing, training diverges, or the model has layers that cannot be trained so.
    """
    if not len(context.calibration):
        raise InputError(N_("Quantizing the activations needs calibration photos, and there are none. Add some."))
    context.progress(0.02, N_("Preparing the layers"))
    bare = rewritten(state.model)
    in_float = _in_float(step, bare)
    grid = state.promise.grid
    few = [name for name, count in state.promise.distinct.items() if count <= FEW and name not in grid]
    model = rounding.with_rounding(bare, few)
    held = ties(rounding.kernels(model), state.masks, state.promise.distinct, grid)
    images = np.asarray(context.calibration[:_CALIBRATION], np.float32)
    ranges.begin(model, ranges.measured(bare, images, context), bare.layers[0].name)
    context.progress(0.1, N_("Training with rounding"))
    details = train(step, model, state.original, held, context)
    context.check_cancelled()
    context.progress(0.86, N_("Converting"))
    artifact = rounding.to_int8(model, step.io)
    bare = rounding.plain(model, bare)
    reference = to_tflite(bare, scheme="float32")
    if grid:
        artifact = with_shared_scales(artifact, reference, (), grid)
    context.progress(0.95, N_("Comparing layer by layer"))
    names = [layer.name for layer in bare.layers if layer.weights]
    rows = compare_layers(reference, artifact, images[:_REPORT_IMAGES], names)
    way = _way(state)
    details |= {"layers": rows, "kept_in_float": list(in_float), "way": way, "engine": "converter",
                "calibration_images": len(images)}
    stored = {name: int(np.unique(codes(bare.get_layer(name), grid[name])).size) for name in grid}
    promise = state.promise.also(scheme="int8", io=step.io, float_layers=tuple(in_float),
                                 distinct={**state.promise.distinct, **stored})
    return Outcome(bare, promise=promise, details=details, findings=_findings(step, details, context),
                   artifact=artifact)


def _in_float(step: QuantizationAwareTraining, model: Any) -> dict[str, str]:
    """Return the layers that compute in float, or refuse them."""
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    found = left_in_float(model_facts(model)) | {n: k for n, k in kinds.items() if k == "BatchNormalization"}
    if found and step.unsupported == "refuse":
        raise InputError(
            N_("Quantization-aware training cannot quantize these layers: {layers}. Set 'unsupported' to 'float' to "
               "leave them in float."), layers=", ".join(f"{n} ({k})" for n, k in found.items()))
    return found


def _way(state: State) -> str:
    """Return what the combination is called: QAT, PQAT, CQAT or PCQAT."""
    pruned = "P" if any(not m.all() for m in state.masks.values()) else ""
    clustered = "C" if state.promise.distinct else ""
    return f"{pruned}{clustered}QAT"


def _findings(step: QuantizationAwareTraining, details: dict[str, Any], context: Context) -> tuple[Finding, ...]:
    found = []
    if details["way"] != "QAT":
        found.append(Finding("kept-while-training", N_("Zeros and shared values of the steps before were kept at every "
                                                       "step of the training ({way})."), {"way": details["way"]}))
    if details["kept_in_float"]:
        found.append(Finding("layers-in-float", N_("These layers compute in float: {layers}."),
                             {"layers": ", ".join(details["kept_in_float"])}, "warning"))
    if step.labels and context.targets is None:
        found.append(Finding("no-labels", N_("The images have no labels: the original's answers alone were the "
                                             "targets.")))
    if details["best_step"] == 0:
        found.append(Finding(
            "training-no-gain", N_("Training with rounding for {epochs} epochs brought nothing on the images held "
                                   "out, so the file is that of plain int8. More varied images or more epochs may "
                                   "help."), {"epochs": step.epochs}, "warning"))
    return tuple(found)
