"""The frame of every page: navigation, logo, sidebar, and the one place where errors surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.locales import LANGUAGES
from pages._ui import auth, errors, i18n, services
from pages._ui.site import FOLDER, START, Entry, site
from pages._ui.state import state
from pages._ui.text import plain

if TYPE_CHECKING:
    from core.accounts import Principal

ASSETS = FOLDER / "_ui" / "assets"


def run() -> None:
    """Show the page that the address names, to whoever is signed in."""
    principal = None
    problem: Exception | None = None
    try:
        services.collector()
        services.key()
        principal = auth.current()
        auth.found(principal)
    except Exception as error:
        problem = error
    state.account_language = principal.language if principal else None
    entries = site()
    pages = {entry: _page(entry, principal) for entry in entries}
    groups: dict[str, list[object]] = {}
    _ = i18n.translate()
    for entry, page in pages.items():
        groups.setdefault(_(entry.group) if entry.group != START else "", []).append(page)
    # Before the navigation, which else makes the browser ask an outside host for the page's icon.
    st.set_page_config(page_icon=str(ASSETS / "favicon.png"))
    page = st.navigation(groups)
    current = next(entry for entry, candidate in pages.items() if candidate == page)
    state.page = current.path
    st.set_page_config(page_title=f"{_(current.title)} · Sécateur",
                       layout="wide" if current.wide else "centered")
    st.logo(str(ASSETS / f"logo-{'dark' if st.context.theme.type == 'dark' else 'light'}.svg"),
            size="large", icon_image=str(ASSETS / "favicon.svg"))
    if problem is not None:
        errors.report(problem)
        st.stop()
    with st.sidebar:
        _language_switch(principal)
        if principal is not None:
            _signed_in(principal)
    if state.notice:
        st.success(state.notice, icon=":material/check_circle:")
        state.notice = None
    with errors.shown():
        page.run()


def _page(entry: Entry, principal: Principal | None) -> object:
    _ = i18n.translate()
    who = "visitor" if principal is None else principal.role
    visible = (
        entry.shown == "everyone"
        or (entry.shown == "visitor" and principal is None)
        or (entry.shown == "member" and principal is not None)
        or (entry.shown == "admin" and who == "admin")
    )
    return st.Page(
        str(FOLDER / entry.file), title=_(entry.title), icon=f":material/{entry.icon}:",
        url_path=entry.path or None, default=not entry.path,
        visibility="visible" if visible else "hidden",
    )


def _language_switch(principal: Principal | None) -> None:
    _ = i18n.translate()

    def choose() -> None:
        chosen = st.session_state["layout.language"]
        if chosen not in LANGUAGES:
            return
        state.language = chosen
        if principal is not None:
            with errors.shown():
                services.accounts().update_profile(principal, language=chosen)

    st.session_state["layout.language"] = i18n.language()
    st.selectbox(_("Language"), list(LANGUAGES), format_func=LANGUAGES.__getitem__,
                 key="layout.language", on_change=choose)


def _signed_in(principal: Principal) -> None:
    _ = i18n.translate()
    st.caption(_("Signed in as {name}").format(name=plain(principal.name or principal.username)))
    if st.button(_("Sign out"), key="layout.sign_out", icon=":material/logout:", width="stretch"):
        from pages._ui.gate import Gate

        Gate().leave()
        st.stop()
