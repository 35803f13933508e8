"""A chart as a file: a picture for a paper, drawn without a browser and without a network."""

from __future__ import annotations

import json
from typing import Any

import altair as alt
import vl_convert


def to_png(chart: alt.Chart | alt.LayerChart, scale: float = 2.0) -> bytes:
    """Return the chart as a PNG on white, ``scale`` pixels to each of its own."""
    return bytes(vl_convert.vegalite_to_png(_specification(chart), scale=scale))


def to_svg(chart: alt.Chart | alt.LayerChart) -> bytes:
    """Return the chart as an SVG on white, in UTF-8."""
    return vl_convert.vegalite_to_svg(_specification(chart)).encode()


def _specification(chart: alt.Chart | alt.LayerChart) -> str:
    content: dict[str, Any] = {"width": 560, **chart.to_dict(), "background": "white"}
    content["config"] = {**content.get("config", {}), "font": "sans-serif"}
    return json.dumps(content)
