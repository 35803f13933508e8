"""A chart with what every chart has: its table, words for who cannot see it, and its downloads."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import streamlit as st

from pages._ui import i18n

if TYPE_CHECKING:
    import altair
    import pandas

Chart = TypeVar("Chart", "altair.Chart", "altair.LayerChart")


def chart_card(
    chart: Chart, table: pandas.DataFrame, name: str, alt: str, *, selects: bool = False,
    width: int | Literal["stretch"] = "stretch",
) -> list[dict[str, Any]]:
    """Show a chart, or its table; return the chosen points when it ``selects`` (see ``core.charts.tradeoff``).

    Parameters
    ----------
    table
        What the chart shows, with columns named for people.
    name
        Of the widget and of the files.
    width
        Of the chart, in pixels or as wide as the page.
    """
    _ = i18n.translate()
    chart = localised(chart, i18n.language())
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        as_table = st.toggle(_("Show as a table"), key=f"{name}.table")
        _downloads(chart, table, name)
    chosen: list[dict[str, Any]] = []
    if as_table:
        st.dataframe(written(table, i18n.language()), hide_index=True, key=f"{name}.rows", alt=alt, column_config={
            column: st.column_config.TextColumn(alignment="right") for column in table.select_dtypes("number")})
    elif selects:
        event = st.vega_lite_chart(specification(chart), key=f"{name}.chart", on_select="rerun",
                                   selection_mode="run", alt=alt, width=width)
        chosen = list(event["selection"].get("run", []))
    else:
        st.vega_lite_chart(specification(chart), key=f"{name}.chart", alt=alt, width=width)
    return chosen


def specification(chart: Any) -> dict[str, Any]:
    """Return a chart as the plain data that the browser draws."""
    from altair.utils.schemapi import debug_mode

    with debug_mode(False):  # checking a chart against its schema costs more than drawing all of the page
        return dict(chart.to_dict(validate=False))


def _downloads(chart: Any, table: pandas.DataFrame, name: str) -> None:
    from core.charts.files import to_png, to_svg

    _ = i18n.translate()
    with st.popover(_("Download"), icon=":material/download:"):
        file = name.replace(".", "-")
        st.download_button("PNG", lambda: to_png(chart), f"{file}.png", "image/png", key=f"{name}.png",
                           on_click="ignore", width="stretch")
        st.download_button("SVG", lambda: to_svg(chart), f"{file}.svg", "image/svg+xml", key=f"{name}.svg",
                           on_click="ignore", width="stretch")
        st.download_button("CSV", lambda: to_csv(table), f"{file}.csv", "text/csv", key=f"{name}.csv",
                           on_click="ignore", width="stretch")


def written(table: pandas.DataFrame, language: str) -> pandas.DataFrame:
    """Return the table with its numbers as a reader of ``language`` writes them, without columns that are empty."""
    from babel.numbers import format_decimal

    shown = table.dropna(axis="columns", how="all").copy()
    for column in shown.select_dtypes("number"):
        shown[column] = ["" if value != value else format_decimal(float(f"{value:.4g}"), "#,##0.######",
                                                                  locale=language) for value in shown[column]]
    return shown


def localised(chart: Chart, language: str) -> Chart:
    """Return the chart with the numbers of its axes and tooltips written as in ``language``."""
    import altair

    if language != "fr":
        return chart
    french = altair.NumberLocale(decimal=",", thousands="\N{NARROW NO-BREAK SPACE}", grouping=[3],
                                 currency=["", "\N{NO-BREAK SPACE}€"], percent="\N{NO-BREAK SPACE}%")
    localised: Chart = chart.configure(locale=altair.Locale(number=french))
    return localised


def to_csv(table: pandas.DataFrame) -> bytes:
    """Return a table as CSV (RFC 4180, UTF-8 with mark) in which no text can run as a spreadsheet formula."""
    from core.inference.export import inert

    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([inert(str(column)) for column in table.columns])
    for row in table.itertuples(index=False):
        writer.writerow(["" if value != value else inert(value) for value in row])
    return file.getvalue().encode("utf-8-sig")
