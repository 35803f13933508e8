"""What a gain costs: measured runs with their ranges, the baseline, the front, and an estimate that looks like one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import pandas as pd
from altair.utils.schemapi import debug_mode

from core.charts.classes import BLUE, VERMILION

GREY = "#767676"
GREEN = "#009E73"
STATES = ("front", "dominated", "fails", "best", "estimate")
_COLOURS = {"front": BLUE, "dominated": GREY, "fails": VERMILION, "best": GREEN, "estimate": GREY}
_SHAPES = {"front": "circle", "dominated": "square", "fails": "cross", "best": "triangle-up", "estimate": "diamond"}
_HEIGHT = 400
_WORD = (0.15, 0.05)  # what a word beside a line takes of the width and the height


@dataclass(frozen=True)
class Shade:
    """The part of the chart that a constraint excludes: beyond ``bound`` on one axis."""

    axis: Literal["x", "y"]
    side: Literal["above", "below"]
    bound: float


@dataclass(frozen=True)
class _Axes:
    x_title: str
    y_title: str
    x_domain: list[float]
    y_domain: list[float]
    x_format: str

    def encoding(self, x: str, y: str) -> dict[str, alt.X | alt.Y]:
        x_scale, y_scale = (alt.Scale(domain=domain, nice=False) for domain in (self.x_domain, self.y_domain))
        return {"x": alt.X(f"{x}:Q", title=self.x_title, scale=x_scale, axis=alt.Axis(format=self.x_format)),
                "y": alt.Y(f"{y}:Q", title=self.y_title, scale=y_scale)}


def tradeoff(
    frame: pd.DataFrame,
    *,
    x_title: str,
    y_title: str,
    words: Mapping[str, str],
    name_title: str,
    baseline: tuple[float | None, float | None] = (None, None),
    baseline_title: str = "",
    shade: Shade | None = None,
    joined: bool = True,
    x_format: str = ".3~r",
) -> alt.LayerChart:
    """Return a chart whose points can be chosen: the selection is called "run" and holds the field ``run``.

    Parameters
    ----------
    frame
        Columns ``run`` (id, empty for the estimate), ``name``, ``x``, ``x_low``, ``x_high``, ``y``, ``y_low``,
        ``y_high`` (ranges may be missing) and ``state``, one of ``STATES``.
    words
        What each state is called in the legend.
    baseline
        Its x and y; each that is known is a dashed line.
    joined
        Whether the points on the front are joined by a line.
    """
    with debug_mode(False):  # Altair checks each part against its whole schema, which costs as much as all the rest
        return _drawn(frame, x_title, y_title, words, name_title, baseline, baseline_title, shade, joined, x_format)


def _drawn(
    frame: pd.DataFrame, x_title: str, y_title: str, words: Mapping[str, str], name_title: str,
    baseline: tuple[float | None, float | None], baseline_title: str, shade: Shade | None, joined: bool, x_format: str,
) -> alt.LayerChart:
    rows = frame.assign(kind=frame["state"].map(dict(words)))
    axes = _Axes(x_title, y_title, _domain(rows, "x", baseline[0], shade), _domain(rows, "y", baseline[1], shade),
                 x_format)
    layers: list[alt.Chart] = []
    if shade is not None:
        layers.append(_shaded(shade, axes))
    for value, channel in ((baseline[0], "x"), (baseline[1], "y")):
        if value is not None:
            line = alt.Chart(pd.DataFrame({"at": [value], "what": [baseline_title]}))
            # With the scale of the others: a rule without one would stretch the axis down to zero.
            place = {channel: axes.encoding("at", "at")[channel]}
            layers.append(line.mark_rule(color=GREY, strokeDash=[6, 4]).encode(
                *place.values(), alt.Tooltip("what:N", title=None)))
            layers.append(_named(line, channel, place, _free(rows, axes, baseline, channel)))
    measured, guessed = rows[rows["state"] != "estimate"], rows[rows["state"] == "estimate"]
    if joined:
        front = measured[measured["state"].isin(["front", "best"])].sort_values("x")
        layers.append(alt.Chart(front).mark_line(color=BLUE, opacity=0.5).encode(**axes.encoding("x", "y")))
    layers += [_ranges(measured, axes, dashed=False), _ranges(guessed, axes, dashed=True)]
    # Measured points lie on top, because those can be clicked; the estimate is larger and shows around them.
    layers.append(_points(pd.concat([guessed, measured]), axes, words, name_title))
    return alt.LayerChart(layer=layers).properties(height=_HEIGHT)


def _opacity() -> alt.Opacity:
    # One scale, because layers share it.
    pale = alt.Scale(type="ordinal", domain=list(STATES),
                     range=[0.4 if state == "dominated" else 1.0 for state in STATES])
    return alt.Opacity("state:N", scale=pale, legend=None)


def _named(line: alt.Chart, channel: str, place: dict[str, alt.X | alt.Y], at: tuple[float, int]) -> alt.Chart:
    """Return the word beside a baseline: ``at`` says how far along the line, 0 to 1, and on which side (-1 or 1)."""
    upright = channel == "x"
    along, side = at
    end = int(along > 0) - int(along < 1)  # -1 at the start, 1 at the end, 0 between
    if upright:
        text = line.mark_text(color=GREY, fontSize=11, align="left" if side > 0 else "right", dx=6 * side,
                              baseline=("bottom", "middle", "top")[end + 1], dy=8 * end)
        other: Any = alt.YValue(alt.ExprRef(f"height * {1 - along}"))  # type: ignore[no-untyped-call]
    else:
        text = line.mark_text(color=GREY, fontSize=11, align=("left", "center", "right")[end + 1], dx=-6 * end,
                              baseline="middle", dy=-9 * side)
        other = alt.XValue(alt.ExprRef(f"width * {along}"))  # type: ignore[no-untyped-call]
    chart: alt.Chart = text.encode(other, *place.values(), alt.Text("what:N"))
    return chart


def _free(rows: pd.DataFrame, axes: _Axes, baseline: tuple[float | None, float | None],
          channel: str) -> tuple[float, int]:
    """Return where the word beside a baseline covers nothing: below its start or left of its foot, where it can."""
    def share(value: float, domain: list[float]) -> float:
        return (value - domain[0]) / ((domain[1] - domain[0]) or 1.0)

    def box(xa: float, xb: float, ya: float, yb: float, wide: float, high: float) -> tuple[float, ...]:
        (left, right), (low, top) = ([share(v, d) for v in ends] for ends, d in (
            ((xa, xb), axes.x_domain), ((ya, yb), axes.y_domain)))
        return left - wide, right + wide, low - high, top + high

    taken = []
    columns = ["x", "x_low", "x_high", "y", "y_low", "y_high"]
    for x, x_low, x_high, y, y_low, y_high in rows[columns].astype(float).to_numpy().tolist():
        taken += [box(x, x, y, y, 0.02, 0.04), box(x, x, y_low, y_high, 0.01, 0.0), box(x_low, x_high, y, y, 0.0, 0.01)]
    upright, (wide, high) = channel == "x", _WORD
    at, other = baseline if upright else baseline[::-1]
    if other is not None:
        (left, right), (low, top) = axes.x_domain, axes.y_domain
        taken.append(box(left, right, other, other, 0.0, 0.01) if upright else
                     box(other, other, low, top, 0.005, 0.0))
    line = share(at or 0.0, axes.x_domain if upright else axes.y_domain)
    places = [(along, side) for along in (0.0, 0.5, 1.0) for side in (-1, 1)]
    for along, side in places:
        start = along * (1 - (high if upright else wide))
        beyond = min(line, line + side * (wide if upright else high))
        word = (beyond, beyond + wide, start, start + high) if upright else (start, start + wide, beyond, beyond + high)
        inside = word[0] >= 0 and word[1] <= 1 and word[2] >= 0 and word[3] <= 1
        if inside and not any(word[0] < b and a < word[1] and word[2] < d and c < word[3] for a, b, c, d in taken):
            return along, side
    return places[0]


def _points(rows: pd.DataFrame, axes: _Axes, words: Mapping[str, str], name_title: str) -> alt.Chart:
    shown = [state for state in STATES if (rows["state"] == state).any()]
    names = [words[state] for state in shown]
    colour = alt.Scale(domain=names, range=[_COLOURS[s] for s in shown])
    shape = alt.Scale(domain=names, range=[_SHAPES[s] for s in shown])
    legend = alt.Legend(orient="top", columns=3, labelLimit=160, symbolOpacity=1, symbolDash=[1, 0])

    def by_state(usual: Any, **others: Any) -> alt.Scale:
        return alt.Scale(type="ordinal", domain=names, range=[others.get(state, usual) for state in shown])

    inside = alt.Scale(domain=names, range=["transparent" if s == "estimate" else _COLOURS[s] for s in shown])
    chart: alt.Chart = alt.Chart(rows).mark_point(strokeWidth=2).encode(
        **axes.encoding("x", "y"), color=alt.Color("kind:N", title=None, scale=colour, legend=legend),
        fill=alt.Fill("kind:N", title=None, scale=inside, legend=legend),
        shape=alt.Shape("kind:N", title=None, scale=shape, legend=legend),
        opacity=_opacity(),
        size=alt.Size("kind:N", scale=by_state(110, estimate=260), legend=None),  # it shows around a measured point
        strokeDash=alt.StrokeDash("kind:N", scale=by_state([1, 0], estimate=[3, 2]), legend=None),
        tooltip=[alt.Tooltip("name:N", title=name_title), alt.Tooltip("kind:N", title=" "),
                 alt.Tooltip("x:Q", title=axes.x_title, format=".3~f"),
                 alt.Tooltip("y:Q", title=axes.y_title, format=".3~f")],
    ).add_params(alt.selection_point(name="run", fields=["run"], on="click"))
    return chart


def _ranges(rows: pd.DataFrame, axes: _Axes, *, dashed: bool) -> alt.Chart:
    sides = [
        rows.assign(xa=rows["x"], xb=rows["x"], ya=rows["y_low"], yb=rows["y_high"]),
        rows.assign(xa=rows["x_low"], xb=rows["x_high"], ya=rows["y"], yb=rows["y"]),
    ]
    drawn = pd.concat([side.dropna(subset=["xa", "xb", "ya", "yb"]) for side in sides])
    chart: alt.Chart = alt.Chart(drawn[["xa", "xb", "ya", "yb", "state"]]).mark_rule(
        strokeWidth=1.5, strokeDash=[4, 3] if dashed else [1, 0], color=GREY, clip=True,
    ).encode(
        **axes.encoding("xa", "ya"), x2=alt.X2("xb:Q"), y2=alt.Y2("yb:Q"), opacity=_opacity(),
    )
    return chart


def _shaded(shade: Shade, axes: _Axes) -> alt.Chart:
    domain = axes.x_domain if shade.axis == "x" else axes.y_domain
    ends = [shade.bound, domain[1]] if shade.side == "above" else [domain[0], shade.bound]
    (xa, xb), (ya, yb) = (ends, axes.y_domain) if shade.axis == "x" else (axes.x_domain, ends)
    area = pd.DataFrame({"xa": [xa], "xb": [xb], "ya": [ya], "yb": [yb]})
    chart: alt.Chart = alt.Chart(area).mark_rect(color=VERMILION, opacity=0.12, clip=True).encode(
        **axes.encoding("xa", "ya"), x2=alt.X2("xb:Q"), y2=alt.Y2("yb:Q"))
    return chart


def _domain(rows: pd.DataFrame, axis: str, also: float | None, shade: Shade | None) -> list[float]:
    columns = [axis, f"{axis}_low", f"{axis}_high"]
    values = pd.concat([rows[column].astype(float) for column in columns]).dropna()
    found = [*values.tolist(), *([] if also is None else [also])]
    if shade is not None and shade.axis == axis:
        found.append(shade.bound)
    if not found:
        return [0.0, 1.0]
    low, high = min(found), max(found)
    margin = 0.06 * (high - low) or max(0.1 * abs(high), 0.1)
    return [max(0.0, low - margin) if low >= 0 else low - margin, high + margin]
