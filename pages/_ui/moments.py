"""Write moments as people of the session's language and time zone do."""

from __future__ import annotations

from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st
from babel.dates import format_date, format_time

from pages._ui.i18n import language


def moment(when: datetime | None) -> str:
    """Return an aware moment as a short date and time, or a dash for none."""
    if when is None:
        return "–"
    local = when.astimezone(_zone())
    return f"{format_date(local, locale=language())}, {format_time(local, 'short', locale=language())}"


def _zone() -> tzinfo:
    try:
        return ZoneInfo(str(st.context.timezone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
