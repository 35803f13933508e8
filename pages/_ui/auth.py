"""Who is looking at the page: read the cookie, ask the accounts, show sign-in in place when nobody is."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import SecateurError
from pages._ui import errors, services
from pages._ui.state import state

if TYPE_CHECKING:
    from core.accounts import Principal


def tokens() -> list[str]:
    """Return the session tokens to try: the browser's cookie, then what this tab alone remembers."""
    from pages._ui.server import cookie_names

    cookies = st.context.cookies
    candidates = [*(cookies.get(name) for name in cookie_names()), state.token]
    return [str(candidate) for candidate in candidates if candidate]


def current() -> Principal | None:
    """Return who is signed in, by the live session row; ``None`` for a visitor."""
    for token in tokens():
        if principal := services.accounts().principal_of(token):
            return principal
    return None


_found: ContextVar[Principal | None] = ContextVar("found", default=None)


def found(principal: Principal | None) -> None:
    """Tell the guard of the page that this very run is about to show who was found at its start."""
    _found.set(principal)


def guard(role: str | None = None) -> Principal:
    """Return the signed-in person, or show sign-in (or a refusal) instead of the page and stop.

    Every page script begins with it. It protects what the page shows; callbacks and fragments run before
    or without it, so services check the principal themselves. The session row was read at the start of this
    very run; where that is not so, it is read now.
    """
    try:
        principal = _found.get()
        _found.set(None)
        if principal is None:
            principal = current()
        if principal is not None:
            from core.accounts import permitted

            return permitted(principal, role)
    except SecateurError as error:
        errors.show(error)
        st.stop()
    from pages._ui.sign_in import sign_in_here

    return sign_in_here(role)


def address() -> str:
    """Return the network address to count failed attempts by; empty for this machine or where unknown."""
    return st.context.ip_address or ""


def user_agent() -> str:
    """Return what the browser calls itself, at most 200 characters."""
    return str(st.context.headers.get("User-Agent", ""))[:200]


def browser_is_secure() -> bool:
    """Return whether the browser shows this page over https."""
    return str(st.context.url or "").startswith("https://")
