"""Run a measuring module in a fresh Python process and read its JSON answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from core.errors import InputError
from core.locales import N_
from core.settings import ROOT


def ask(module: str, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Return what ``python -m module`` answers to ``request``; both are JSON objects.

    The child logs nothing of LiteRT's start-up chatter to the answer: that goes to stderr.

    Raises
    ------
    InputError
        If the child fails, answers nothing readable, or takes longer than ``timeout_s`` seconds.
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module, no shell
            [sys.executable, "-m", module],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            N_("Measuring took longer than {seconds} seconds and was stopped. Measure on a machine "
               "with less to do, or a smaller model."),
            seconds=round(timeout_s),
        ) from error
    try:
        if done.returncode == 0:
            answer: dict[str, Any] = json.loads(done.stdout)
            return answer
    except ValueError:
        pass
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise InputError(
        N_("The model could not be run for measuring ({reason}). Convert it again."),
        reason=last[:200],
    )
