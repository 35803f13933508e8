"""One field of a recipe's step as a widget: everything comes from the schema, so a new method needs no page."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from pages._ui import i18n

BY_LAYER = "by layer"
_SLIDER_UP_TO = 100


def shown(field: dict[str, Any], step: dict[str, Any]) -> bool:
    """Return whether the field has an effect with the step's other values."""
    return all(step.get(other) in values for other, values in field["shown_when"].items())


def field_widget(field: dict[str, Any], value: Any, key: str) -> Any:
    """Show a field with its present value; return what the person set."""
    label, help_text = _label(field), field["help"] or None
    kind = field["type"]
    if kind == "boolean":
        return st.toggle(label, bool(value), key=key, help=help_text)
    if kind == "choice":
        return _choice(field, value, key, label, help_text)
    if kind in ("integer", "number"):
        return _number(field, value, key, label, help_text)
    return st.text_input(label, str(value), key=key, help=help_text, max_chars=200)


def _label(field: dict[str, Any]) -> str:
    unit, title = field["unit"], field["title"]
    return title if is_fraction(field) or unit.casefold() in title.casefold() else f"{title} ({unit})"


def is_fraction(field: dict[str, Any]) -> bool:
    """Return whether the field is a share between 0 and 1, to be shown in per cent."""
    top = _top(field)
    return field["type"] == "number" and field["scale"] != "log" and top is not None and top <= 1


def _top(field: dict[str, Any]) -> float | None:
    return field["maximum"] if field["maximum"] is not None else field["exclusive_maximum"]


def _choice(field: dict[str, Any], value: Any, key: str, label: str, help_text: str | None) -> Any:
    titles = {choice["value"]: choice["title"] for choice in field["choices"]}
    if isinstance(value, dict):
        _ = i18n.translate()
        titles = {BY_LAYER: _("as set layer by layer"), **titles}
        chosen = st.selectbox(label, list(titles), format_func=titles.__getitem__, key=f"{key}.own", help=help_text)
        return value if chosen == BY_LAYER else chosen
    options = list(titles)
    return st.selectbox(label, options, options.index(value) if value in options else 0,
                        format_func=titles.__getitem__, key=key, help=help_text)


def _number(field: dict[str, Any], value: Any, key: str, label: str, help_text: str | None) -> Any:
    whole = field["type"] == "integer"
    low, top = field["minimum"], _top(field)
    if is_fraction(field):
        step = 0.01
        first = low if low is not None else (field["exclusive_minimum"] or 0.0) + step
        last = top if field["maximum"] is not None else top - step
        return st.slider(label, float(first), float(last), min(max(float(value), first), last), step,
                         format="percent", key=key, help=help_text)
    if whole and low is not None and top is not None and top <= _SLIDER_UP_TO:
        return st.slider(label, int(low), int(top), int(value), int(field["step"] or 1), key=key, help=help_text)
    if whole:
        return st.number_input(label, int(low) if low is not None else None, int(top) if top is not None else None,
                               int(value), int(field["step"] or 1), key=key, help=help_text)
    small = field["exclusive_minimum"]
    bottom = float(low) if low is not None else (None if small is None else _above(small, field))
    log = field["scale"] == "log"
    return st.number_input(
        label, bottom, None if top is None else float(top), float(value),
        float(10 ** math.floor(math.log10(value))) if log and value > 0 else float(field["step"] or 0.1),
        format="%.6f" if log else "%.2f", key=key, help=help_text)


def _above(bound: float, field: dict[str, Any]) -> float:
    return bound + (1e-6 if field["scale"] == "log" else min(0.05, field["step"] or 0.05))
