"""The command line: ``python -m core ...``. Everything the pages do, for scripts and machines.

Each topic is a module with a ``register(app)`` that adds its commands. Topics import what they need
inside their functions, so that ``--help`` and light commands answer at once, and none imports
TensorFlow: that happens in child processes only.

One JSON document on stdout with ``--json``, everything else on stderr. Exit codes: 0 success, 2 a
usage or input error (one line, no traceback), 1 an internal failure.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence

import typer
from typer.exceptions import Abort, Exit, TyperException

from core.errors import PromiseError, SecateurError, StorageError
from core.locales import translator

TOPICS = ("models", "classify", "evaluate", "compress", "orders", "search", "importing", "train", "runs", "recipes")
INTERNAL = (StorageError, PromiseError)


def build() -> typer.Typer:
    """Return the application with the commands of every topic that is there."""
    app = typer.Typer(
        name="python -m core", help="Sécateur: classify photos and make image classifiers smaller.",
        no_args_is_help=True, add_completion=False, rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    for topic in TOPICS:
        if importlib.util.find_spec(f"core.cli.{topic}") is not None:
            importlib.import_module(f"core.cli.{topic}").register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing but an interrupt leaves as an exception."""
    try:
        result = build()(args=list(sys.argv[1:] if arguments is None else arguments),
                         prog_name="python -m core", standalone_mode=False)
        sys.stdout.flush()
    except SecateurError as error:
        _say(error.render(translator(_language())))
        return 1 if isinstance(error, INTERNAL) else 2
    except TyperException as error:
        _say(error.format_message())
        return error.exit_code
    except Exit as error:
        return error.exit_code
    except (Abort, KeyboardInterrupt):
        _say("Interrupted.")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("SECATEUR_DEBUG"):
            traceback.print_exc()
        _say(f"Internal failure: {type(error).__name__}: {error}. Set SECATEUR_DEBUG=1 for details.")
        return 1
    return result if isinstance(result, int) else 0


def _say(text: str) -> None:
    line = " ".join(text.split())
    sys.stderr.write(f"{line}\n".encode("utf-8", "backslashreplace").decode("utf-8"))


def _language() -> str:
    from core.settings import settings

    try:
        return settings().language
    except SecateurError:
        return "en"
