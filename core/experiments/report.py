"""The report of a run: one HTML file with its charts inside, for attaching to a paper or sending to a colleague."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import pandas as pd
import vl_convert
import yaml
from babel.dates import format_datetime
from babel.numbers import format_decimal, format_percent

from core.charts.runs import intervals, layer_bars, reliability
from core.experiments.runs import Run, measured_on
from core.locales import N_, spaced, translator
from core.measurement.sentences import Sentence
from core.recipes import in_words, load_recipe

_FLIPS = 60
_PARTS = {"calibration": N_("calibration"), "recovery": N_("recovery"), "test": N_("test"),
          "validation": N_("validation")}
_CLASSES = 40


def report(run: Run, details: Mapping[str, Any], language: str = "en", labels: list[str] | None = None) -> str:
    """Return the report of a finished run as one self-contained HTML page, without scripts or network.

    Parameters
    ----------
    run
        With its record.
    details
        The content of the run's ``details.json`` (``core.measurement.records.Details``).
    labels
        Class names; without them classes are shown by their index.

    Raises
    ------
    ValueError
        If the run has no record.
    """
    if run.record is None:
        raise ValueError("only a finished run has a report")
    _ = translator(language)
    return _template().render(
        _=_, run=run, record=run.record, details=details, language=language,
        recipe_words=spaced(in_words(load_recipe(run.record["recipe"]), _), language),
        recipe_yaml=yaml.safe_dump(run.record["recipe"], sort_keys=False, allow_unicode=True),
        sentences=[_sentence(s, _, language) for s in details["sentences"]],
        findings=[(f["severity"], _sentence(f, _, language)) for f in _findings(run.record)],
        charts=_charts(details, run.record, _),
        validated=measured_on(run.record) == "validation",
        part=lambda name: _(_PARTS[measured_on(run.record or {}) if name == "test" else name]),
        flips=details["flips"][:_FLIPS], classes=_changed_classes(details),
        name_of=lambda index: labels[index] if labels and index < len(labels) else str(index),
        number=lambda value, digits=0: format_decimal(round(value, digits), locale=language),
        percent=lambda value, digits=1: spaced(
            format_percent(value, format="#,##0." + "0" * digits + "%", locale=language), language),
        moment=format_datetime(run.finished_at or run.created_at, locale=language),
        command=command_line(run.record), environment=json.dumps(run.record["environment"], indent=1),
    )


def command_line(record: Mapping[str, Any]) -> str:
    """Return the command that carries the run out again, given its recipe in ``recipe.yaml``."""
    parts = [
        "python -m core compress", str(record["model"]), "--recipe recipe.yaml", f"--data {record['data']}",
        f"--calibration {record['calibration']}" if record.get("calibration") else "",
        f"--seed {record['seed']}", f"--limit {record['limit']}" if record.get("limit") else "", "--out again",
    ]
    return " ".join(part for part in parts if part)


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("report.html.j2")


def _sentence(content: Mapping[str, Any], translate: Any, language: str) -> str:
    sentence = Sentence(code=content["code"], message=content["message"], parameters=content["parameters"])
    return sentence.render(translate, language)


def _findings(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [f for step in record["steps"] for f in step["findings"]] + list(record["findings"])


def _changed_classes(details: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [c for c in details["class_changes"] if c["right_to_wrong"] or c["wrong_to_right"]][:_CLASSES]


def _charts(details: Mapping[str, Any], record: Mapping[str, Any], translate: Any) -> dict[str, str]:
    layers = pd.DataFrame(details["layers"])
    drawn: dict[str, alt.Chart | alt.LayerChart] = {}
    if len(layers):
        drawn["layers"] = layer_bars(
            layers, zero_title=translate(N_("zero")), kept_title=translate(N_("kept")),
            parameters_title=translate(N_("Parameters")),
        ).properties(width=420)
    if details["compressed_calibration"] is not None:
        rows = [
            {"model": translate(title), **each}
            for title, key in ((N_("Baseline"), "baseline_calibration"), (N_("Compressed"), "compressed_calibration"))
            for each in details[key]["reliability"]
        ]
        drawn["reliability"] = reliability(
            pd.DataFrame(rows), confidence_title=translate(N_("Confidence")), accuracy_title=translate(N_("Accuracy"))
        )
    if record["compressed"]["accuracy"] is not None:
        top1 = [
            {"name": translate(title), **{k: 100 * v for k, v in record[key]["accuracy"]["top1"].items()}}
            for title, key in ((N_("Baseline"), "baseline"), (N_("Compressed"), "compressed"))
        ]
        drawn["accuracy"] = intervals(
            pd.DataFrame(top1), value_title=translate(N_("Top-1 accuracy in %, 95% interval"))
        ).properties(width=420)
    return {name: _svg(chart) for name, chart in drawn.items()}


def _svg(chart: alt.Chart | alt.LayerChart) -> str:
    return str(vl_convert.vegalite_to_svg(chart.to_json(), allowed_base_urls=[]))
