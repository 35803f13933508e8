"""The walk of layer-wise reconstruction with fewer rows where a layer's problem is small."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.engine.reconstruction import kernels
from core.engine.reconstruction.sequential import Walk

_ROWS_DEPTHWISE = 4000


class LeanWalk(Walk):
    """A walk that samples depthwise layers less: each channel's problem has 9 or 25 inputs, not hundreds.

    Their patches hold as many numbers as those of any other layer, so that full sampling would take most of the time.
    """

    def _add_rows(self, sums: Any, operation: Any, *others: Any) -> None:
        whole = self._options
        if kernels.is_depthwise(operation.layer):
            self._options = replace(whole, rows=min(whole.rows, _ROWS_DEPTHWISE))
        try:
            super()._add_rows(sums, operation, *others)
        finally:
            self._options = whole
