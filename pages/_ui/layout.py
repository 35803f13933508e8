"""The frame of every page: navigation, logo, sidebar, and the one place where errors surface."""

from __future__ import annotations

import copy
from base64 import b64encode
from functools import cache
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.locales import LANGUAGES, translator
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
    i18n.settle()
    # Streamlit marks the page that may run on the object itself, so each run has copies of its own.
    pages = {entry: copy.copy(page) for entry, page in
             _pages(i18n.language(), principal.role if principal else "visitor").items()}
    groups: dict[str, list[Any]] = {}
    _ = i18n.translate()
    for entry, page in pages.items():
        groups.setdefault(_(entry.group) if entry.group != START else "", []).append(page)
    # Before the navigation, which else makes the browser ask an outside host for the page's icon.
    st.set_page_config(page_icon=_picture("favicon.png"))
    page = st.navigation(groups)
    current = next(entry for entry, candidate in pages.items() if candidate == page)
    state.page = current.path
    st.set_page_config(page_title=f"{_(current.title)} · Sécateur",
                       layout="wide" if current.wide else "centered")
    st.logo(_picture(f"logo-{'dark' if st.context.theme.type == 'dark' else 'light'}.svg"),
            size="large", icon_image=_picture("favicon.svg"))
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


@cache
def _pages(language: str, who: str) -> dict[Entry, Any]:
    """Return the pages in the order of the navigation, as ``who`` (a role, or ``visitor``) finds them."""
    _ = translator(language)
    return {entry: st.Page(
        str(FOLDER / entry.file), title=_(entry.title), icon=f":material/{entry.icon}:",
        url_path=entry.path or None, default=not entry.path,
        visibility="visible" if _finds(who, entry) else "hidden",
    ) for entry in site()}


def _finds(who: str, entry: Entry) -> bool:
    return (
        entry.shown == "everyone"
        or (entry.shown == "visitor" and who == "visitor")
        or (entry.shown == "member" and who != "visitor")
        or (entry.shown == "admin" and who == "admin")
    )


@cache
def _picture(name: str) -> str:
    """Return a small picture of ours as a data address: a file would be read and registered in every run."""
    kind = "svg+xml" if name.endswith(".svg") else "png"
    return f"data:image/{kind};base64,{b64encode((ASSETS / name).read_bytes()).decode()}"


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
