"""What a child process says to the process that started it, and how it ends when that one is gone."""

from __future__ import annotations

import json
import os
import sys
import threading

from core.errors import SecateurError


def tell(**news: object) -> None:
    """Write one line of JSON to standard output, as ``core.jobs.child`` reads it."""
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


def tell_error(error: SecateurError) -> None:
    """Report an error that a person can act on."""
    tell(error={"message": error.message, "parameters": error.plain()})


def end_with_parent() -> None:
    """End this process as soon as its standard input closes."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    # The buffered reader would hold a lock that the interpreter wants when it shuts down.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(3)
