"""What the web server does besides Streamlit: security headers, the cookie routes, closed metrics.

Streamlit finds the ``st.App`` of ``app.py`` and wraps its own routes with these. Where an installation runs
``app.py`` as a plain script, none of this is active and ``serving()`` stays false.
"""

from __future__ import annotations

import hmac
import re
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import streamlit
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.websockets import WebSocketClose
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from core.errors import SecateurError
from pages._ui import services
from pages._ui.site import PATHS

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TICKET_PATH = "/auth/ticket"
OUT_PATH = "/auth/out"


def _inline_scripts() -> str:
    """Return the hashes of the scripts that Streamlit's own index page holds inline, to admit just those."""
    index = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
    digests = (sha256(script.encode()).digest() for script in re.findall(r"<script>(.*?)</script>", index, re.S))
    return " ".join(f"'sha256-{b64encode(digest).decode()}'" for digest in digests)


POLICY = "; ".join((
    "default-src 'self'",
    f"script-src 'self' 'wasm-unsafe-eval' {_inline_scripts()}".rstrip(),
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "media-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self' ws: wss:",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
    # Streamlit's components, and some hosts' own frame around an app, are frames of the same origin.
    "frame-ancestors 'self'",
))
_CLOSED = ("/_stcore/metrics",)
_OPEN = ("/_stcore/health",)
"""Answered under any host name, because health probes come by address."""
_serving = threading.Event()


def serving() -> bool:
    """Return whether the cookie routes answer in this process."""
    return _serving.is_set()


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[None]:
    """Mark the routes as active and open the database while the first browser still loads scripts."""
    # Until the first navigation of a process Streamlit would look for the page of a deep link in pages/.
    PagesManager.uses_pages_directory = False
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
        for module in ("requests", "pandas", "altair"):
            import_module(module)


def https(headers: Headers, scheme: str) -> bool:
    """Return whether the browser talks https, here or to the proxy in front."""
    return scheme in {"https", "wss"} or headers.get("x-forwarded-proto", "") == "https"


def secure(request: Request) -> bool:
    """Return whether the cookie may only travel over https, by the settings and the request."""
    choice = services.settings().cookie.secure
    return choice == "always" or (choice == "auto" and https(request.headers, request.url.scheme))


def cookie_names() -> tuple[str, ...]:
    """Return the names under which the browser may hold the session token, safest first."""
    cookie = services.settings().cookie
    safe = f"__Host-{cookie.name}"
    return (safe,) if cookie.secure == "always" else (safe, cookie.name)


class SecurityHeaders:
    """Add the security headers to every answer and keep the metrics to ourselves."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            admitted = _host_admitted(scope) and _origin_admitted(scope)
            await (self.app if admitted else WebSocketClose())(scope, receive, send)
            return
        request = Request(scope)
        path = request.url.path.rstrip("/")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "SAMEORIGIN"
                headers["Referrer-Policy"] = "same-origin"
                headers["Permissions-Policy"] = "camera=(self), microphone=(), geolocation=()"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                if https(request.headers, request.url.scheme):
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        if not path.endswith(_OPEN) and not _host_admitted(scope):
            await PlainTextResponse("Forbidden", 403)(scope, receive, send_with_headers)
            return
        if path.endswith(_CLOSED):
            await PlainTextResponse("Not found", 404)(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)


def _host_admitted(scope: Scope) -> bool:
    """Return whether ``server.allowedHosts`` admits the Host header, for files as for the WebSocket."""
    return is_host_allowed(Headers(scope=scope).get("host"))


def _origin_admitted(scope: Scope) -> bool:
    """Return whether a WebSocket comes from a page of this very host, or of one that is allowed by name.

    Stricter than Streamlit's own check, which admits any port of this machine and asks an outside service
    for our public address when it meets a foreign origin.
    """
    from streamlit import config

    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None or urlsplit(origin).netloc == headers.get("host"):
        return True
    allowed = {str(entry).rstrip("/") for entry in config.get_option("server.corsAllowedOrigins") or ()}
    return origin in allowed


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
