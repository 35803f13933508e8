"""What the commands print: one JSON document, or lines for a person; progress goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.locales import translator

if TYPE_CHECKING:
    from core.zoo import Progress

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def emit(document: Any) -> None:
    """Print ``document`` as JSON; characters outside ASCII are escaped, so that any terminal takes it."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def say(*lines: str) -> None:
    """Print lines for a person on stdout; what the terminal cannot show is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings in aligned columns."""
    widths = [max(len(row[i]) for row in (headings, *rows)) for i in range(len(headings))]
    for row in (headings, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def follow(language: str) -> Callable[[Progress], None]:
    """Return a function that shows the progress of a preparation on stderr, one line per step."""
    translate = translator(language)

    def show(progress: Progress) -> None:
        text = progress.explain(translate)
        sys.stderr.write(f"{progress.model}: {progress.fraction:4.0%} {text}\n")
        sys.stderr.flush()

    return show
