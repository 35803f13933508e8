"""The answers of a batch as a table that a spreadsheet opens and as JSON that a program reads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from core.inference.service import Answer

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
COLUMNS = ("file", "label", "probability", "unsure", "model", "form", "preprocess_ms", "inference_ms",
           "error")

Outcome = tuple[str, Answer | str]
"""A file's name with its answer, or with the sentence that says why there is none."""


def rows(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """Return one row for each file, with the columns ``COLUMNS``; what does not apply is None."""
    table: list[dict[str, object]] = []
    for file, outcome in outcomes:
        row: dict[str, object] = dict.fromkeys(COLUMNS)
        row["file"] = file
        if isinstance(outcome, str):
            row["error"] = outcome
        else:
            best = outcome.predictions[0]
            row |= {
                "label": best.label, "probability": round(best.probability, 4),
                "unsure": outcome.unsure, "model": outcome.model, "form": outcome.form,
                "preprocess_ms": round(outcome.preprocess_ms, 2),
                "inference_ms": round(outcome.inference_ms, 2),
            }
        table.append(row)
    return table


def to_csv(outcomes: Sequence[Outcome]) -> bytes:
    """Return the rows as CSV (RFC 4180), UTF-8 with the mark that spreadsheets need to see it.

    A text that begins as a formula gets an apostrophe in front, so that a spreadsheet shows it instead
    of running it (OWASP, "CSV Injection"); numbers stay numbers.
    """
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    for row in rows(outcomes):
        writer.writerow({key: inert(value) for key, value in row.items()})
    return file.getvalue().encode("utf-8-sig")


def inert(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula; anything but text comes back unchanged."""
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value


def to_json(outcomes: Sequence[Outcome]) -> bytes:
    """Return the answers with all their predictions as JSON, UTF-8, in the command line's keys."""
    return json.dumps([
        {"file": file, "error": outcome} if isinstance(outcome, str)
        else {"file": file, **outcome.model_dump(mode="json")}
        for file, outcome in outcomes
    ], ensure_ascii=False, indent=2).encode()
