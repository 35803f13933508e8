"""What every answer of the web server carries, and which requests it does not answer at all."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocketClose
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


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
    "connect-src 'self'",
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


def https(headers: Headers, scheme: str) -> bool:
    """Return whether the browser talks https, here or to the proxy in front."""
    return scheme in {"https", "wss"} or headers.get("x-forwarded-proto", "") == "https"


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
