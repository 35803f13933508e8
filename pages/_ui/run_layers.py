"""Layers of a finished run: where its weights, zeros and work are, and how the values are spread."""

from __future__ import annotations

import pandas
import streamlit as st

from core.charts.runs import layer_bars, weight_histogram
from core.errors import SecateurError
from core.experiments.weights import histogram, weighted_layers
from pages._ui import errors, i18n, services
from pages._ui.numbers import decimal
from pages._ui.run_access import View
from pages._ui.text import plain


def show_layers(view: View) -> None:
    """Show bars and a table of all layers, and the histogram of one."""
    _ = i18n.translate()
    layers = pandas.DataFrame(view.details()["layers"])
    if not len(layers):
        st.info(_("The file has no weighted layers."))
        return
    st.altair_chart(
        layer_bars(layers, zero_title=_("zero"), kept_title=_("kept"), parameters_title=_("Parameters")),
        alt=_("Parameters of each layer, zeros apart; the table below holds the same figures"))
    errors_of = {
        layer["layer"]: layer.get("output_db")
        for step in view.record["steps"] for layer in step.get("details", {}).get("layers", [])
        if isinstance(layer, dict) and "layer" in layer
    }
    shown = pandas.DataFrame({
        _("Layer"): layers["layer"], _("Kind"): layers["kind"], _("Type"): layers["type"],
        _("Parameters"): layers["parameters"], _("Zeros in %"): (100 * layers["zeros"]).round(1),
        _("Distinct values"): layers["distinct"], _("Bytes"): layers["bytes"],
        _("Size in %"): (100 * layers["share_of_size"]).round(1),
        _("Multiply-accumulates"): layers["macs"], _("Work in %"): (100 * layers["share_of_macs"]).round(1),
    })
    if any(value is not None for value in errors_of.values()):
        shown[_("Signal to error, dB")] = [errors_of.get(name) for name in layers["layer"]]
    st.dataframe(shown, hide_index=True, key="run.layers", alt=_("Every weighted layer with its figures"))
    _histogram(view)


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
        said = _("Exactly zero: {before} % before, {after} % after.").format(
            before=decimal(100 * zeros["before"], view.language), after=decimal(100 * zeros["after"], view.language))
        st.altair_chart(
            weight_histogram(frame, before_title=_("Before"), after_title=_("After"), weight_title=_("Weight"),
                             share_title=_("Share of the weights")),
            alt=_("Histogram of the weights of {layer} before and after").format(layer=names[place]))
        st.caption(plain(said))
