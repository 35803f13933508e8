"""A tree of orders: each node is a step done after those to its left, with what the file kept."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import pandas as pd

from core.charts.classes import BLUE, VERMILION

GREY = "#767676"
_ROW = 46
_WIDTH = 215
_SHAPES = {"baseline": "square", "finished": "circle", "failed": "cross", "waiting": "diamond",
           "refused": "cross"}
_COLOURS = {"baseline": "#1C241D", "finished": BLUE, "failed": VERMILION, "waiting": GREY,
            "refused": GREY}


def orders_tree(frame: pd.DataFrame, *, words: Mapping[str, str], titles: Mapping[str, str]) -> alt.LayerChart:
    """Return the tree, from the model as it was on the left to whole orders on the right.

    Parameters
    ----------
    frame
        Columns ``node``, ``parent`` (names), ``label`` and ``figures`` (texts above and below a node), ``note`` (a
        longer text for the tooltip), ``depth`` and ``state``; parents before children, as ``core.experiments.orders``
        gives them.
    words
        What each state is called.
    titles
        Texts for "label", "figures", "note" and "state" in the tooltip.
    """
    rows = frame.assign(y=_heights(frame), kind=frame["state"].map(dict(words)))
    edges = _edges(rows)
    deepest = int(rows["depth"].max()) if len(rows) else 0
    x_scale = alt.Scale(domain=[-0.3, deepest + 0.9], nice=False)
    y_scale = alt.Scale(domain=[float(rows["y"].max()) + 0.7, -0.7], nice=False)
    x = alt.X("depth:Q", axis=None, scale=x_scale)
    y = alt.Y("y:Q", axis=None, scale=y_scale)
    lines = alt.Chart(edges).mark_rule(color=GREY).encode(
        x=alt.X("x:Q", axis=None, scale=x_scale), y=alt.Y("y:Q", axis=None, scale=y_scale), x2="x2:Q", y2="y2:Q",
        strokeDash=alt.condition("datum.refused", alt.value([3, 3]), alt.value([1, 0])),
        opacity=alt.condition("datum.refused", alt.value(0.5), alt.value(0.9)))
    shown = [s for s in _SHAPES if (rows["state"] == s).any()]
    names = [words[s] for s in shown]
    points = alt.Chart(rows).mark_point(filled=True, size=130, opacity=1).encode(
        x=x, y=y,
        color=alt.Color("kind:N", title=None, legend=alt.Legend(orient="top"),
                        scale=alt.Scale(domain=names, range=[_COLOURS[s] for s in shown])),
        shape=alt.Shape("kind:N", title=None, scale=alt.Scale(domain=names, range=[_SHAPES[s] for s in shown])),
        tooltip=[alt.Tooltip("label:N", title=titles["label"]), alt.Tooltip("kind:N", title=titles["state"]),
                 alt.Tooltip("figures:N", title=titles["figures"]), alt.Tooltip("note:N", title=titles["note"])])
    above = alt.Chart(rows).mark_text(align="left", dx=9, dy=-9, fontWeight="bold").encode(x=x, y=y, text="label:N")
    below = alt.Chart(rows).mark_text(align="left", dx=9, dy=7, fontSize=10, color=GREY).encode(
        x=x, y=y, text="figures:N")
    chart: alt.LayerChart = alt.LayerChart(layer=[lines, points, above, below]).properties(
        width=_WIDTH * (deepest + 1), height=max(2, _leaves(frame)) * _ROW).configure_view(strokeOpacity=0)
    return chart


def _edges(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one line from each node's parent (x, y) to it (x2, y2)."""
    place = {str(n): (d, y) for n, d, y in zip(rows["node"], rows["depth"], rows["y"], strict=True)}
    lines = [
        {"x": place[str(row["parent"])][0], "y": place[str(row["parent"])][1], "x2": row["depth"], "y2": row["y"],
         "refused": row["state"] == "refused"}
        for row in rows.to_dict("records") if row["node"]]
    return pd.DataFrame(lines, columns=["x", "y", "x2", "y2", "refused"])


def _leaves(frame: pd.DataFrame) -> int:
    parents = {str(p) for n, p in zip(frame["node"], frame["parent"], strict=True) if n}
    return sum(str(node) not in parents for node in frame["node"])


def _heights(frame: pd.DataFrame) -> list[float]:
    """Return each node's height: leaves one below the other, a parent in the middle of its children."""
    children: dict[str, list[str]] = {}
    for node, parent in zip(frame["node"].map(str), frame["parent"].map(str), strict=True):
        if node:
            children.setdefault(parent, []).append(node)
    heights: dict[str, float] = {}
    below = 0

    def settle(node: str) -> float:
        nonlocal below
        own = [settle(child) for child in children.get(node, [])]
        if not own:
            below += 1
        heights[node] = sum(own) / len(own) if own else below - 1.0
        return heights[node]

    settle("")
    return [heights[str(node)] for node in frame["node"]]
