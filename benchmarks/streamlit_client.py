"""A small client of Streamlit's own protocol: what a browser sends and waits for, without drawing it."""

from __future__ import annotations

import asyncio
import http.client
import time
import urllib.parse
import uuid
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

MOST_BYTES = 64 * 2**20


@dataclass
class Screen:
    """What a run left on the page: widget ids, also by their labels, visible texts, errors and figures.

    ``fragments`` maps a widget's id to the part of the page that runs again when it changes.
    """

    ids: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    fragments: dict[str, str] = field(default_factory=dict)


class Session:
    """One browser tab: ``async with Session(port, token) as tab``.

    Parameters
    ----------
    port
        Of a server on this machine's loopback address; no other can be reached.
    token
        The session cookie of a person who is signed in; empty for a visitor.
    cookie
        Name of that cookie.
    timeout_s
        The longest wait for one run.
    """

    def __init__(self, port: int, token: str = "", cookie: str = "secateur", timeout_s: float = 60) -> None:
        self._port, self._timeout_s, self._cookie = port, timeout_s, cookie
        self._cookies = {cookie: token} if token else {}
        self._states: dict[str, WidgetState] = {}
        self._pages: dict[str, str] = {}
        self._page = ""
        self._id = ""
        self._sent_to = ""
        self._query = ""
        self.screen = Screen()

    async def __aenter__(self) -> Self:
        self._cookies["_streamlit_xsrf"] = await asyncio.to_thread(self._xsrf)
        self._socket = await websockets.connect(
            f"ws://localhost:{self._port}/_stcore/stream", host="127.0.0.1", port=self._port,
            max_size=MOST_BYTES, open_timeout=self._timeout_s,
            subprotocols=[websockets.Subprotocol("streamlit"),
                          websockets.Subprotocol(self._cookies["_streamlit_xsrf"])],
            additional_headers={"Cookie": self._cookie_header},
            origin=websockets.Origin(f"http://localhost:{self._port}"),
            compression=None, ping_interval=None,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self._socket.close()

    async def open(self, path: str, query: str = "") -> float:
        """Load the app at ``path`` ("" is the start page); return the seconds until the run ended."""
        message = BackMsg()
        message.rerun_script.query_string = self._query = query
        message.rerun_script.page_name = path
        return await self._run(message)

    async def go(self, path: str) -> float:
        """Follow the navigation to ``path``; return the seconds of the run."""
        self._states.clear()
        self._query = ""
        self._page = self._pages[path]
        return await self._run(self._rerun())

    async def choose(self, key: str, value: str) -> float:
        """Pick one option of a segmented control or pills; return the seconds of the run."""
        state = WidgetState(id=self._widget(key))
        state.string_array_value.data.append(value)
        self._states[state.id] = state
        return await self._run(self._rerun())

    async def slide(self, key: str, value: float) -> float:
        """Move a slider; what it is a fragment of runs again, as in a browser. Return the seconds of that run."""
        name = self._widget(key)
        state = WidgetState(id=name)
        state.double_array_value.data.append(value)
        self._states[name] = state
        message = self._rerun()
        known = self.screen
        message.rerun_script.fragment_id = known.fragments.get(name, "")
        seconds = await self._run(message)
        self.screen.ids = list(dict.fromkeys([*known.ids, *self.screen.ids]))
        self.screen.fragments = known.fragments | self.screen.fragments
        return seconds

    async def click(self, key: str) -> float:
        """Press a button; return the seconds of the run."""
        return await self._run(self._rerun(WidgetState(id=self._widget(key), trigger_value=True)))

    async def write(self, key: str, text: str) -> float:
        """Type into a text field; return the seconds of the run."""
        state = WidgetState(id=self._widget(key), string_value=text)
        self._states[state.id] = state
        return await self._run(self._rerun())

    async def tick(self, key: str) -> float:
        """Tick a checkbox; return the seconds of the run."""
        state = WidgetState(id=self._widget(key), bool_value=True)
        self._states[state.id] = state
        return await self._run(self._rerun())

    async def send(self, content: bytes | BackMsg) -> None:
        """Send one message, or what should be one."""
        await self._socket.send(content if isinstance(content, bytes) else content.SerializeToString())

    async def enter(self) -> str:
        """Follow the address that the last run sent the browser to; return the session cookie set there."""
        return await asyncio.to_thread(self._enter)

    async def upload(self, key: str, name: str, content: bytes) -> float:
        """Put one file into an uploader; return the seconds of upload and run together."""
        began = time.perf_counter()
        request = BackMsg()
        request.file_urls_request.request_id = uuid.uuid4().hex
        request.file_urls_request.file_names.append(name)
        request.file_urls_request.session_id = self._id
        await self._socket.send(request.SerializeToString())
        urls = (await self._receive("file_urls_response")).file_urls_response.file_urls[0]
        await asyncio.to_thread(self._put, urls.upload_url, name, content)
        state = WidgetState(id=self._widget(key))
        state.file_uploader_state_value.uploaded_file_info.add(
            name=name, size=len(content), file_id=urls.file_id, file_urls=urls)
        self._states[state.id] = state
        await self._run(self._rerun())
        return time.perf_counter() - began

    def _widget(self, key: str) -> str:
        ids = (name for name in self.screen.ids if name.endswith("-" + key))
        return next(ids, "") or self.screen.labels[key]

    def _rerun(self, *extra: WidgetState) -> BackMsg:
        message = BackMsg()
        message.rerun_script.page_script_hash = self._page
        message.rerun_script.query_string = self._query
        message.rerun_script.widget_states.widgets.extend([*self._states.values(), *extra])
        return message

    async def _run(self, message: BackMsg) -> float:
        began = time.perf_counter()
        self.screen = Screen()
        await self._socket.send(message.SerializeToString())
        while True:
            seen = await self._receive("script_finished")
            # An early finish is that of a run which this one replaced, as st.rerun() does.
            if seen.script_finished in (ForwardMsg.FINISHED_SUCCESSFULLY,
                                        ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY):
                return time.perf_counter() - began

    async def _receive(self, wanted: str) -> ForwardMsg:
        async with asyncio.timeout(self._timeout_s):
            while True:
                message = ForwardMsg.FromString(await self._socket.recv(decode=False))
                kind = message.WhichOneof("type")
                self._note(message, kind)
                if kind == wanted:
                    return message

    def _note(self, message: ForwardMsg, kind: str | None) -> None:
        if kind == "new_session":
            self._id = message.new_session.initialize.session_id or self._id
        elif kind == "auth_redirect":
            self._sent_to = message.auth_redirect.url
        elif kind == "navigation":
            self._page = message.navigation.page_script_hash
            self._pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            what = element.WhichOneof("type")
            content = getattr(element, what)
            if identity := getattr(content, "id", ""):
                self.screen.ids.append(identity)
                if message.delta.fragment_id:
                    self.screen.fragments[identity] = message.delta.fragment_id
                self.screen.labels[getattr(content, "label", "")] = identity
            text = getattr(content, "body", "")
            if element.WhichOneof("type") == "metric":
                self.screen.figures.append(f"{content.label}: {content.body}")
            if what == "exception":
                self.screen.errors.append(content.message)
            elif what == "alert" and content.format == content.ERROR:
                self.screen.errors.append(text)
            elif isinstance(text, str) and text:
                self.screen.texts.append(text)

    @property
    def _cookie_header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def _xsrf(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout_s)
        connection.request("GET", "/_stcore/health", headers={"Host": f"localhost:{self._port}"})
        cookie = connection.getresponse().headers["Set-Cookie"] or ""
        connection.close()
        return cookie.partition("_streamlit_xsrf=")[2].partition(";")[0]

    def _enter(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout_s)
        connection.request("GET", self._sent_to, headers={
            "Host": f"localhost:{self._port}", "Cookie": self._cookie_header, "Sec-Fetch-Site": "same-origin"})
        cookies = connection.getresponse().headers.get_all("Set-Cookie") or []
        connection.close()
        found = [cookie.partition("=")[2].partition(";")[0] for cookie in cookies
                 if cookie.startswith(self._cookie + "=")]
        if not found:
            raise ConnectionError("the server set no session cookie")
        return found[0]

    def _put(self, url: str, name: str, content: bytes) -> None:
        boundary = uuid.uuid4().hex
        body = (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
                f"Content-Type: image/jpeg\r\n\r\n").encode() + content + f"\r\n--{boundary}--\r\n".encode()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout_s)
        connection.request("PUT", urllib.parse.urlsplit(url).path, body, {
            "Host": f"localhost:{self._port}", "Cookie": self._cookie_header,
            "Origin": f"http://localhost:{self._port}", "X-Xsrftoken": self._cookies["_streamlit_xsrf"],
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        })
        status = connection.getresponse().status
        connection.close()
        if status != 204:
            raise ConnectionError(f"the upload was answered with {status}")
