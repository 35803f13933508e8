"""streamlit-authenticator's login form and cookie, with our accounts behind them.

Of that package we use the login widget and, where no cookie route runs, its cookie component. Its store, its
token and its counters are replaced: users, throttling and sessions live in ``core.accounts``, and the cookie
carries the opaque session token and nothing else. Its other widgets are not used: the registration and
password forms strip spaces off passwords and cannot show strength while one types, and ``forgot_password``
changes a password without proof of who asks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from extra_streamlit_components.CookieManager import CookieManager, _component_func
from streamlit import config
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit_authenticator.controllers import AuthenticationController, CookieController
from streamlit_authenticator.models import AuthenticationModel, CookieModel
from streamlit_authenticator.views import Authenticate

from pages._ui import auth, server, services
from pages._ui.state import state


def send_browser(path: str, **query: str) -> None:
    """Make the browser load a route of this server in the same tab once the run ends.

    Uses the message of ``st.login``: it navigates without script in the page, so the content policy holds.
    """
    context = get_script_run_ctx()
    if context is None:
        return
    base = str(config.get_option("server.baseUrlPath") or "").strip("/")
    message = ForwardMsg()
    message.auth_redirect.url = (f"/{base}" if base else "") + path + "?" + urlencode(query)
    context.enqueue(message)


class SessionCookie(CookieModel):
    """The session token in the browser: by ticket and HttpOnly where the route runs, else by component.

    The tab remembers the token as well, so a browser that keeps no cookie is signed in for as long as the
    tab is open.
    """

    def __init__(self) -> None:
        # The stock constructor renders its component at once, in every run of every page.
        self.settings = services.settings().cookie
        self.place = st.container()  # outlives the form, or the component goes before it has acted
        self.token: str | None = None

    def get_cookie(self) -> None:
        """Tell the widget that nobody is signed in: the guard has looked before it shows the form."""

    def set_cookie(self) -> None:
        """Keep the person signed in after the form succeeded."""
        if server.serving():
            principal = services.accounts().principal_of(state.token or "")
            if principal is not None:
                send_browser(
                    server.TICKET_PATH, ticket=services.accounts().issue_ticket(principal),
                    to=state.page, **st.query_params.to_dict(),
                )
            return
        with self.place:
            self._component().set(
                self.settings.name, state.token or "", key="gate.set",
                expires_at=datetime.now() + timedelta(days=self.settings.days),
                secure=auth.browser_is_secure() or None, same_site="lax",
            )

    def delete_cookie(self) -> None:
        """Take the token out of the browser; its session row is gone already."""
        state.token = None
        if server.serving():
            send_browser(server.OUT_PATH)
            return
        with self.place:
            self._component().delete(self.settings.name, key="gate.delete")

    def _component(self) -> CookieManager:
        # Made without its constructor, which would ask the browser for all cookies first: the answer starts
        # a new run, and that takes the component away before it has set ours.
        manager = CookieManager.__new__(CookieManager)
        manager.cookie_manager = _component_func
        manager.cookies = {self.settings.name: ""}
        return manager


class Credentials(AuthenticationModel):
    """Check a login against the accounts; nothing of the package's own store exists."""

    def __init__(self) -> None:
        self.path = None

    def login(self, username: str, password: str, *_: Any, **__: Any) -> bool:
        """Sign in or raise the error that says why not."""
        signed_in = services.accounts().sign_in(
            username, password, address=auth.address(), user_agent=auth.user_agent()
        )
        state.token = signed_in.token
        return True


class _Cookies(CookieController):
    def __init__(self) -> None:
        self.cookie_model = SessionCookie()


class _Control(AuthenticationController):
    def __init__(self) -> None:
        self.authentication_model = Credentials()

    def login(self, username: str | None = None, password: str | None = None,
              *_: Any, **__: Any) -> bool:
        """Pass the password on as typed; the stock controller strips it."""
        return self.authentication_model.login(username or "", password or "")


class Gate(Authenticate):
    """The login widget on our accounts."""

    def __init__(self) -> None:
        self.path = None
        self.attrs = {"login_sleep_time": 0}
        self.cookie_controller = _Cookies()
        self.authentication_controller = _Control()

    def enter(self, token: str) -> None:
        """Keep a person signed in who proved it elsewhere, such as by signing up."""
        state.token = token
        self.cookie_controller.set_cookie()

    def leave(self) -> None:
        """End the session here and on every tab, then drop the cookie."""
        if principal := auth.current():
            services.accounts().sign_out(principal)
        self.forget()

    def forget(self) -> None:
        """Drop the cookie of a session that has ended already."""
        self.cookie_controller.delete_cookie()
