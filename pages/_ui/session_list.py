"""Where a person is signed in, with a button to end each session."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import streamlit as st

from pages._ui import errors, i18n, services
from pages._ui.moments import moment
from pages._ui.state import state
from pages._ui.text import plain

if TYPE_CHECKING:
    from core.accounts import Principal

_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"),
             ("Safari", "Safari"))
_SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
            ("Mac OS", "macOS"), ("Linux", "Linux"))


def session_list(principal: Principal) -> None:
    """Render the live sessions of ``principal``, this one first."""
    _ = i18n.translate()

    def end(session_id: str) -> None:
        with errors.shown():
            services.accounts().revoke(principal, session_id)
            state.notice = _("That session has ended.")

    sessions = services.accounts().sessions(principal)
    st.caption(_("A session that you do not know: end it, then change the password."))
    for session in sorted(sessions, key=lambda session: not session.current):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            title = plain(device(session.user_agent) or _("Unknown browser"))
            mark = f" :green-badge[{_('this one')}]" if session.current else ""
            seen = _("Last seen {moment}").format(moment=plain(moment(session.seen_at)))
            where = " · ".join(filter(None, (seen, plain(session.address))))
            st.markdown(f"**{title}**{mark}  \n:small[:gray[{where}]]", width="stretch")
            if not session.current:
                st.button(_("End"), key=f"account.end.{session.id}", on_click=end, args=(session.id,),
                          icon=":material/logout:")


def device(user_agent: str) -> str:
    """Return a browser's and system's names as people know them, or nothing if neither is known."""
    browser = next((name for mark, name in _BROWSERS if re.search(rf"\b{mark}", user_agent)), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return " · ".join(part for part in (browser, system) if part)
