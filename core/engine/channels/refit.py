"""Mend, layer by layer, what the loss of channels did: least squares on what each layer still hears.

How many units of a group go was decided before, on the whole model. Which of them is decided anew here where one layer
alone reads the group: by then it is known what the layers before, already cut, pass on, and on more pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.engine.channels.dependencies import STAYS, Dependencies
from core.engine.channels.importance import lose, refit
from core.engine.channels.rating import fits, rows_of
from core.engine.channels.surgery import silence
from core.engine.reconstruction import kernels
from core.engine.reconstruction.sequential import Walk, WalkOptions
from core.engine.reconstruction.solvers import Problem, finish, masked_least_squares, match_variance, whiten
from core.errors import InputError
from core.locales import N_

Array = np.ndarray[Any, Any]
RIDGE = 0.5
"""More than the scan's, which refits one layer alone: a whole model refitted on a few hundred photos learns them by
heart, and imitates the original on them far better than on the next ones."""


def mend(
    work: Any, reference: Any, found: Dependencies, kept: Array, calibration: Iterable[Array], folder: Path,
    masks: Mapping[str, Array], options: WalkOptions | None = None, ridge: float = RIDGE, choose: bool = False,
    check: Callable[[], None] = lambda: None, progress: Callable[[float], None] = lambda _: None,
) -> tuple[dict[str, float], Array]:
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
    choose
        Whether other units of the same group may go in place of those given, as many as before.

    Returns
    -------
    tuple
        Relative squared error of each refitted layer, and ``kept`` as it is now.

    Raises
    ------
    InputError
        If a layer's inputs or weights are no numbers.
    """
    kept, own = kept.copy(), _groups_of_one_reader(found) if choose else {}
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
                rows = rows_of(view.layer, reads[view.name])
                for units in own.get(view.name, ()):
                    _choose(view.problem, rows, units, kept, ridge)
                listens = kept[rows]
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
    return errors, kept


def _groups_of_one_reader(found: Dependencies) -> dict[str, list[Array]]:
    """Return, by the layer that alone reads them, the units of each group."""
    readers, result = found.readers(), dict[str, list[Array]]()
    for group in found.groups:
        names = [m.layer for m in readers if (m.reads == group.units[0]).any()]
        if len(names) == 1:
            result.setdefault(names[0], []).append(group.units)
    return result


def _choose(problem: Problem, rows: Array, units: Array, kept: Array, ridge: float) -> None:
    """Let as many units of a group go as in ``kept``, now those that the layer misses least; in place."""
    count = int((~kept[units]).sum())
    if count:
        order = lose(problem, np.where(np.isin(rows, units), rows, STAYS), (), ridge).order
        if len(order) >= count:
            kept[units] = True
            kept[order[:count]] = False
