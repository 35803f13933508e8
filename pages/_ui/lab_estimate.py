"""What to expect of the recipe on the screen, redrawn at every move of a slider, and where its zeros go."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.experiments.estimates import Estimate, Expected
from core.locales import spaced
from pages._ui import i18n, recipe_state
from pages._ui.chart_card import chart_card
from pages._ui.lab_past import Past
from pages._ui.numbers import decimal, hundredths, megabytes, milliseconds
from pages._ui.state import state
from pages._ui.text import plain

_FEW = 12  # layers that are shown without being asked for


def show_estimate(found: Estimate, known: Past, *, labelled: bool) -> None:
    """Show the expected figures with their ranges, each as a difference to the baseline."""
    _ = i18n.translate()
    language = i18n.language()
    model, base = known.profile, known.learned.baseline
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(_("Estimate"), width="content")
        st.badge(_("not measured"), color="gray", icon=":material/pen_size_2:")
    smaller = model.gzip_bytes / found.gzip_bytes.value
    one, two = st.columns(2), st.columns(2)
    _figure(one[0], _("Packed file (gzip)"), _approx(_two_digits(found.gzip_bytes.value, language, megabytes)),
            _("{ratio} times smaller").format(ratio=decimal(smaller, language)),
            _size_range(found.gzip_bytes, language))
    lost = found.loss
    if found.accuracy is not None and base is not None and base.top1 is not None:
        points = 100 * (found.accuracy.value - base.top1)
        _figure(one[1], _("Right answers"), _approx(hundredths(found.accuracy.value, language)),
                _("{points} points").format(points=_signed(points, language)),
                _range(found.accuracy, 100, language, "%"))
    else:
        word = _("Right answers kept") if labelled else _("Same answers as before")
        _figure(one[1], word, _approx(hundredths(1 - lost.value, language)), "",
                _range(Expected(value=1 - lost.value, low=1 - lost.high, high=1 - lost.low), 100, language, "%"))
    ratio = _("{ratio} times as fast").format(ratio=decimal(found.speed.value, language))
    if found.latency_ms is not None:
        ms = found.latency_ms
        _figure(two[0], _("Time per image"), _approx(_two_digits(ms.value, language, milliseconds)), ratio,
                _("{low} to {high}").format(low=milliseconds(ms.low, language),
                                            high=milliseconds(ms.high, language)))
    else:
        _figure(two[0], _("Times as fast"), _approx(f"{decimal(found.speed.value, language)} ×"), "",
                _range(found.speed, 1, language, " ×"))
    spared = 1 - found.nonzero_macs / max(1, found.macs)
    _figure(two[1], _("Multiplications"), f"{decimal(found.macs / 1e6, language)} M",
            _("{share}% by zero").format(share=decimal(100 * spared, language, 0)) if spared > 0 else "",
            _("File {size}").format(size=megabytes(round(found.file_bytes.value), language)))
    st.caption(_basis(found))


def show_layers(found: Estimate) -> None:
    """Show where the zeros go, and let the person set each layer's share."""
    import pandas

    from core.charts.runs import layer_bars

    _ = i18n.translate()
    pruning = next((s for s in recipe_state.steps() if "sparsity" in s and "allocation" in s), None)
    layers = [layer for layer in found.layers if layer.prunable]
    if pruning is None or not layers:
        return
    with st.expander(_("Layer by layer: where the zeros go"), icon=":material/align_horizontal_left:",
                     expanded=len(layers) <= _FEW):
        frame = pandas.DataFrame({
            "layer": [layer.layer for layer in layers], "parameters": [layer.weights for layer in layers],
            "zeros": [layer.sparsity for layer in layers]})
        bars = layer_bars(frame, zero_title=_("zero"), kept_title=_("kept"), parameters_title=_("Weights"))
        shown = pandas.DataFrame({_("Layer"): frame["layer"], _("Weights"): frame["parameters"],
                                  _("Zeros (%)"): (100 * frame["zeros"]).round(1)})
        chart_card(bars, shown, "lab.layers", _("Bars of the weights of each layer, split into zeros and others"))
        key = f"lab.layers.{pruning['uid']}.{state.serial}"
        table = pandas.DataFrame({
            "layer": frame["layer"], "weights": frame["parameters"], "sparsity": 100 * frame["zeros"],
            "share": [100 * layer.damage_share for layer in layers]})
        st.caption(_("Change a value in the column Zeros to set the layers yourself; the rule of the step is then "
                     "replaced by your values."))
        st.data_editor(
            table, key=key, hide_index=True, disabled=["layer", "weights", "share"], on_change=_override,
            args=(key, pruning["uid"], list(table["layer"]), [layer.sparsity for layer in layers]),
            column_config={
                "layer": st.column_config.TextColumn(_("Layer")),
                "weights": st.column_config.NumberColumn(_("Weights")),
                "sparsity": st.column_config.NumberColumn(_("Zeros (%)"), min_value=0, max_value=99, step=1,
                                                          format="%.0f", required=True),
                "share": st.column_config.NumberColumn(_("Share of the damage (%), estimate"), format="%.0f"),
            }, alt=_("Each layer with its number of weights and its share of zeros, which can be changed"))


def _override(key: str, uid: int, names: list[str], shares: list[float]) -> None:
    fractions = dict(zip(names, shares, strict=True))
    for row, change in st.session_state[key]["edited_rows"].items():
        if "sparsity" in change and change["sparsity"] is not None:
            fractions[names[int(row)]] = min(0.99, max(0.0, float(change["sparsity"]) / 100))
    recipe_state.by_layer(uid, fractions)


def _figure(place: object, label: str, value: str, delta: str, caption: str) -> None:
    with place, st.container(border=True, height="stretch"):  # type: ignore[attr-defined]
        st.metric(label, value, delta or None, delta_color="off", delta_arrow="off")
        st.caption(plain(caption))


def _basis(found: Estimate) -> str:
    _ = i18n.translate()
    if found.based_on:
        words = _("Corrected by earlier runs on this model and these images ({runs}). Nine of ten measurements "
                  "should fall into the ranges.")
    else:
        words = _("From the weights alone: no run on this model and these images has been measured yet, so the "
                  "ranges are wide.")
    text = words.format(runs=found.based_on)
    if found.unknown:
        text += " " + _("The effect of {steps} is not foreseen.").format(steps=", ".join(found.unknown))
    return plain(text)


def _approx(text: str) -> str:
    return f"≈ {text}"


def _two_digits(value: float, language: str, written: Callable[[float, str, int], str]) -> str:
    # An estimate is not known better than that, and a longer one would be cut off.
    text = written(value, language, 1)
    return text if len(text) <= len("9.9 MB") else written(value, language, 0)


def _signed(value: float, language: str) -> str:
    return ("+" if value > 0 else "−" if value < 0 else "±") + decimal(abs(value), language)


def _size_range(value: Expected, language: str) -> str:
    return i18n.translate()("{low} to {high}").format(
        low=megabytes(round(value.low), language), high=megabytes(round(value.high), language))


def _range(value: Expected, factor: float, language: str, unit: str) -> str:
    return i18n.translate()("{low} to {high}").format(
        low=decimal(factor * value.low, language), high=spaced(decimal(factor * value.high, language) + unit, language))
