"""What the web server does besides Streamlit: the cookie routes, and what happens at start.

Streamlit finds the ``st.App`` of ``app.py`` and wraps its own routes with these. Where an installation runs
``app.py`` as a plain script, none of this is active and ``serving()`` stays false.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from streamlit.runtime.pages_manager import PagesManager

from core.errors import SecateurError
from pages._ui import services, theme_message
from pages._ui.protection import SecurityHeaders, https
from pages._ui.site import PATHS

TICKET_PATH = "/auth/ticket"
OUT_PATH = "/auth/out"
_serving = threading.Event()


def serving() -> bool:
    """Return whether the cookie routes answer in this process."""
    return _serving.is_set()


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[None]:
    """Mark the routes as active and open the database while the first browser still loads scripts."""
    # Until the first navigation of a process Streamlit would look for the page of a deep link in pages/.
    PagesManager.uses_pages_directory = False
    theme_message.remember()
    _serving.set()
    services.collector()
    threading.Thread(target=_warm, name="warm", daemon=True).start()
    try:
        yield
    finally:
        _serving.clear()


def _warm() -> None:
    with suppress(Exception):  # the first page shows what fails here, in words
        services.accounts()
        import_module("requests")
        services.go_on_searching()
    with suppress(Exception):
        from pages._ui import model_choice

        model_choice.prepare(*services.library().pending())


def secure(request: Request) -> bool:
    """Return whether the cookie may only travel over https, by the settings and the request."""
    choice = services.settings().cookie.secure
    return choice == "always" or (choice == "auto" and https(request.headers, request.url.scheme))


def cookie_names() -> tuple[str, ...]:
    """Return the names under which the browser may hold the session token, safest first."""
    cookie = services.settings().cookie
    safe = f"__Host-{cookie.name}"
    return (safe,) if cookie.secure == "always" else (safe, cookie.name)


def _from_our_page(request: Request) -> bool:
    """Return whether a page of this site sent the browser here, so nobody is signed in or out by a link."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    referer = request.headers.get("referer", "")
    return referer.startswith(str(request.base_url)) or (
        referer.split("://", 1)[-1].split("/", 1)[0] == request.headers.get("host", "")
    )


def _home(request: Request, page: str = "", query: str = "") -> str:
    base = request.url.path.split("/auth/", 1)[0]
    known = page if page in PATHS else ""
    return f"{base}/{known}" + (f"?{query}" if known and query else "")


def _redirect(target: str) -> RedirectResponse:
    return RedirectResponse(target, 303, headers={"Cache-Control": "no-store"})


async def enter(request: Request) -> Response:
    """Exchange a one-time ticket for the session cookie and go to a known page of ours.

    ``ticket`` names the ticket and ``to`` the page; other query parameters go on to that page. A used, old
    or forged ticket just leads to the page, which then asks to sign in.
    """
    if not _from_our_page(request):
        return _redirect(_home(request))
    rest = [(k, v) for k, v in request.query_params.multi_items() if k not in {"ticket", "to"}]
    answer = _redirect(_home(request, request.query_params.get("to", ""), urlencode(rest)))
    ticket = request.query_params.get("ticket", "")
    token = await run_in_threadpool(services.accounts().redeem_ticket, ticket) if ticket else None
    if token:
        cookie, safe = services.settings().cookie, secure(request)
        answer.set_cookie(
            f"__Host-{cookie.name}" if safe else cookie.name, token,
            max_age=int(cookie.days * 86400), httponly=True, samesite="lax", secure=safe, path="/",
        )
    return answer


async def leave(request: Request) -> Response:
    """Delete the cookie; the session itself was ended by the page that sent the browser here."""
    answer = _redirect(_home(request))
    if _from_our_page(request):
        for name in cookie_names():
            answer.delete_cookie(name, path="/", httponly=True, samesite="lax",
                                 secure=name.startswith("__Host-"))
    return answer


def prepare() -> None:
    """Give Streamlit a secret that outlives the process, derived from the installation's key.

    Streamlit signs its own cookies with it, among them the one that an upload needs; by default each
    process makes up its own. A settings file or a key that cannot be used ends the program with a sentence.
    """
    from streamlit import config

    try:
        secret = hmac.digest(services.key(), b"streamlit cookies", "sha256").hex()
    except SecateurError as error:
        raise SystemExit(str(error)) from error
    if not config.is_manually_set("server.cookieSecret"):
        config.set_option("server.cookieSecret", secret)


def routes() -> list[BaseRoute]:
    """Return the routes that Streamlit serves besides its own."""
    from streamlit import config

    base = str(config.get_option("server.baseUrlPath") or "").strip("/")
    prefix = f"/{base}" if base else ""
    return [Route(prefix + TICKET_PATH, enter), Route(prefix + OUT_PATH, leave)]


def middleware() -> list[Middleware]:
    """Return the middleware around all of Streamlit's answers."""
    return [Middleware(SecurityHeaders)]
