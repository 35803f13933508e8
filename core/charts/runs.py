"""Charts of one run: where the weights went, how well probabilities can be believed, and the main figures."""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.classes import BLUE, VERMILION

GREY = "#767676"
_ROW = 18


def layer_bars(frame: pd.DataFrame, *, zero_title: str, kept_title: str, parameters_title: str) -> alt.Chart:
    """Return one bar per layer, split into weights that are zero and weights that are kept.

    Parameters
    ----------
    frame
        Columns ``layer`` (text), ``parameters`` (count) and ``zeros`` (fraction), in the order of the model.
    zero_title, kept_title, parameters_title
        Texts of the legend and the axis.
    """
    rows = pd.concat([
        pd.DataFrame({"layer": frame["layer"].map(str), "place": range(len(frame)), "part": part, "count": count})
        for part, count in (
            (kept_title, frame["parameters"] * (1 - frame["zeros"])), (zero_title, frame["parameters"] * frame["zeros"])
        )
    ])
    colours = alt.Scale(domain=[kept_title, zero_title], range=[BLUE, "#C9C9C9"])
    bars: alt.Chart = alt.Chart(rows).mark_bar().encode(
        y=alt.Y("layer:N", title=None, sort=alt.SortField("place"), axis=alt.Axis(labelLimit=260)),
        x=alt.X("sum(count):Q", title=parameters_title, axis=alt.Axis(format="~s")),
        color=alt.Color("part:N", title=None, scale=colours, legend=alt.Legend(orient="top")),
        order=alt.Order("part:N", sort="ascending" if kept_title < zero_title else "descending"),
    )
    return bars.properties(height=alt.Step(_ROW))


def reliability(frame: pd.DataFrame, *, confidence_title: str, accuracy_title: str) -> alt.LayerChart:
    """Return accuracy against confidence, one line per model; the diagonal is perfect calibration.

    Parameters
    ----------
    frame
        Columns ``model`` (text), ``confidence``, ``accuracy`` (fractions) and ``n`` (images in the bin). Bins of
        fewer images have smaller marks. (Guo et al. 2017, arXiv:1706.04599.)
    """
    ends = pd.DataFrame({"at": [0.0, 1.0]})
    diagonal = alt.Chart(ends).mark_line(color=GREY, strokeDash=[4, 3]).encode(x="at:Q", y="at:Q")
    models = list(dict.fromkeys(frame["model"]))
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(frame).encode(
        x=alt.X("confidence:Q", title=confidence_title, scale=scale, axis=alt.Axis(format=".0%")),
        y=alt.Y("accuracy:Q", title=accuracy_title, scale=scale, axis=alt.Axis(format=".0%")),
        color=alt.Color("model:N", title=None, scale=alt.Scale(domain=models, range=[GREY, BLUE, VERMILION])),
        shape=alt.Shape("model:N", title=None, scale=alt.Scale(domain=models)),
    )
    marks = base.mark_point(filled=True, opacity=0.9).encode(
        size=alt.Size("n:Q", legend=None, scale=alt.Scale(range=[30, 300])),
        tooltip=["n:Q", "confidence:Q", "accuracy:Q"],
    )
    return alt.LayerChart(layer=[diagonal, base.mark_line(opacity=0.5), marks]).properties(width=320, height=320)


def intervals(frame: pd.DataFrame, *, value_title: str, reference: float | None = None) -> alt.LayerChart:
    """Return estimates with their intervals, one row each, and a dashed line at ``reference``.

    Parameters
    ----------
    frame
        Columns ``name`` (text), ``value``, ``low`` and ``high``, all in the unit of ``value_title``.
    """
    rows = frame.assign(place=range(len(frame)))
    base = alt.Chart(rows).encode(
        y=alt.Y("name:N", title=None, sort=alt.SortField("place"), axis=alt.Axis(labelLimit=260))
    )
    bars = base.mark_rule(color=BLUE, strokeWidth=2).encode(
        x=alt.X("low:Q", title=value_title, scale=alt.Scale(zero=False)), x2="high:Q"
    )
    points = base.mark_point(color=BLUE, filled=True, size=70).encode(
        x="value:Q", tooltip=["value:Q", "low:Q", "high:Q"]
    )
    layers: list[alt.Chart] = [bars, points]
    if reference is not None:
        line = pd.DataFrame({"at": [reference]})
        layers.append(alt.Chart(line).mark_rule(color=GREY, strokeDash=[4, 3]).encode(x="at:Q"))
    return alt.LayerChart(layer=layers).properties(height=alt.Step(30))
