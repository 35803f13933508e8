"""Charts of one run: where the weights went, how well probabilities can be believed, and the main figures."""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.classes import BLUE, VERMILION

GREY = "#767676"
_ROW, _FRAME = 20, 140  # pixels of a layer, and of legend, axis and margins together
_LINE = 18  # pixels of a name in a legend, which takes them from the height of the whole
# Okabe and Ito's palette without its yellow, which a white page swallows; shapes tell the same apart.
COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", GREY, "#6A3D9A")


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
        y=alt.Y("layer:N", title=None, sort=alt.SortField("place"),
                axis=alt.Axis(labelLimit=260, labelOverlap=False, labelFlush=False)),
        x=alt.X("sum(count):Q", title=parameters_title, axis=alt.Axis(format="~s")),
        color=alt.Color("part:N", title=None, scale=colours, legend=alt.Legend(orient="top")),
        order=alt.Order("part:N", sort="ascending" if kept_title < zero_title else "descending"),
    )
    return bars.properties(height=_ROW * len(frame) + _FRAME)


def layer_values(
    frame: pd.DataFrame, *, value_title: str, layer_title: str, estimate: bool = False, log: bool = False
) -> alt.Chart:
    """Return one quantity per layer: filled points where it was measured, hollow dashed bars for an estimate.

    Parameters
    ----------
    frame
        Columns ``layer`` (text), ``value`` and ``text`` (the value as the reader writes it), in the order of the model.
    log
        For values above zero that span orders of magnitude; not for bars.
    """
    rows = frame.assign(layer=frame["layer"].map(str), place=range(len(frame)))
    chart = alt.Chart(rows)
    marked = chart.mark_bar(filled=False, color=BLUE, strokeDash=[4, 3], strokeWidth=1.5, height=10) if estimate \
        else chart.mark_point(filled=True, color=BLUE, size=70)
    scale = alt.Scale(type="log", nice=False, padding=12) if log else alt.Undefined
    axis = alt.Axis(format=".0e", tickCount=6) if log else alt.Axis()
    drawn: alt.Chart = marked.encode(
        y=alt.Y("layer:N", title=None, sort=alt.SortField("place"),
                axis=alt.Axis(labelLimit=260, labelOverlap=False, labelFlush=False, grid=not estimate)),
        x=alt.X("value:Q", title=value_title, scale=scale, axis=axis),
        tooltip=[alt.Tooltip("layer:N", title=layer_title), alt.Tooltip("text:N", title=value_title)],
    )
    return drawn.properties(height=_ROW * len(frame) + _FRAME - 50)


def reliability(
    frame: pd.DataFrame, *, confidence_title: str, accuracy_title: str, colours: tuple[str, ...] = (GREY, *COLOURS)
) -> alt.LayerChart:
    """Return accuracy against confidence, one line per model; the diagonal is perfect calibration.

    Parameters
    ----------
    frame
        Columns ``model`` (text), ``confidence``, ``accuracy`` (fractions) and ``n`` (images in the bin). Bins of
        fewer images have smaller marks. (Guo et al. 2017, arXiv:1706.04599.)
    colours
        In the order of the models; by default grey for the first, which is the baseline.
    """
    ends = pd.DataFrame({"at": [0.0, 1.0]})
    diagonal = alt.Chart(ends).mark_line(color=GREY, strokeDash=[4, 3]).encode(x="at:Q", y="at:Q")
    models = list(dict.fromkeys(frame["model"]))
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(frame).encode(
        x=alt.X("confidence:Q", title=confidence_title, scale=scale, axis=alt.Axis(format=".0%")),
        y=alt.Y("accuracy:Q", title=accuracy_title, scale=scale, axis=alt.Axis(format=".0%")),
        color=alt.Color("model:N", title=None, scale=alt.Scale(domain=models, range=list(colours)),
                        legend=alt.Legend(orient="top", columns=1, labelLimit=340)),
        shape=alt.Shape("model:N", title=None, scale=alt.Scale(domain=models)),
    )
    marks = base.mark_point(filled=True, opacity=0.9).encode(
        size=alt.Size("n:Q", legend=None, scale=alt.Scale(range=[30, 300])),
        tooltip=["n:Q", "confidence:Q", "accuracy:Q"],
    )
    return alt.LayerChart(layer=[diagonal, base.mark_line(opacity=0.5), marks]).properties(
        width=420, height=340 + _LINE * len(models))


def intervals(frame: pd.DataFrame, *, value_title: str, reference: float | None = None) -> alt.LayerChart:
    """Return estimates with their intervals, one row each, and a dashed line at ``reference``.

    Parameters
    ----------
    frame
        Columns ``name`` (text), ``value``, ``low`` and ``high``, all in the unit of ``value_title``.
    """
    rows = frame.assign(place=range(len(frame)))
    base = alt.Chart(rows).encode(
        y=alt.Y("name:N", title=None, sort=alt.SortField("place"), axis=alt.Axis(labelLimit=260, labelFlush=False))
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


def confusion_matrix(
    frame: pd.DataFrame, *, right_title: str, answer_title: str, images_title: str
) -> alt.LayerChart:
    """Return right classes against answers, shaded by the share of the right class's images, with the counts.

    Parameters
    ----------
    frame
        Columns ``right`` and ``answer`` (text), ``images`` (count) and ``share`` (0 to 1), one row per cell, in the
        order of the classes; for models of few classes.
    """
    order = list(dict.fromkeys(frame["right"].map(str)))
    base = alt.Chart(frame.assign(right=frame["right"].map(str), answer=frame["answer"].map(str))).encode(
        x=alt.X("answer:N", title=answer_title, scale=alt.Scale(domain=order), axis=alt.Axis(labelAngle=0, grid=False)),
        y=alt.Y("right:N", title=right_title, scale=alt.Scale(domain=order),
                axis=alt.Axis(grid=False, labelFlush=False)),
    ).transform_filter("datum.images > 0")  # an empty cell is the page, light or dark
    cells = base.mark_rect().encode(
        color=alt.Color("share:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=["#F2F5F7", BLUE])),
        tooltip=[alt.Tooltip("right:N", title=right_title), alt.Tooltip("answer:N", title=answer_title),
                 alt.Tooltip("images:Q", title=images_title)],
    )
    counts = base.mark_text().encode(
        text="images:Q", color=alt.condition("datum.share > 0.5", alt.value("#FFFFFF"), alt.value("#1C241D"))
    )
    return alt.LayerChart(layer=[cells, counts]).properties(height=alt.Step(26))


def weight_histogram(
    frame: pd.DataFrame, *, before_title: str, after_title: str, weight_title: str, share_title: str
) -> alt.LayerChart:
    """Return how one layer's weights are spread in two files: an outline before, filled steps after.

    Parameters
    ----------
    frame
        What ``core.experiments.weights.histogram`` returns; its rows of exact zeros are left out.
    """
    rows = frame[frame["low"] < frame["high"]]
    rows = rows.assign(middle=(rows["low"] + rows["high"]) / 2,
                       model=rows["form"].map({"before": before_title, "after": after_title}))
    scale = alt.Scale(domain=[before_title, after_title], range=[GREY, BLUE])
    base = alt.Chart(rows).encode(
        x=alt.X("middle:Q", title=weight_title),
        y=alt.Y("share:Q", title=share_title, axis=alt.Axis(format="%")),
        color=alt.Color("model:N", title=None, scale=scale, legend=alt.Legend(orient="top")),
    )
    after = base.transform_filter(alt.datum.form == "after").mark_area(interpolate="step", opacity=0.5).encode(
        y=alt.Y("share:Q", title=share_title, axis=alt.Axis(format="%"), stack=None))
    before = base.transform_filter(alt.datum.form == "before").mark_line(interpolate="step", strokeDash=[5, 3])
    return alt.LayerChart(layer=[after, before]).properties(height=260)


def trade_off(frame: pd.DataFrame, *, size_title: str, accuracy_title: str) -> alt.LayerChart:
    """Return top-1 accuracy with its interval against file size, one coloured shape per run.

    Parameters
    ----------
    frame
        Columns ``name`` (text), ``megabytes``, ``value``, ``low`` and ``high`` (percent).
    """
    names = list(frame["name"])
    base = alt.Chart(frame).encode(
        x=alt.X("megabytes:Q", title=size_title, scale=alt.Scale(zero=False, padding=20),
                axis=alt.Axis(format=".3~r")),
        color=alt.Color("name:N", title=None, scale=alt.Scale(domain=names, range=list(COLOURS)),
                        legend=alt.Legend(orient="top", columns=1, labelLimit=340)),
        shape=alt.Shape("name:N", title=None, scale=alt.Scale(domain=names)),
    )
    bars = base.mark_rule(strokeWidth=2).encode(
        y=alt.Y("low:Q", title=accuracy_title, scale=alt.Scale(zero=False)), y2="high:Q")
    points = base.mark_point(filled=True, size=110).encode(y="value:Q", tooltip=["name:N", "megabytes:Q", "value:Q"])
    return alt.LayerChart(layer=[bars, points]).properties(height=280 + _LINE * frame["name"].nunique())


def parallel(frame: pd.DataFrame) -> alt.LayerChart:
    """Return parallel coordinates: a vertical line per quantity, a broken line per run.

    Parameters
    ----------
    frame
        Columns ``name`` (the run), ``quantity`` (the axis), ``value`` (number) and ``text`` (the value as written).
        Each quantity is scaled to its own range; one that does not vary lies in the middle.
    """
    groups = frame.groupby("quantity", sort=False)["value"]
    low, span = groups.transform("min"), groups.transform("max") - groups.transform("min")
    rows = frame.assign(height=((frame["value"] - low) / span.where(span > 0)).fillna(0.5))
    order, names = list(dict.fromkeys(frame["quantity"])), list(dict.fromkeys(frame["name"]))
    base = alt.Chart(rows).encode(
        x=alt.X("quantity:N", title=None, sort=order, axis=alt.Axis(labelAngle=-25, grid=True, labelLimit=200)),
        y=alt.Y("height:Q", axis=None, scale=alt.Scale(domain=[-0.05, 1.1])),
        color=alt.Color("name:N", title=None, scale=alt.Scale(domain=names, range=list(COLOURS)),
                        legend=alt.Legend(orient="top", columns=1, labelLimit=340)),
        detail="name:N",
    )
    points = base.mark_point(filled=True, size=70).encode(
        shape=alt.Shape("name:N", title=None, scale=alt.Scale(domain=names)),
        tooltip=["name:N", "quantity:N", "text:N"])
    texts = base.mark_text(dy=-12, fontSize=11).encode(text="text:N")
    return alt.LayerChart(layer=[base.mark_line(strokeWidth=2), points, texts]).properties(
        height=300 + _LINE * len(names))
