"""The one picture of the welcome page, drawn from figures that ``python -m benchmarks.welcome`` measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from pages._ui.i18n import language
from pages._ui.numbers import decimal


@cache
def example(path: Path) -> dict[str, Any]:
    """Return the measured figures of one model's two forms."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def measured(_: Callable[[str], str], found: dict[str, Any]) -> None:
    """Show three small bar charts of one model before and after full integer quantization."""
    ink = {"dark": "#e6ede7", "light": "#1b2a21"}.get(str(st.context.theme.type), "#6f8577")
    titles = [_("File size (MB)"), _("Time per photo (ms)"), _("Right answers (%)")]
    names = {"float32": _("32-bit floats"), "int8": _("8-bit integers")}
    alt = _("{title}: {before} as 32-bit floats, {after} as 8-bit integers.")
    charts: list[list[dict[str, Any]]] = [[], [], []]
    for form, values in found["forms"].items():
        top1 = {bound: 100 * share for bound, share in values["top1"].items()}
        for chart, row in zip(charts, ({"value": values["bytes"] / 1e6}, {"value": values["p50_ms"]}, top1),
                              strict=True):
            # Vega would write numbers with a point in every language.
            chart.append(row | {"form": names[form], "text": decimal(row["value"], language())})
    for column, title, rows in zip(st.columns(3), titles, charts, strict=True):
        with column:
            st.markdown(f"**{title}**")
            st.vega_lite_chart(spec=_spec(rows, title, ink), height=190, alt=alt.format(
                title=title, before=rows[0]["text"], after=rows[1]["text"]))


def _spec(rows: list[dict[str, Any]], title: str, ink: str) -> dict[str, Any]:
    """Return plain Vega-Lite with its rows in each layer: Altair and pandas would cost the server 100 MB."""
    data = {"values": rows}
    most = max(row.get("high", row["value"]) for row in rows)
    form = {"field": "form", "type": "nominal", "title": None, "sort": [row["form"] for row in rows]}
    x = form | {"axis": {"labelAngle": 0, "ticks": False, "domain": False, "labelLimit": 120}}
    y = {"type": "quantitative", "title": None, "axis": None, "scale": {"domain": [0, 1.15 * most]}}
    tooltip = [{"field": "text", "type": "nominal", "title": title}]
    layers: list[dict[str, Any]] = [
        {"data": data, "mark": {"type": "bar", "cornerRadiusEnd": 4, "size": 44},
         "encoding": {"x": x, "y": y | {"field": "value"}, "tooltip": tooltip, "color": form | {"legend": None}}},
        {"data": data, "mark": {"type": "text", "dy": -9, "fontSize": 14, "color": ink},
         "encoding": {"x": x, "text": {"field": "text", "type": "nominal"},
                      "y": y | {"field": "high" if "high" in rows[0] else "value"}}},
    ]
    if "high" in rows[0]:
        layers.insert(1, {"data": data, "mark": {"type": "rule", "color": ink, "strokeWidth": 1.5},
                          "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}})
    return {"layer": layers, "height": 190}
