"""Charts of what a model finds in a photo.

They are Vega-Lite specifications as plain data rather than Altair charts: neither Altair nor pandas is
needed to make or to send them, which saves a server that only classifies about 100 MB. For the same
reason every layer carries its own rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Okabe and Ito's blue and vermilion: told apart with any colour vision, and at least 3 to 1 against
# both the light and the dark page.
BLUE = "#0072B2"
VERMILION = "#D55E00"
_ROW_HEIGHT = 34


def top_bars(classes: Sequence[tuple[str, float, str]], *, unsure_below: float, class_title: str,
             probability_title: str, threshold_title: str) -> dict[str, Any]:
    """Return horizontal bars of the most probable classes, in the order given.

    Parameters
    ----------
    classes
        For each class its label, its probability (0 to 1), and the probability as the reader writes it.
    unsure_below
        Drawn as a dashed line: a best class that ends before it counts as unsure.
    class_title, probability_title, threshold_title
        Texts of the tooltips, in the reader's language.

    Returns
    -------
    A Vega-Lite specification. Labels are values in it, never part of an expression.
    """
    # A word joiner, which has no width, sets two classes of one name apart: each keeps its bar.
    rows = [
        {"place": place, "label": label, "probability": probability, "text": text,
         "row": f"{label} · {text}" + "\u2060" * place}
        for place, (label, probability, text) in enumerate(classes)
    ]
    # Names are labels of the axis and not marks, because only those follow the page's theme.
    names = {"labelAlign": "left", "labelBaseline": "middle", "labelPadding": 0, "labelOffset": -9,
             "labelLimit": 420, "labelFontSize": 13, "ticks": False, "domain": False, "grid": False, "zindex": 1}
    bars = {
        "data": {"values": rows},
        "mark": {"type": "bar", "color": BLUE, "height": 10, "yOffset": 8, "cornerRadiusEnd": 3},
        "encoding": {
            "y": {"field": "row", "type": "nominal", "title": None, "axis": names,
                  "sort": [row["row"] for row in rows]},
            "x": {"field": "probability", "type": "quantitative", "title": None,
                  "scale": {"domain": [0, 1]},
                  "axis": {"format": ".0%", "values": [0, 0.25, 0.5, 0.75, 1]}},
            "tooltip": [{"field": "label", "type": "nominal", "title": class_title},
                        {"field": "text", "type": "nominal", "title": probability_title}],
        },
    }
    line = {
        "data": {"values": [{"at": unsure_below, "meaning": threshold_title}]},
        "mark": {"type": "rule", "color": VERMILION, "strokeDash": [4, 3], "strokeWidth": 1.5},
        "encoding": {
            "x": {"field": "at", "type": "quantitative", "title": None},
            "tooltip": {"field": "meaning", "type": "nominal", "title": " "},
        },
    }
    return {"layer": [bars, line], "height": {"step": _ROW_HEIGHT}}
