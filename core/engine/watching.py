"""What keeps an eye on Keras training: progress, cancelling, and losses that stop being numbers."""

from __future__ import annotations

import math
import time
from typing import Any

import tf_keras

from core.engine.methods.frame import Context
from core.errors import InputError
from core.locales import N_


class Watch(tf_keras.callbacks.Callback):  # type: ignore[misc]
    """Reports after each step of ``fit``, and stops it on request or when the loss is no number.

    Parameters
    ----------
    context
        Whose callbacks are used.
    total
        Steps of the whole training.
    stage
        A text marked with ``N_``, shown with the progress.
    """

    def __init__(self, context: Context, total: int, stage: str) -> None:
        super().__init__()
        self.context, self.total, self.stage = context, max(1, total), stage
        self.done, self.started = 0, 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Start the clock."""
        self.started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Check and report."""
        self.context.check_cancelled()
        require_finite((logs or {}).get("loss", 0.0))
        self.done += 1
        if self.done % 5 == 0 or self.done == self.total:
            spent = time.monotonic() - self.started
            self.context.progress(self.done / self.total, self.stage,
                                  spent / self.done * (self.total - self.done))


def require_finite(loss: float) -> None:
    """Raise InputError when a loss is infinite or no number."""
    if not math.isfinite(loss):
        raise InputError(N_("Training diverged: the loss is no longer a number. Lower the learning rate."))
