"""A selection of runs as CSV for a spreadsheet, as JSON for a program, or as one page of HTML."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml
from babel.dates import format_datetime
from babel.numbers import format_decimal

from core.experiments.compare import Comparison
from core.experiments.runs import Run
from core.inference.export import inert
from core.locales import spaced, translator
from core.recipes import in_words, load_recipe

COLUMNS = (
    "id", "name", "status", "model", "data", "seed", "created_at", "recipe", "n", "top1", "top1_low", "top1_high",
    "baseline_top1", "top1_difference", "difference_low", "difference_high", "mcnemar_p", "agreement", "tflite_bytes",
    "gzip_bytes", "zstd_bytes", "size_ratio", "gzip_ratio", "latency_p50_ms", "latency_ratio", "latency_ratio_low",
    "latency_ratio_high", "parameters", "nonzero_parameters", "macs", "peak_memory_bytes",
)


def row(run: Run) -> dict[str, Any]:
    """Return one run as a row with the columns ``COLUMNS``; what was not measured is None."""
    values: dict[str, Any] = dict.fromkeys(COLUMNS)
    values |= {
        "id": run.id, "name": run.name, "status": run.status, "model": run.request.model, "data": run.request.data,
        "seed": run.request.seed, "created_at": run.created_at.isoformat(),
        "recipe": in_words(load_recipe(run.request.recipe)),
    }
    if run.record is None:
        return values
    after, change = run.record["compressed"], run.record["comparison"]
    ratio = change["latency_ratio"]
    values |= {name: value for name, value in after["size"].items() if name in values}
    values |= {
        "agreement": change["agreement"], "size_ratio": change["size_ratio"], "gzip_ratio": change["gzip_ratio"],
        "latency_p50_ms": after["latency_ms"]["p50"], "latency_ratio": ratio["value"],
        "latency_ratio_low": ratio["low"], "latency_ratio_high": ratio["high"],
        "peak_memory_bytes": after["peak_memory_bytes"],
    }
    if after["accuracy"] is not None:
        top1, difference = after["accuracy"]["top1"], change["top1_difference"]
        values |= {
            "n": after["accuracy"]["n"], "top1": top1["value"], "top1_low": top1["low"], "top1_high": top1["high"],
            "baseline_top1": run.record["baseline"]["accuracy"]["top1"]["value"],
            "top1_difference": difference["value"], "difference_low": difference["low"],
            "difference_high": difference["high"], "mcnemar_p": change["mcnemar_p"],
        }
    return values


def to_csv(runs: Sequence[Run]) -> bytes:
    """Return one line per run (RFC 4180, UTF-8 with mark); no text in it can run as a spreadsheet formula."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    for run in runs:
        writer.writerow({name: inert(value) for name, value in row(run).items()})
    return file.getvalue().encode("utf-8-sig")


def to_json(runs: Sequence[Run], comparison: Comparison | None = None) -> bytes:
    """Return the runs' records (for an unfinished run what was asked), and the comparison, as JSON in UTF-8."""
    content: dict[str, Any] = {"runs": [
        run.record if run.record is not None else
        {"id": run.id, "name": run.name, "status": run.status, **run.request.model_dump(mode="json")}
        for run in runs
    ]}
    if comparison is not None:
        content["comparison"] = comparison.model_dump(mode="json")
    return json.dumps(content, ensure_ascii=False, indent=2).encode()


def to_html(
    runs: Sequence[Run], charts: Sequence[str] = (), language: str = "en", comparison: Comparison | None = None
) -> str:
    """Return one self-contained page: figures of every run, which differences are real, charts and recipes.

    Parameters
    ----------
    charts
        SVG drawings made by the caller; they are put in as they are.
    """
    _ = translator(language)

    def number(value: float | None, digits: int = 0) -> str:
        return "–" if value is None else format_decimal(round(value, digits), locale=language)

    return _template().render(
        _=_, runs=runs, rows=[row(run) for run in runs], comparison=comparison, charts=charts, language=language,
        number=number, percent=lambda share: spaced(f"{number(100 * share, 1)}%", language),
        words=[spaced(in_words(load_recipe(run.request.recipe), _), language) for run in runs],
        recipes=[yaml.safe_dump(run.request.recipe, sort_keys=False, allow_unicode=True) for run in runs],
        moment=_moment(language),
    )


def _moment(language: str) -> Callable[[Any], str]:
    return lambda when: str(format_datetime(when, locale=language))


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("selection.html.j2")
