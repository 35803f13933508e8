"""What no browser would send, over the raw WebSocket of the real server: it stays up, and says nothing of itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.exceptions import ConnectionClosed

from benchmarks.load import check, people, server
from benchmarks.streamlit_client import Session
from tests.prepared import link_models, models

__all__ = ["models"]

NUMBERED = "Something went wrong on our side. Try again; if it stays, report the number "
SAYS_TOO_MUCH = ("Traceback", "site-packages", 'File "', ".py\"", "line ")


@pytest.fixture(scope="module")
def place(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, list[str], Path]]:
    """A server, the session tokens of two people, and the server's log."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DATABASE_URL", raising=False)
        home = link_models(models, tmp_path_factory.mktemp("home"))
        tokens = people(home, 2)
        with server(home) as (port, _):
            yield port, tokens, home / "server.log"


def aside(work: Coroutine[Any, Any, Any]) -> Any:
    """Run in a thread of its own: a browser test of the same session may have left a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _works(port: int, token: str) -> None:
    async with Session(port, token) as tab:
        await tab.open("classify")
        check(tab)


def _silent(tab: Session) -> None:
    """Whatever went wrong is told as a number, and the rest is in the log."""
    shown = "\n".join([*tab.screen.errors, *tab.screen.texts])
    assert not [mark for mark in SAYS_TOO_MUCH if mark in shown]
    assert all(error.startswith(NUMBERED) for error in tab.screen.errors)


def _rerun(tab: Session, *states: WidgetState) -> BackMsg:
    message = BackMsg()
    message.rerun_script.page_script_hash = tab._page
    message.rerun_script.widget_states.widgets.extend(states)
    return message


def _sound_message() -> bytes:
    message = BackMsg()
    message.rerun_script.query_string = "model=digits&" + "x" * 200
    message.rerun_script.widget_states.widgets.add(id="a", string_value="b" * 200)
    return message.SerializeToString()


RANDOM = random.Random(7)
GARBAGE: dict[str, bytes] = {
    "truncated": _sound_message()[:-150],
    "truncated by a byte": _sound_message()[:-1],
    "not protobuf": b"\xff" * 64,
    "a length that is a lie": b"\x5a\xff\xff\xff\xff\x0f" + b"x" * 8,
    "groups without end": b"\x5b" * 5000,
    "text that is not unicode": b"\x5a\x06\x0a\x04\xff\xfe\xfd\xfc",
    **{f"random {n}": RANDOM.randbytes(RANDOM.randrange(1, 4000)) for n in range(20)},
}


@pytest.mark.parametrize("name", sorted(GARBAGE))
def test_garbage_ends_at_most_its_own_connection(place: tuple[int, list[str], Path], name: str) -> None:
    port, tokens, _ = place

    async def send() -> None:
        async with Session(port, tokens[0], timeout_s=8) as tab:
            await tab.open("account")
            await tab.send(GARBAGE[name])
            try:
                await tab.open("account")
            except (ConnectionClosed, TimeoutError):
                return
            _silent(tab)

    aside(send())
    aside(_works(port, tokens[1]))


def _wrong_type(widget: str) -> list[WidgetState]:
    made = [WidgetState(id=widget, bool_value=True), WidgetState(id=widget, int_value=2**63 - 1),
            WidgetState(id=widget, double_value=float("nan")), WidgetState(id=widget, string_value="\0" * 50),
            WidgetState(id=widget, bytes_value=b"\xff\x00" * 30), WidgetState(id=widget, json_value="{"),
            WidgetState(id=widget, trigger_value=True), WidgetState(id=widget)]
    for kind, value in (("string_array_value", "nowhere"), ("int_array_value", -1), ("double_array_value", 1e308)):
        state = WidgetState(id=widget)
        getattr(state, kind).data.extend([value] * 3)
        made.append(state)
    uploaded = WidgetState(id=widget)
    uploaded.file_uploader_state_value.uploaded_file_info.add(name="../../etc/passwd", size=2**62, file_id="f" * 64)
    return [*made, uploaded]


WIDGETS = ("layout.language", "classify.model", "classify.form", "classify.source", "classify.files",
           "classify.sample")


@pytest.mark.parametrize("key", WIDGETS)
def test_values_of_a_wrong_type_break_no_page(place: tuple[int, list[str], Path], key: str) -> None:
    """Every type of value for every kind of widget: choices out of range, forged uploads, broken JSON."""
    port, tokens, _ = place

    async def send() -> None:
        for number in range(len(_wrong_type(""))):
            async with Session(port, tokens[0], timeout_s=20) as tab:
                await tab.open("classify")
                check(tab)
                widget = next(name for name in tab.screen.ids if name.endswith("-" + key))
                await tab._run(_rerun(tab, _wrong_type(widget)[number]))
                _silent(tab)

    aside(send())
    aside(_works(port, tokens[1]))


def _many_widgets() -> list[WidgetState]:
    return [WidgetState(id=f"$$ID-{n:032x}-unknown.{n}", bool_value=True) for n in range(2000)]


ODD: dict[str, Callable[[Session], BackMsg]] = {
    "unknown widgets": lambda tab: _rerun(tab, *_many_widgets()),
    "ids that are no ids": lambda tab: _rerun(tab, *(
        WidgetState(id=name, string_value="x") for name in ("", "\0", "$$ID-", "../..", "$$ID--None", "x" * 10_000))),
    "a string of two million characters": lambda tab: _rerun(tab, WidgetState(
        id=next(name for name in tab.screen.ids if name.endswith("-account.name")), string_value="A" * 2_000_000)),
    "a page that is not there": lambda tab: _page(page_script_hash="0" * 32),
    "a page hash that is none": lambda tab: _page(page_script_hash="../../../etc/passwd\0"),
    "a page name that is a path": lambda tab: _page(page_name="../core/settings.py"),
    "a page name that is markup": lambda tab: _page(page_name="<img src=x onerror=alert(1)>"),
    "a query that is an address": lambda tab: _page(
        page_name="account", query_string="next=//evil.example&changed=password&changed=%00%ff&" + "a=1&" * 500),
    "a fragment that is not there": lambda tab: _page(page_name="account", fragment_id="f" * 64),
    "messages that nobody kept": lambda tab: _page(
        page_name="account", cached_message_hashes=["0" * 32, "\n", "x" * 5000]),
}


def _page(**fields: Any) -> BackMsg:
    message = BackMsg()
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(message.rerun_script, name).extend(value)
        else:
            setattr(message.rerun_script, name, value)
    return message


@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_requests_get_a_page_or_nothing(place: tuple[int, list[str], Path], name: str) -> None:
    port, tokens, _ = place

    async def send() -> None:
        async with Session(port, tokens[0], timeout_s=8) as tab:
            await tab.open("account")
            try:
                await tab._run(ODD[name](tab))
            except (ConnectionClosed, TimeoutError):
                return
            _silent(tab)

    aside(send())
    aside(_works(port, tokens[1]))


def test_upload_addresses_of_another_session_are_not_handed_out(place: tuple[int, list[str], Path]) -> None:
    """Asking for places for files in another's session, or for a hundred thousand, leaves the server answering."""
    port, tokens, _ = place

    async def send() -> None:
        async with Session(port, tokens[0], timeout_s=5) as tab:
            await tab.open("classify")
            for session_id, count in (("0" * 36, 1), ("", 1), (tab._id, 100_000)):
                request = BackMsg()
                request.file_urls_request.request_id = "1"
                request.file_urls_request.session_id = session_id
                request.file_urls_request.file_names.extend(["a.jpg"] * count)
                await tab.send(request)
            await tab.open("classify")
            check(tab)

    aside(send())
    aside(_works(port, tokens[1]))


def test_a_stranger_learns_nothing_by_a_foreign_page_hash(place: tuple[int, list[str], Path]) -> None:
    """With the hash of the page of users, a visitor and a member get what the address would have given them."""
    port, tokens, _ = place

    async def send() -> None:
        async with Session(port, tokens[0]) as tab:
            await tab.open("classify")
            users = tab._pages["users"]
            await tab._run(_page(page_script_hash=users))
            assert tab.screen.errors == ["Only an administrator can do this\\."]
        async with Session(port) as visitor:
            await visitor.open("")
            await visitor._run(_page(page_script_hash=users))
            assert any(name.endswith("sign_in.form") or "sign_in" in name for name in visitor.screen.ids) or any(
                "No account yet" in text or "Forgot your password" in text for text in visitor.screen.texts)
            assert not any("Signed in as" in text for text in visitor.screen.texts)

    aside(send())


def test_the_log_of_all_this_holds_no_session(place: tuple[int, list[str], Path]) -> None:
    _, tokens, log = place
    written = log.read_text(errors="replace")
    assert not [token for token in tokens if token in written]
