"""The one picture of the welcome page, drawn from figures that we measured."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

_MEASURED = {"size": (18.55, 5.26), "time": (5.2, 2.0), "accuracy": (88.8, 88.0)}
"""EfficientNet-Lite0 as float32 and as int8: file in MB, median ms per photo, top-1 in percent."""


def measured(_: Callable[[str], str]) -> None:
    """Show three small bar charts of one model before and after full integer quantization."""
    titles = {"size": _("File size (MB)"), "time": _("Time per photo (ms)"),
              "accuracy": _("Right answers (%)")}
    ink = {"dark": "#e6ede7", "light": "#1b2a21"}.get(str(st.context.theme.type), "#6f8577")
    forms = [_("32-bit floats"), _("8-bit integers")]
    for column, (measure, values) in zip(st.columns(3), _MEASURED.items(), strict=True):
        # Plain Vega-Lite with its rows in each layer: Altair and pandas would cost the server 100 MB.
        rows = {"values": [{"form": form, "value": value} for form, value in zip(forms, values, strict=True)]}
        place = {
            "x": {"field": "form", "type": "nominal", "title": None, "sort": forms,
                  "axis": {"labelAngle": 0, "ticks": False, "domain": False, "labelLimit": 120}},
            "y": {"field": "value", "type": "quantitative", "title": None, "axis": None,
                  "scale": {"domain": [0, 1.15 * max(values)]}},
            "tooltip": [{"field": "value", "type": "quantitative", "title": titles[measure]}],
        }
        bars = {
            "data": rows, "mark": {"type": "bar", "cornerRadiusEnd": 4, "size": 44},
            "encoding": place | {"color": {"field": "form", "type": "nominal", "sort": forms, "legend": None}},
        }
        numbers = {
            "data": rows, "mark": {"type": "text", "dy": -9, "fontSize": 14, "color": ink},
            "encoding": place | {"text": {"field": "value", "type": "quantitative", "format": ".1f"}},
        }
        alt = _("{title}: {before:.1f} as 32-bit floats, {after:.1f} as 8-bit integers.")
        with column:
            st.markdown(f"**{titles[measure]}**")
            st.vega_lite_chart(spec={"layer": [bars, numbers], "height": 190}, height=190,
                               alt=alt.format(title=titles[measure], before=values[0], after=values[1]))
