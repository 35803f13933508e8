"""Mend, layer by layer, what the loss of channels did: least squares on what each layer still hears."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.engine.channels.dependencies import Dependencies
from core.engine.channels.importance import refit
from core.engine.channels.rating import RIDGE, fits, rows_of
from core.engine.channels.surgery import silence
from core.engine.reconstruction import kernels
from core.engine.reconstruction.sequential import Walk, WalkOptions
from core.engine.reconstruction.solvers import finish, masked_least_squares, match_variance, whiten
from core.errors import InputError
from core.locales import N_

Array = np.ndarray[Any, Any]


def mend(
    work: Any, reference: Any, found: Dependencies, kept: Array, calibration: Iterable[Array], folder: Path,
    masks: Mapping[str, Array], options: WalkOptions | None = None, ridge: float = RIDGE,
    check: Callable[[], None] = lambda: None, progress: Callable[[float], None] = lambda _: None,
) -> dict[str, float]:
    """Refit, in place, a whole model whose layers no longer listen to removed units.

    Parameters
    ----------
    work
        Flat and folded, of full size; rows of removed units are zero afterwards.
    reference
        Same architecture, the one to be imitated.
    kept
        bool by unit, see ``Dependencies.keep``.
    masks
        Layer name to kernel mask: zeros of earlier steps, which stay zero.

    Returns
    -------
    dict
        Relative squared error of each refitted layer.

    Raises
    ------
    InputError
        If a layer's inputs or weights are no numbers.
    """
    reads = {m.layer: m.reads for m in found.readers()}
    layers = [n for n in kernels.prunable_layers(work) if fits(work.get_layer(n))]
    for name in reads.keys() - set(layers):
        silence(work.get_layer(name), kept[reads[name]])
    errors: dict[str, float] = {}
    with Walk(work, reference, calibration, layers, folder, options, masks, check) as walk:
        for number, view in enumerate(walk):
            check()
            progress(number / max(len(layers), 1))
            listens = np.ones(view.problem.kernel.shape[1], bool)
            if view.name in reads:
                listens = kept[rows_of(view.layer, reads[view.name])]
            if view.problem.allowed is None:
                solved = refit(view.problem, listens, ridge)
            else:
                allowed = view.problem.allowed & listens[None, :, None]
                white = whiten(view.problem, ridge)
                fitted = masked_least_squares(white, allowed) / white.scale[:, :, None]
                solved = finish(match_variance(fitted, view.problem.moments), allowed, view.problem.moments)
            if not np.isfinite(solved.kernel).all():
                raise InputError(N_("The layer '{layer}' could not be refitted: its inputs or weights hold values "
                                    "that are no numbers. Check the model and the images."), layer=view.name)
            errors[view.name] = view.problem.moments.error(solved.kernel)
            view.replace(solved.kernel, solved.bias)
    return errors
