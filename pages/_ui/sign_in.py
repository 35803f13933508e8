"""The sign-in form, in place of a page that needs it; the page comes back by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import streamlit as st

from core.errors import SecateurError
from pages._ui import errors, i18n, server, services
from pages._ui.auth import current
from pages._ui.gate import Gate

if TYPE_CHECKING:
    from core.accounts import Principal


def sign_in_here(role: str | None = None) -> Principal:
    """Show the form; return the person once it succeeds where this very run may go on, else stop.

    Where the cookie route runs, success sends the browser through it and back to this page, and this run
    ends. A rerun in the run that signs in would lose the cookie in both ways, so there is none.
    """
    _ = i18n.translate()
    gate = Gate()
    place = st.empty()
    principal = None
    with place.container():
        try:
            gate.login(key="sign_in.form", fields={
                "Form name": _("Sign in"),
                "Username": _("User name or e-mail"),
                "Password": _("Password"),
                "Login": _("Sign in"),
            })
            principal = current()
        except SecateurError as error:
            errors.show(error)
        if principal is None:
            if services.settings().sign_up.policy != "closed":
                st.page_link("pages/public/sign_up.py", label=_("No account yet? Sign up"),
                             icon=":material/person_add:")
            st.caption(_("Forgot your password? Ask an administrator for a reset link."))
    if principal is None:
        st.stop()
    place.empty()
    if server.serving():
        on_its_way()
    return services.accounts().require(principal, role)


def on_its_way() -> NoReturn:
    """End the run that signed in; the button is for a browser that does not follow by itself."""
    _ = i18n.translate()
    st.caption(_("You are signed in."))
    st.button(_("Continue"), key="sign_in.continue", icon=":material/arrow_forward:")
    st.stop()
