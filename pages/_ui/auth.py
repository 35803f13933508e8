"""Who is looking at the page: read the cookie, ask the accounts, show sign-in in place when nobody is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.errors import SecateurError
from pages._ui import errors, services
from pages._ui.state import state

if TYPE_CHECKING:
    from core.accounts import Principal


def token() -> str | None:
    """Return the session token that the browser's cookie carries."""
    from pages._ui.server import cookie_names

    cookies = st.context.cookies
    for name in cookie_names():
        if value := cookies.get(name):
            return str(value)
    return state.token


def current() -> Principal | None:
    """Return who is signed in, by the live session row; ``None`` for a visitor."""
    value = token()
    return services.accounts().principal_of(value) if value else None


def guard(role: str | None = None) -> Principal:
    """Return the signed-in person, or show sign-in (or a refusal) instead of the page and stop.

    Every page script begins with it. It protects what the page shows; callbacks and fragments run before
    or without it, so services check the principal themselves.
    """
    try:
        principal = current()
        if principal is not None:
            return services.accounts().require(principal, role)
    except SecateurError as error:
        errors.show(error)
        st.stop()
    from pages._ui.sign_in import sign_in_here

    return sign_in_here(role)


def address() -> str:
    """Return the network address to count failed attempts by; loopback where Streamlit names none."""
    return st.context.ip_address or "127.0.0.1"


def user_agent() -> str:
    """Return what the browser calls itself, at most 200 characters."""
    return str(st.context.headers.get("User-Agent", ""))[:200]


def browser_is_secure() -> bool:
    """Return whether the browser shows this page over https."""
    return str(st.context.url or "").startswith("https://")
