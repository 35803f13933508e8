"""The forms of the administrator's page."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import streamlit as st

from pages._ui import errors, i18n, services
from pages._ui.moments import moment
from pages._ui.state import state
from pages._ui.text import plain

if TYPE_CHECKING:
    from core.accounts import Principal
    from core.accounts.administration import UserView

PAGE_SIZE = 20


def link(path: str, **query: str) -> str:
    """Return the address of a page of ours as the browser of this session reaches it."""
    from urllib.parse import urlencode

    from streamlit import config

    parts = urlsplit(str(st.context.url or ""))
    origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
    base = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"{origin}/{base + '/' if base else ''}{path}?{urlencode(query)}"


def secret_link() -> None:
    """Show a link that was just made, once."""
    _ = i18n.translate()
    if state.secret:
        st.success(_("Copy this link now and send it to the person; it is not shown again."),
                   icon=":material/key:")
        st.code(state.secret, language=None, wrap_lines=True)
        state.secret = None


def users(principal: Principal) -> None:
    """Render the accounts, a page at a time, and what can be done to the one that is chosen."""
    _ = i18n.translate()
    accounts = services.accounts()
    search = st.text_input(_("Search"), key="users.search", icon=":material/search:", live=True,
                           placeholder=_("User name or e-mail"))
    total = accounts.users(principal, size=1, search=search).total
    pages = max(1, math.ceil(total / PAGE_SIZE))
    number = st.pagination(pages, key="users.page") if pages > 1 else 1
    found = accounts.users(principal, page=number, size=PAGE_SIZE, search=search)
    if not found.items:
        st.info(_("No account matches."), icon=":material/search_off:")
        return
    import pandas

    roles = {"user": _("User"), "admin": _("Administrator")}
    table = pandas.DataFrame({
        _("User name"): [user.username for user in found.items],
        _("Name"): [user.name for user in found.items],
        _("E-mail"): [user.email for user in found.items],
        _("Role"): [roles[user.role] for user in found.items],
        _("State"): [_("disabled") if user.disabled else _("active") for user in found.items],
        _("Since"): [moment(user.created_at) for user in found.items],
        _("Last seen"): [moment(user.seen_at) for user in found.items],
    })
    st.caption(_("Accounts found: {total}. Choose one to act on it.").format(total=total))
    chosen = st.dataframe(table, hide_index=True, on_select="rerun", selection_mode="single-row",
                          key=f"users.table.{number}.{search}")
    rows = chosen["selection"]["rows"]
    if rows and rows[0] < len(found.items):
        _actions(principal, found.items[rows[0]])


def _actions(principal: Principal, user: UserView) -> None:
    _ = i18n.translate()
    accounts = services.accounts()

    def act(action: Callable[[], object], notice: str) -> None:
        with errors.shown():
            action()
            state.notice = notice

    def make_link() -> None:
        with errors.shown():
            state.secret = link("reset", token=accounts.reset_link(principal, user.id))

    def button(label: str, icon: str, key: str, action: Callable[[], object], notice: str) -> None:
        st.button(label, key=f"users.{key}.{user.id}", icon=f":material/{icon}:", on_click=act,
                  args=(action, notice))

    st.markdown(f"**{plain(user.name)}** ({plain(user.username)})")
    with st.container(horizontal=True):
        if user.disabled:
            button(_("Enable"), "lock_open", "enable", lambda: accounts.enable(principal, user.id),
                   _("The account is enabled."))
        else:
            button(_("Disable"), "block", "disable", lambda: accounts.disable(principal, user.id),
                   _("The account is disabled and its sessions have ended."))
            st.button(_("Make a reset link"), key=f"users.reset.{user.id}", icon=":material/lock_reset:",
                      on_click=make_link)
        if user.role == "admin":
            button(_("Make a user"), "person", "user",
                   lambda: accounts.set_role(principal, user.id, "user"), _("The role is changed."))
        else:
            button(_("Make an administrator"), "shield_person", "admin",
                   lambda: accounts.set_role(principal, user.id, "admin"), _("The role is changed."))


def invite(principal: Principal) -> None:
    """Render the form that makes an invitation."""
    _ = i18n.translate()
    with st.form("users.invite", clear_on_submit=True):
        email = st.text_input(_("E-mail"), key="users.email", max_chars=254,
                              help=_("Only this address may use the invitation; empty for anyone with the link."))
        role = st.radio(_("Role"), ["user", "admin"], key="users.role", horizontal=True,
                        format_func={"user": _("User"), "admin": _("Administrator")}.__getitem__)
        days = st.number_input(_("Days it lasts"), 1, 90, 7, key="users.days")
        if st.form_submit_button(_("Invite"), type="primary", icon=":material/mail:"):
            with errors.shown():
                token = services.accounts().invite(principal, email or None, role, days)
                state.secret = link("sign-up", invitation=token)
                st.rerun()


def invitations(principal: Principal) -> None:
    """Render the open invitations, each with a button to withdraw it."""
    _ = i18n.translate()

    def withdraw(invitation_id: str) -> None:
        with errors.shown():
            services.accounts().withdraw(principal, invitation_id)
            state.notice = _("The invitation is withdrawn.")

    open_ones = services.accounts().invitations(principal)
    if not open_ones:
        st.caption(_("No invitation is open."))
    for invitation in open_ones:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            who = plain(invitation.email) if invitation.email else _("Anyone with the link")
            role = _("Administrator") if invitation.role == "admin" else _("User")
            until = _("{role}, until {moment}").format(
                role=role, moment=plain(moment(invitation.expires_at)))
            st.markdown(f"**{who}**  \n:small[:gray[{until}]]", width="stretch")
            st.button(_("Withdraw"), key=f"users.withdraw.{invitation.id}", on_click=withdraw,
                      args=(invitation.id,), icon=":material/cancel:")
