"""The real app, with every address but this machine's closed to it, does all its work."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.load import people, photos, server
from benchmarks.streamlit_client import Session
from tests.prepared import link_models, models

__all__ = ["models"]

# Python runs it at the start of every process that finds it on its path, before the app.
_HOOK = '''
import os
import sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        inside = not isinstance(address, tuple) or str(address[0]) in ("127.0.0.1", "::1", "localhost", "0.0.0.0")
    elif event == "socket.getaddrinfo":
        inside = arguments[0] in (None, "", "127.0.0.1", "::1", "localhost", "0.0.0.0", b"localhost")
        address = arguments[0]
    else:
        return
    with open(os.environ["NETWORK_LOG"], "a") as log:
        log.write(f"{'inside' if inside else 'OUTSIDE'} {event} {address}\\n")
    if not inside:
        raise PermissionError(f"the test closed {address}")

with open(os.environ["NETWORK_LOG"], "a") as log:
    log.write(f"watching {' '.join(sys.orig_argv)}\\n")
sys.addaudithook(watch)
'''


async def _classify(port: int, token: str, picture: bytes) -> None:
    async with Session(port, token) as tab:
        await tab.open("classify")
        await tab.upload("classify.files", "photo.jpg", picture)
        assert not tab.screen.errors
        assert any("medians of a few runs" in text for text in tab.screen.texts)
        await tab.open("models")
        assert not tab.screen.errors


def test_the_app_contacts_nobody(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member opens pages and has a photo classified; not one address outside is looked up or connected to."""
    hook, log = tmp_path / "hook", tmp_path / "network.log"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_HOOK, "utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hook), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    monkeypatch.setenv("NETWORK_LOG", str(log))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    home = link_models(models, tmp_path / "home")
    token = people(home, 1)[0]
    # A thread of its own: a browser test of the same session may have left a loop in this one.
    with server(home) as (port, _), ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, _classify(port, token, photos(1, seed=3)[0])).result()
    seen = log.read_text("utf-8") if log.exists() else ""
    assert any(line.startswith("watching") and "app.py" in line for line in seen.splitlines())
    assert "OUTSIDE" not in seen
