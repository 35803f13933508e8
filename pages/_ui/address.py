"""Choices that live in the page's address, so that reload, the back button and a sent link keep them."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx


def went_back() -> bool:
    """Return whether this run was asked for by the browser's back or forward: only then is the address the newer."""
    return bool(getattr(get_script_run_ctx(suppress_warning=True), "is_history_navigation", False))


def choose(label: str, options: Mapping[str, str], name: str, key: str, *, show_label: bool = False) -> str:
    """Show one button per option and return the chosen one's name; the first is the default.

    Parameters
    ----------
    options
        What each option is called, by its name in the address.
    name
        The query parameter.
    key
        Of the widget.
    """
    _take(name, key, list(options))
    chosen = st.segmented_control(
        label, list(options), format_func=options.__getitem__, key=key, required=True, wrap=True,
        label_visibility="visible" if show_label else "collapsed")
    return _keep(name, str(chosen), next(iter(options)))


def select(label: str, options: Mapping[str, str], name: str, key: str) -> str:
    """As :func:`choose`, as a list that drops down."""
    _take(name, key, list(options))
    chosen = st.selectbox(label, list(options), format_func=options.__getitem__, key=key)
    return _keep(name, str(chosen), next(iter(options)))


def switch(label: str, name: str, key: str, *, help: str | None = None) -> bool:
    """Show a toggle whose state lives in the address, as ``yes`` while it is on."""
    if key not in st.session_state:
        st.session_state[key] = st.query_params.get(name) == "yes"
    return _keep(name, "yes" if st.toggle(label, key=key, help=help) else "", "") == "yes"


def write(label: str, name: str, key: str, *, most: int = 200, placeholder: str = "") -> str:
    """Show a text field whose content lives in the address."""
    if key not in st.session_state:
        st.session_state[key] = str(st.query_params.get(name, ""))[:most]
    return _keep(name, st.text_input(label, key=key, max_chars=most, placeholder=placeholder), "")


def number(label: str, name: str, key: str, *, low: float, high: float, help: str | None = None) -> float | None:
    """Show an optional number whose value lives in the address; None while it is empty."""
    if key not in st.session_state:
        try:
            asked = float(st.query_params.get(name, ""))
        except ValueError:
            asked = None
        st.session_state[key] = asked if asked is not None and low <= asked <= high else None
    value = st.number_input(label, low, high, step=0.1, format="%.1f", key=key, help=help)
    _keep(name, "" if value is None else f"{value:g}", "")
    return value


def _take(name: str, key: str, options: list[str]) -> None:
    if st.session_state.get(key) not in options:
        asked = st.query_params.get(name)
        st.session_state[key] = asked if asked in options else options[0]


def _keep(name: str, value: str, default: str) -> str:
    if value != default:
        if st.query_params.get(name) != value:
            st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]
    return value
