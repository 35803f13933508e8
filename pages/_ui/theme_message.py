"""Work the theme's part of a run's first message out once.

Streamlit tells the browser the theme at the start of every run, and each time looks through every option that
it has for each of six sections: a tenth of what a run of a page costs the server. The options do not change
while the server runs; should they be read again all the same, the theme is worked out anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamlit import config
from streamlit.runtime import app_session

_POPULATE = "_populate_theme_msg"


def remember() -> None:
    """Let this process keep the theme's messages. Does nothing with a Streamlit that makes them differently."""
    populate = getattr(app_session, _POPULATE, None)
    if callable(populate) and not hasattr(populate, "__wrapped__"):
        setattr(app_session, _POPULATE, remembering(populate))


def remembering(populate: Callable[..., None]) -> Callable[..., None]:
    """Return a function that fills a section's message as ``populate`` does, but asks it only once."""
    kept: dict[str, bytes] = {}

    def fill(msg: Any, section: str = "theme") -> None:
        if section not in kept:
            fresh = type(msg)()
            populate(fresh, section)
            kept[section] = fresh.SerializeToString()
        if kept[section]:
            msg.MergeFromString(kept[section])

    fill.__wrapped__ = populate  # type: ignore[attr-defined]
    config.on_config_parsed(kept.clear, force_connect=True)
    return fill
