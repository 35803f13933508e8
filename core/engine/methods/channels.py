"""Channel pruning that really removes channels, without labels and without training.

Channels that hang together are found by following them through the model (Fang et al., "DepGraph", CVPR 2023,
arXiv:2301.12900). Which go is decided by how well the layers that read them do without (second order, He, Zhang and
Sun, "Channel Pruning for Accelerating Very Deep Neural Networks", ICCV 2017, arXiv:1707.06168, for the least-squares
view), how many of each layer by the measured change of the answers; then the layers are refitted in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from core.engine.channels import choice, rating
from core.engine.channels.costs import Counter
from core.engine.channels.dependencies import Dependencies, trace
from core.engine.channels.refit import mend
from core.engine.channels.surgery import rebuild, sliced_masks
from core.engine.channels.timing import fraction_for_time
from core.engine.convert import to_tflite
from core.engine.methods.frame import Array, Context, Finding, Outcome, State, implements
from core.engine.methods.reconstruction import BATCH, HELD_OUT, chosen_images, crop_cost, fitted_on, same_shape
from core.engine.reconstruction import sensitivity
from core.engine.reconstruction.fold import flatten, fold
from core.engine.reconstruction.graph import copy_of
from core.engine.reconstruction.sequential import WalkOptions
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.channels import Channels


class Images(Protocol):
    """Calibration images that can be read more than once, a batch at a time."""

    def __len__(self) -> int:
        """Return how many."""

    def batches(self) -> Iterator[Array]:
        """Yield float32 [b, h, w, c]."""

    def digest(self) -> str:
        """Return the SHA-256 of the pixels."""


@implements("channels")
def apply(step: Channels, state: State, context: Context) -> Outcome:
    """Remove channels; the new model is flat, and with ``refit`` has batch norm folded into the layers before it.

    Raises
    ------
    InputError
        If the model is not functional, no channel of it can be removed, the target is out of reach, or there are
        fewer than 8 calibration images.
    StorageError
        If activations cannot be written to the scratch folder.
    """
    start = fold(state.model).model
    found = trace(start)
    removable(step, found, state.model.name)
    images = chosen_images(step.images, context)
    damage = expected_damage(step, state, start, found, images, context)
    removed, timed = chosen(step, start, found, damage, context)
    kept = found.keep(removed)
    errors: dict[str, float] = {}
    if step.refit:
        work, reference = copy_of(start), fold(state.original).model
        masks = {n: m for n, m in state.masks.items() if m.shape == tuple(work.get_layer(n).kernel.shape)}
        errors, kept = mend(
            work, reference if same_shape(start, reference) else start, found, kept,
            fitted_on(images, step.images, context).batches(),
            context.scratch, masks, WalkOptions(seed=int(context.rng(6).integers(2**31))),
            choose=step.importance == "reconstruction", check=context.check_cancelled,
            progress=lambda done: context.progress(0.7 + 0.3 * done, N_("Refitting layer by layer")))
        removed = [int(unit) for unit in np.flatnonzero(~kept)]
        smaller = rebuild(work, found, removed)
    else:
        flat = flatten(state.model)
        smaller = rebuild(flat, trace(flat), removed)
    masks = sliced_masks(state.masks, start, found, kept)
    promise = state.promise.also(
        zeros={**state.promise.zeros, **{n: float((~m).mean()) for n, m in masks.items() if not m.all()}},
        distinct={})
    counter = Counter(found)
    after = Counter(trace(smaller)).total
    details = {
        "layers": choice.summary(found, removed), "macs": [int(counter.total), int(after)],
        "parameters": [int(start.count_params()), int(smaller.count_params())],
        "channels": [found.count, found.count - len(removed)],
        "errors": errors, "images": len(images), "unfollowed": list(found.unfollowed), "timed": timed}
    return Outcome(smaller, masks, promise, details, _findings(found, 1 - after / max(counter.total, 1), context))


def chosen(
    step: Channels, start: Any, found: Dependencies, damage: Array, context: Context
) -> tuple[list[int], list[tuple[float, float]]]:
    """Return the units that go, and what was timed on the way to a target in time."""
    what, fraction = step.by()
    choose = choice.by_damage if step.allocation == "sensitivity" else choice.evenly
    width = int(step.round_to)
    if what != "latency":
        return choose(found, damage, what, fraction, width), []

    def smaller(share: float) -> bytes:
        context.progress(0.7, N_("Timing smaller models"))
        return to_tflite(rebuild(start, found, choose(found, damage, "macs", share, width)), scheme="float32")

    share, timed = fraction_for_time(
        smaller, to_tflite(start, scheme="float32"), fraction, choice.reachable(found, "macs", width),
        context.scratch, context.check_cancelled)
    return choose(found, damage, "macs", share, width), timed


def removable(step: Channels, found: Dependencies, name: str) -> None:
    """Refuse what cannot be done, before any image is read.

    Raises
    ------
    InputError
        If no channel can be removed, or not as many as the target asks for.
    """
    what, fraction = step.by()
    if not found.groups:
        raise InputError(N_("No channel of the model {model} can be removed: each one leads to its answers, or to a "
                            "layer that could not be followed ({layers})."),
                         model=name, layers=", ".join(found.unfollowed) or "-")
    if what == "latency":
        return  # only timing can tell
    most = choice.reachable(found, what, int(step.round_to))
    if most < fraction:
        raise InputError(
            N_("Channel pruning cannot remove {wanted} of {what} of the model {model}: with one channel left in "
               "every layer, {most} would be gone. Ask for less."),
            wanted=f"{fraction:.0%}", what="MACs" if what == "macs" else what, model=name,
            most=f"{np.floor(most * 100):.0f}%")


def expected_damage(
    step: Channels, state: State, start: Any, found: Dependencies, images: Images, context: Context
) -> Array:
    """Return the expected damage of removing each unit, from the cache if it was measured before."""
    scores = None
    if step.importance in ("weight_norm", "batch_norm_scale"):
        flat = flatten(state.model)
        scores = rating.producer_scores(flat, trace(flat), step.importance)
        if step.allocation == "uniform":
            return scores
    measured = step.allocation == "sensitivity"
    batches = -(-len(images) // BATCH)
    held_out = max(1, round(HELD_OUT * batches)) if measured and batches > 1 else 0
    key = sensitivity.fingerprint(start, images.digest(), {
        "importance": step.importance, "measured": measured, "held_out": held_out, "synthetic": context.synthetic,
        "scores": [] if scores is None else scores.tolist(), "ridge": rating.RIDGE, "levels": rating.LEVELS})
    if context.cache is not None and (known := rating.read_damage(context.cache, key, found.count)) is not None:
        return known
    names = [m.layer for m in found.maps if not m.depthwise]
    damage = rating.rate(
        start, found, step.importance, measured, images.batches(), context.scratch, held_out, scores,
        crop_cost(names) if context.synthetic else None, check=context.check_cancelled,
        progress=lambda done: context.progress(0.7 * done, N_("Measuring sensitivity")))
    if context.cache is not None:
        rating.write_damage(context.cache, key, damage)
    return damage


def _findings(found: Dependencies, saved: float, context: Context) -> tuple[Finding, ...]:
    told = [Finding("channels-removed", N_("{share} of the multiply-accumulates are gone."),
                    {"share": f"{saved:.1%}"})]
    if found.unfollowed:
        told.append(Finding(
            "layer-skipped", N_("{layers}: channels could not be followed through these layers, so all channels "
                                "that meet them stay."), {"layers": ", ".join(found.unfollowed)}, "warning"))
    if context.synthetic:
        told.append(Finding(
            "crops-only", N_("Only crops of bundled photos were used for calibration. A few hundred photos like "
                             "those that the model will see give a better result.")))
    return tuple(told)
