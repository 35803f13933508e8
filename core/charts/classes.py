"""Charts of what a model finds in a photo."""

from __future__ import annotations

import altair as alt
import pandas as pd

# Okabe and Ito's blue and vermilion: told apart with any colour vision, and at least 3 to 1 against
# both the light and the dark page.
BLUE = "#0072B2"
VERMILION = "#D55E00"
_ROW_HEIGHT = 34


def top_bars(frame: pd.DataFrame, *, unsure_below: float, class_title: str, probability_title: str,
             threshold_title: str) -> alt.LayerChart:
    """Return horizontal bars of the most probable classes, in the order of the rows.

    Parameters
    ----------
    frame
        Columns ``label`` (text), ``probability`` (0 to 1) and ``text`` (what stands at the bar's end).
    unsure_below
        Drawn as a dashed line: a best class that ends before it counts as unsure.
    class_title, probability_title, threshold_title
        Texts of the tooltips, in the reader's language.
    """
    # A word joiner, which has no width, sets two classes of one name apart: each keeps its bar.
    places = pd.DataFrame({
        "place": range(len(frame)), "label": frame["label"].map(str),
        "probability": frame["probability"].astype(float), "text": frame["text"].map(str),
        "row": [f"{label} · {text}" + "\u2060" * place for place, (label, text)
                in enumerate(zip(frame["label"], frame["text"], strict=True))],
    })
    # Names are labels of the axis and not marks, because only those follow the page's theme.
    names = alt.Axis(labelAlign="left", labelBaseline="middle", labelPadding=0, labelOffset=-9, labelLimit=420,
                     labelFontSize=13, ticks=False, domain=False, grid=False, zindex=1)
    bars = alt.Chart(places).mark_bar(
        color=BLUE, height=10, yOffset=8, cornerRadiusEnd=3,
    ).encode(
        y=alt.Y("row:N", title=None, sort=alt.SortField("place"), axis=names),
        x=alt.X("probability:Q", title=None, scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1])),
        tooltip=[alt.Tooltip("label:N", title=class_title),
                 alt.Tooltip("text:N", title=probability_title)],
    )
    line = alt.Chart(pd.DataFrame({"at": [unsure_below], "meaning": [threshold_title]})).mark_rule(
        color=VERMILION, strokeDash=[4, 3], strokeWidth=1.5,
    ).encode(x=alt.X("at:Q", title=None), tooltip=alt.Tooltip("meaning:N", title=None))
    return alt.LayerChart(layer=[bars, line]).properties(
        height=alt.Step(_ROW_HEIGHT) if len(frame) else 0)
