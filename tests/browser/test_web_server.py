"""The web server itself: headers, closed doors, origins, host names and the cookie routes."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket

from tests.browser.conftest import ROOT, Server

HEADERS = ("content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy",
           "permissions-policy")
_MAKE_TICKET = """
import json
import os
from core.accounts import Accounts
from core.database import connect, migrate
from core.settings import settings
engine = connect(settings().database_url); migrate(engine)
accounts = Accounts(engine, settings())
try:
    signed_in = accounts.sign_up("tess", "Tess", "tess@example.org", "quiet lanterns over the estuary")
except Exception:
    signed_in = accounts.sign_in("tess", "quiet lanterns over the estuary")
print(json.dumps([accounts.issue_ticket(signed_in.principal), signed_in.token]))
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that answers to ``localhost`` only."""
    running = Server(tmp_path_factory.mktemp("home"), STREAMLIT_SERVER_ALLOWED_HOSTS="localhost")
    running.start()
    yield running
    running.stop()


def get(server: Server, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    """Return status, lower-cased headers and body, following nothing."""
    connection = http.client.HTTPConnection("localhost", server.port, timeout=20)
    connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    found = {k.lower(): v for k, v in answer.getheaders()}
    body = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer.status, found, body


def ticket(server: Server) -> tuple[str, str]:
    """Return a fresh ticket and the session's token, made by another process on the same database."""
    done = subprocess.run([sys.executable, "-c", _MAKE_TICKET], cwd=ROOT, capture_output=True, check=True,
                          env={**os.environ, "SECATEUR_HOME": str(server.home)}, timeout=60)
    made, token = json.loads(done.stdout)
    return made, token


def handshake(server: Server, **options: str) -> int:
    """Try to open Streamlit's WebSocket; return the status of the answer."""
    try:
        websocket.create_connection(f"ws://localhost:{server.port}/_stcore/stream", timeout=20,
                                    subprotocols=["streamlit"], **options).close()
    except websocket.WebSocketBadStatusException as error:
        return int(error.status_code)
    return 101


@pytest.mark.parametrize("path", ["/", "/account", "/_stcore/health", "/_stcore/host-config", "/media/none",
                                  "/auth/out", "/_stcore/metrics", "/component/none/index.html"])
def test_every_answer_carries_the_security_headers(guarded: Server, path: str) -> None:
    """Pages, files, health, routes of ours and refusals alike."""
    _, headers, _ = get(guarded, path)
    assert all(headers.get(name) for name in HEADERS)
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    allowed = policy["script-src"].split()
    assert allowed[:2] == ["'self'", "'wasm-unsafe-eval'"]
    assert all(source.startswith("'sha256-") for source in allowed[2:])
    assert policy["img-src"] == "'self' data: blob:"
    assert policy["frame-ancestors"] == "'self'"
    assert "strict-transport-security" not in headers


def test_https_adds_strict_transport_security(guarded: Server) -> None:
    """Whether the server itself or the proxy in front speaks https."""
    _, headers, _ = get(guarded, "/", X_Forwarded_Proto="https")
    assert "max-age" in headers["strict-transport-security"]


@pytest.mark.parametrize("path", ["/_stcore/metrics", "/_stcore/metrics/", "/x/_stcore/metrics"])
def test_metrics_are_closed(guarded: Server, path: str) -> None:
    """They tell a stranger how many people are here."""
    status, _, body = get(guarded, path)
    assert "session" not in body
    assert status == 404


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", ""])
def test_a_foreign_host_name_is_refused(guarded: Server, host: str) -> None:
    """DNS rebinding: a page of another name that points to this machine reads nothing; probes still work."""
    assert get(guarded, "/", Host=host)[0] in {400, 403}
    assert get(guarded, "/_stcore/health", Host="10.0.0.7")[0] == 200
    assert handshake(guarded, host=host or "evil.example") == 403


def test_only_our_own_pages_may_open_the_socket(guarded: Server) -> None:
    """A foreign, a null and another local origin are refused; our own is admitted."""
    for origin in ("https://evil.example", "null", f"http://localhost:{guarded.port + 1}", "http://127.0.0.1"):
        assert handshake(guarded, origin=origin) == 403, origin
    assert handshake(guarded, origin=guarded.url) == 101


def test_an_upload_without_a_session_is_refused(guarded: Server) -> None:
    """Nobody stores a file without the token of a page that runs."""
    connection = http.client.HTTPConnection("localhost", guarded.port, timeout=20)
    connection.request("PUT", "/_stcore/upload_file/none/none", body=b"x")
    assert connection.getresponse().status in {400, 403}
    connection.close()


def test_a_ticket_works_once_and_only_from_our_own_page(guarded: Server) -> None:
    """The cookie is HttpOnly and Lax; a link from elsewhere, or a second use, signs nobody in."""
    made, _ = ticket(guarded)
    path = f"/auth/ticket?ticket={made}&to=account&run=7"
    for site in ("cross-site", "same-site", "none"):
        status, headers, _ = get(guarded, path, Sec_Fetch_Site=site)
        assert status == 303
        assert "set-cookie" not in headers
    assert "set-cookie" not in get(guarded, path)[1]
    status, headers, _ = get(guarded, path, Sec_Fetch_Site="same-origin")
    assert (status, headers["location"]) == (303, "/account?run=7")
    assert headers["cache-control"] == "no-store"
    cookie = headers["set-cookie"]
    assert cookie.startswith("secateur=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "set-cookie" not in get(guarded, path, Sec_Fetch_Site="same-origin")[1]


def test_over_https_the_cookie_is_bound_to_this_host(guarded: Server) -> None:
    """``__Host-``: Secure, no domain, whole site; a neighbour under the same domain cannot set it."""
    made, _ = ticket(guarded)
    _, headers, _ = get(guarded, f"/auth/ticket?ticket={made}&to=account", Sec_Fetch_Site="same-origin",
                        X_Forwarded_Proto="https")
    assert headers["set-cookie"].startswith("__Host-secateur=")
    assert "Secure" in headers["set-cookie"]
    assert "Domain" not in headers["set-cookie"]


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "\\evil.example", "/\\evil.example",
                                "account/../..", "%0d%0aSet-Cookie:a=b", "nothing-of-ours", "", "javascript:1"])
def test_a_redirect_goes_to_known_pages_only(guarded: Server, to: str) -> None:
    """What ``to`` names is looked up, never followed."""
    from urllib.parse import quote

    _, headers, _ = get(guarded, f"/auth/ticket?ticket=x&to={quote(to, safe='')}", Sec_Fetch_Site="same-origin")
    assert headers["location"] == "/"
    assert "set-cookie" not in headers


def test_leaving_needs_our_own_page_too(guarded: Server) -> None:
    """A link elsewhere cannot sign people out; our own page drops the cookie under both names."""
    assert "set-cookie" not in get(guarded, "/auth/out", Sec_Fetch_Site="cross-site")[1]
    connection = http.client.HTTPConnection("localhost", guarded.port, timeout=20)
    connection.request("GET", "/auth/out", headers={"Sec-Fetch-Site": "same-origin"})
    dropped = connection.getresponse().headers.get_all("set-cookie")
    connection.close()
    assert sorted(cookie.split("=", 1)[0] for cookie in dropped) == ["__Host-secateur", "secateur"]
    assert all("Max-Age=0" in cookie for cookie in dropped)


@pytest.mark.parametrize("key", ["some_key", "change-me-change-me-change-me-change-me", "a" * 64])
def test_a_weak_key_refuses_to_start(tmp_path: Path, key: str) -> None:
    """One sentence and an exit, and the key itself is not repeated."""
    with pytest.raises(RuntimeError, match="cookie key") as refused:
        Server(tmp_path, SECATEUR_COOKIE_KEY=key).start()
    assert "Traceback" not in str(refused.value)
    assert key not in str(refused.value)


def test_a_missing_key_is_made_once_and_kept_private(guarded: Server) -> None:
    """Nobody else on the machine can read it, and a restart finds it again."""
    path = guarded.home / "cookie.key"
    assert path.stat().st_mode & 0o777 == 0o600
    kept = path.read_bytes()
    guarded.restart()
    assert path.read_bytes() == kept


def test_the_log_holds_no_secret(guarded: Server) -> None:
    """Tickets travel in an address, so addresses are not logged."""
    made, token = ticket(guarded)
    get(guarded, f"/auth/ticket?ticket={made}&to=account", Sec_Fetch_Site="same-origin")
    log = Path(guarded.home / "server.log").read_text("utf-8")
    assert made not in log
    assert token not in log
    assert "External URL" not in log
