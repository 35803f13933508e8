"""Post-training quantization with the TFLite converter, or ai-edge-quantizer where that one is better.

The integer arithmetic is that of Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (CVPR 2018, arXiv:1712.05877).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.engine import edge_quantizer, mixed
from core.engine.clustering.codes import codes
from core.engine.clustering.shared_scale import FEW, with_shared_scales
from core.engine.convert import to_tflite
from core.engine.methods.frame import Context, Finding, Outcome, State, implements
from core.engine.report_layers import compare_layers
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.quantize import Quantize

# What only ai-edge-quantizer can make, and what it makes better: weights of int8 with float arithmetic run
# as fast as float ones, the converter's dynamic range up to three times slower.
_BETTER = ("int4", "dynamic")
_REPORT_IMAGES = 16


@implements("quantize")
def apply(step: Quantize, state: State, context: Context) -> Outcome:
    """Write ``state.model`` in smaller numbers.

    Raises
    ------
    InputError
        If the scheme needs calibration images and there are none, or the model has an operator that the
        engine cannot quantize.
    """
    calibration = calibration_images(step, context)
    engine = step.engine
    if engine == "auto":
        engine = "ai-edge-quantizer" if step.scheme in _BETTER else "converter"
    context.progress(0.05, N_("Converting"))
    reference = state.reference or to_tflite(state.model, scheme="float32")
    context.check_cancelled()
    context.progress(0.3, N_("Quantizing"))
    names = [layer.name for layer in state.model.layers if layer.weights]
    kept: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    ranking: list[dict[str, Any]] = []
    if step.keep_float:
        ranking = mixed.ranking(state.model, reference, step.scheme, calibration, names)
        kept = tuple(str(row["output"]) for row in ranking[: step.keep_float])
        own = tuple(str(row["layer"]) for row in ranking[: step.keep_float])
        context.check_cancelled()
        context.progress(0.6, N_("Quantizing"))
    if engine == "ai-edge-quantizer":
        artifact = edge_quantizer.quantize(reference, step.scheme, calibration, kept, step.io)
    elif kept:
        artifact = mixed.convert(state.model, calibration, ranking[: step.keep_float], step.io)
    else:
        scheme: Any = step.scheme
        artifact = to_tflite(state.model, scheme=scheme, calibration=[calibration], io=step.io)
    few = [name for name, count in state.promise.distinct.items() if count <= FEW]
    grid = state.promise.grid
    plain = engine != "converter" or step.scheme not in ("int8", "int16x8")
    if (few or grid) and not plain:
        artifact = with_shared_scales(artifact, reference, few, grid)
    context.check_cancelled()
    context.progress(0.9, N_("Comparing layer by layer"))
    rows = compare_layers(reference, artifact, calibration[:_REPORT_IMAGES], names)
    stored = {} if plain else {
        name: int(np.unique(codes(state.model.get_layer(name), grid[name])).size) for name in grid if name not in own}
    promise = state.promise.also(scheme=step.scheme, io=step.io, float_layers=tuple(sorted({*kept, *own})),
                                 distinct={**state.promise.distinct, **stored})
    details = {"engine": engine, "layers": rows, "kept_in_float": list(own), "ranking": ranking,
               "calibration_images": len(calibration)}
    return Outcome(state.model, promise=promise, details=details, findings=_findings(step, rows),
                   artifact=artifact)


def calibration_images(step: Quantize, context: Context) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return up to ``step.images`` calibration images chosen by the seed, float32 [n, h, w, c]."""
    n = len(context.calibration)
    if not n:
        raise InputError(N_("Quantizing the activations needs calibration photos, and there are none. Add some."))
    chosen = np.sort(context.rng(3).permutation(n)[: step.images])
    return np.asarray(context.calibration[chosen], np.float32)


def _findings(step: Quantize, rows: list[dict[str, Any]]) -> tuple[Finding, ...]:
    findings = []
    if step.scheme == "dynamic" and step.engine == "converter":
        findings.append(Finding(
            "often-slower", N_("The converter's dynamic range computes in a mixture of int8 and float, which "
                               "is often slower than float: look at the measured time."), {}, "warning"))
    if step.scheme == "int4":
        findings.append(Finding(
            "often-harmful", N_("Four bits per weight without training often cost many points: look at the "
                                "measured accuracy."), {}, "warning"))
    known = [row for row in rows if row["output_db"] is not None]
    if known:
        worst = min(known, key=lambda row: row["output_db"])
        findings.append(Finding(
            "worst-layer", N_("The layer '{layer}' carries the most error: {decibels} dB between signal and "
                              "error."), {"layer": worst["layer"], "decibels": f"{worst['output_db']:.0f}"}))
    return tuple(findings)
