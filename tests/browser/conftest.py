"""A real server with a data folder of its own, and Debian's chromium."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parent.parent.parent
CHROMIUM = "/usr/bin/chromium"
expect.set_options(timeout=30_000)  # the usual five seconds are few on a machine that is busy with something else
_PLAIN = """
import sys
from streamlit.web import cli
from streamlit.web.server import app_discovery
app_discovery.discover_asgi_app = lambda path, app_name=None: (
    app_discovery.AppDiscoveryResult(False, None, None))
sys.argv = ["streamlit", "run", "app.py"]
cli.main()
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as a browser test."""
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    """Start the system's chromium; as root it has no sandbox of its own."""
    return {"executable_path": CHROMIUM, "args": ["--no-sandbox", "--disable-dev-shm-usage"]}


def idle(page: Page) -> None:
    """Wait until the server has drawn the page to its end; for when nothing more is going to ask for a new run."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


class Server:
    """``streamlit run app.py`` on a free port of this machine.

    With ``plain`` the script runs as a host does that knows nothing of its ``st.App``.
    """

    def __init__(self, home: Path, *, plain: bool = False, **environment: str) -> None:
        self.home = home
        self.plain = plain
        self.environment = environment
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start and wait until it is healthy; return the seconds that took."""
        began = time.monotonic()
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *(["-c", _PLAIN] if self.plain else ["-m", "streamlit", "run", "app.py"])],
                cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "SECATEUR_HOME": str(self.home), "STREAMLIT_SERVER_ADDRESS": "localhost",
                     "STREAMLIT_SERVER_PORT": str(self.port), "STREAMLIT_SERVER_HEADLESS": "true",
                     **self.environment},
            )
        while time.monotonic() - began < 60:
            if self.process.poll() is not None:
                raise RuntimeError((self.home / "server.log").read_text("utf-8"))
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                    if answer.status == 200:
                        return time.monotonic() - began
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("the server did not become healthy")

    def stop(self) -> None:
        """Stop the server and wait for its end."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(15)
            self.process = None

    def restart(self) -> None:
        """Stop and start on the same port and data folder."""
        self.stop()
        self.start()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server shared by the tests of one file; it has no model, so none is prepared."""
    home = tmp_path_factory.mktemp("home")
    (home / "no-models").mkdir()
    running = Server(home, SECATEUR_MODELS_FOLDER=str(home / "no-models"))
    running.start()
    yield running
    running.stop()
