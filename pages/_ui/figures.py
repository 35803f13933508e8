"""The one picture of the welcome page, drawn from figures that we measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MEASURED = {"float32": (18.55, 5.2, 88.8), "int8": (5.26, 2.0, 88.0)}
"""File size in MB, median milliseconds per photo, top-1 accuracy in percent; see benchmarks/."""


def measured_chart(_: Callable[[str], str]) -> Any:
    """Return three small bar charts of the same model before and after full integer quantization."""
    import altair
    import pandas

    measures = (_("File size (MB)"), _("Time per photo (ms)"), _("Top-1 accuracy (%)"))
    forms = {"float32": _("32-bit floats"), "int8": _("8-bit integers")}
    table = pandas.DataFrame([
        {"form": forms[form], "measure": measure, "value": value}
        for form, values in _MEASURED.items()
        for measure, value in zip(measures, values, strict=True)
    ])
    order = list(forms.values())
    base = altair.Chart(table).encode(
        y=altair.Y("form:N", title=None, sort=order, axis=altair.Axis(labelLimit=160, ticks=False, domain=False)),
        x=altair.X("value:Q", title=None, axis=None),
        tooltip=[altair.Tooltip("form:N", title=" "), altair.Tooltip("measure:N", title="  "),
                 altair.Tooltip("value:Q", title="   ")],
    )
    bars = base.mark_bar(cornerRadiusEnd=3, height=22).encode(
        color=altair.Color("form:N", sort=order, legend=None))
    numbers = base.mark_text(align="left", dx=5).encode(text=altair.Text("value:Q", format=".1f"))
    return (bars + numbers).properties(height=60, width="container").facet(
        row=altair.Row("measure:N", title=None, sort=list(measures),
                       header=altair.Header(labelOrient="top", labelAnchor="start", labelFontWeight="bold")),
    ).resolve_scale(x="independent")
