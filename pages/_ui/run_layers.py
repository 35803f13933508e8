"""Layers of a finished run: where its weights, zeros, work and time are, what each suffers, how values are spread."""

from __future__ import annotations

from collections.abc import Callable

import pandas
import streamlit as st

from core.charts.runs import layer_bars, layer_values, weight_histogram
from core.errors import SecateurError
from core.experiments.layers import layer_table
from core.experiments.weights import histogram, weighted_layers
from pages._ui import errors, i18n, services
from pages._ui.chart_card import chart_card
from pages._ui.numbers import decimal, milliseconds
from pages._ui.run_access import View
from pages._ui.text import plain

Words = Callable[[str], str]


def show_layers(view: View) -> None:
    """Show a chart of all layers, the table of their figures, and the histogram of one."""
    _ = i18n.translate()
    layers = layer_table(view.record, view.details())
    if layers.empty:
        st.info(_("The file has no weighted layers."))
        return
    shown = {"weights": _("Weights and zeros"), "time": _("Time, estimated")}
    if layers["sensitivity"].notna().any():
        shown["sensitivity"] = _("Sensitivity")
    chosen = st.segmented_control(_("What to draw"), list(shown), default="weights", required=True, key="run.layers_of",
                                  format_func=shown.__getitem__, label_visibility="collapsed")
    if chosen == "time":
        _time(layers, view.language, _)
    elif chosen == "sensitivity":
        _sensitivity(layers, _)
    else:
        chart = layer_bars(layers, zero_title=_("zero"), kept_title=_("kept"), parameters_title=_("Parameters"))
        table = pandas.DataFrame({_("Layer"): layers["layer"], _("Parameters"): layers["parameters"],
                                  _("Zeros in %"): (100 * layers["zeros"]).round(1)})
        chart_card(chart, table, "run.layer_weights",
                   _("Parameters of each layer, zeros apart; the table below holds the same figures"))
    st.subheader(_("All figures"))
    _table(layers, view.language, _)
    _histogram(view)


def _time(layers: pandas.DataFrame, language: str, _: Words) -> None:
    texts = [f"≈ {milliseconds(value, language)}" for value in layers["time_ms"]]
    small = layers["time_ms"].max() < 0.1
    title = _("Time in µs, estimate") if small else _("Time in ms, estimate")
    frame = pandas.DataFrame({"layer": layers["layer"], "value": layers["time_ms"] * (1e3 if small else 1),
                              "text": texts})
    heard = ", ".join(f"{layer} {text}" for layer, text in zip(layers["layer"], texts, strict=True))
    chart_card(layer_values(frame, value_title=title, layer_title=_("Layer"), estimate=True),
               pandas.DataFrame({_("Layer"): layers["layer"], title: frame["value"].round(3)}), "run.layer_time",
               _("Estimated time of each layer: {layers}").format(layers=heard))
    st.caption(_("An estimate: the measured time of the whole file, shared out by multiplications, because the runtime "
                 "does not time layers one by one. Small layers and those of few channels take more than their share."))


def _sensitivity(layers: pandas.DataFrame, _: Words) -> None:
    known = layers[layers["sensitivity"] > 0]
    title = _("Divergence of the answers, nats per image")
    frame = pandas.DataFrame({"layer": known["layer"], "value": known["sensitivity"],
                              "text": [f"{value:.1e}" for value in known["sensitivity"]]})
    worst = known.loc[known["sensitivity"].idxmax()]
    chart_card(layer_values(frame, value_title=title, layer_title=_("Layer"), log=True),
               pandas.DataFrame({_("Layer"): known["layer"], title: known["sensitivity"]}), "run.layer_sensitivity",
               _("Sensitivity of each layer; the most sensitive one is {layer}").format(layer=worst["layer"]))
    st.caption(plain(_("Measured: how far the answers move when half of one layer alone becomes zero. The most "
                       "sensitive one is {layer}.").format(layer=worst["layer"])))


def _table(layers: pandas.DataFrame, language: str, _: Words) -> None:
    def numbers(column: str, digits: int = 0, factor: float = 1.0) -> list[str]:
        return ["" if value != value else decimal(factor * float(value), language, digits) for value in layers[column]]

    columns = {
        _("Parameters"): numbers("parameters"), _("Zeros in %"): numbers("zeros", 1, 100),
        _("Distinct values"): numbers("distinct"), _("Bytes"): numbers("bytes"),
        _("Size in %"): numbers("share_of_size", 1, 100), _("Multiply-accumulates"): numbers("macs"),
        _("Work in %"): numbers("share_of_macs", 1, 100),
        _("Time, estimate"): [f"≈ {milliseconds(value, language)}" for value in layers["time_ms"]],
    }
    if layers["sensitivity"].notna().any():
        columns[_("Sensitivity")] = ["" if value != value else f"{value:.1e}" for value in layers["sensitivity"]]
    if layers["output_db"].notna().any():
        columns[_("Signal to error, dB")] = numbers("output_db", 1)
    frame = pandas.DataFrame({_("Layer"): layers["layer"], _("Kind"): layers["kind"], _("Type"): layers["type"],
                              **columns})
    st.dataframe(frame, hide_index=True, key="run.layers", alt=_("Every weighted layer with its figures"),
                 column_config={_("Layer"): st.column_config.TextColumn(pinned=True),
                                **{name: st.column_config.TextColumn(alignment="right") for name in columns}})


@st.fragment
def _histogram(view: View) -> None:
    with errors.shown():
        _ = i18n.translate()
        st.subheader(_("Weights before and after"))
        name, _sep, form = view.run.request.model.partition(":")
        try:
            library = services.library()
            baseline = library.artifact(name, form or library.card(name).forms[0])
        except SecateurError:
            st.info(_("The baseline's file is not here any more, so there is nothing to compare with."))
            return
        after = view.file("model.tflite")
        names = weighted_layers(after)
        place = st.selectbox(_("Layer"), range(len(names)), format_func=names.__getitem__, key="run.layer") or 0
        frame = histogram(baseline, after, place)
        zeros = {row.form: row.share for row in frame[frame["low"] == frame["high"]].itertuples()}
        forms = {"before": _("Before"), "after": _("After")}
        table = frame.assign(form=frame["form"].map(forms)).rename(columns={
            "form": _("Model"), "low": _("low"), "high": _("high"), "share": _("Share of the weights")})
        chart_card(
            weight_histogram(frame, before_title=forms["before"], after_title=forms["after"], weight_title=_("Weight"),
                             share_title=_("Share of the weights")), table, "run.histogram",
            _("Histogram of the weights of {layer} before and after").format(layer=names[place]))
        st.caption(plain(_("Exactly zero: {before}% before, {after}% after.").format(
            before=decimal(100 * zeros["before"], view.language), after=decimal(100 * zeros["after"], view.language))))
