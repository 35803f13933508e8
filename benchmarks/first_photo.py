"""From nothing to a first answer: ``python -m benchmarks.first_photo``.

Clones the last commit of this working copy into a temporary folder, makes a virtual environment, installs the
requirements, starts the app as the README says, and then does what a person would do, over Streamlit's own
protocol: open an account, wait until the model is prepared, and classify a bundled photo. Prints the seconds
of each part. Nothing is done by hand between them, and nothing of this installation's data is used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.streamlit_client import Session
from core.settings import ROOT

LOOK_AGAIN_S = 1.0
MOST_S = 900.0
PASSWORD = "seven green boats over water"


class Parts:
    """The seconds of each part, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a block; say on standard error that it began."""
        print(f"{name} ...", file=sys.stderr, flush=True)
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 1)


def fresh(folder: Path, parts: Parts) -> tuple[Path, Path]:
    """Clone, make an environment and install; return the clone and the environment's interpreter."""
    clone, environment = folder / "clone", folder / "environment"
    with parts.part("clone"):
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    with parts.part("virtual environment"):
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    with parts.part("pip install -r requirements.txt"):
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                        "-r", "requirements.txt"], cwd=clone, check=True)
    return clone, python


@contextmanager
def started(clone: Path, python: Path, parts: Parts) -> Iterator[int]:
    """Start the app with the clone's own, empty data folder; yield its port once a first page has come."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items()
                   if name not in {"DATABASE_URL", "PYTHONPATH", "VIRTUAL_ENV"}
                   and not name.startswith(("SECATEUR_", "STREAMLIT_"))}
    log = clone.parent / "server.log"
    with parts.part("start until the first page"), log.open("wb") as output:
        server = subprocess.Popen(
            [str(python), "-m", "streamlit", "run", "app.py", "--server.port", str(port),
             "--server.address", "127.0.0.1", "--server.headless", "true"],
            cwd=clone, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            asyncio.run(_first_page(port, server, log))
        except BaseException:
            server.terminate()
            raise
    try:
        yield port
    finally:
        server.terminate()
        server.wait(30)


async def _first_page(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + MOST_S
    while True:
        try:
            async with Session(port) as tab:
                await tab.open("sign-in")
                return
        except OSError:
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(log.read_text(errors="replace")) from None
            await asyncio.sleep(0.1)


async def sign_up(port: int, name: str, password: str) -> str:
    """Open an account by the page for it; return the session cookie."""
    async with Session(port) as tab:
        await tab.open("sign-up")
        for key, text in (("name", "Reader"), ("email", f"{name}@example.org"), ("username", name),
                          ("password", password), ("repeated", password)):
            await tab.write(f"sign_up.{key}", text)
        await tab.tick("sign_up.agreed")
        await tab.click("sign_up.create")
        if tab.screen.errors:
            raise RuntimeError(tab.screen.errors[0])
        return await tab.enter()


async def first_photo(port: int, parts: Parts) -> str:
    """Open an account, wait for the model, classify a photo; return what the page says about it."""
    with parts.part("sign up"):
        token = await sign_up(port, f"reader{secrets.token_hex(3)}", PASSWORD)
    async with Session(port, token, timeout_s=300) as tab:
        with parts.part("until the model is prepared"):
            await tab.open("classify")
            until = time.monotonic() + MOST_S
            while not any(identity.endswith("-classify.sample") for identity in tab.screen.ids):
                if tab.screen.errors or time.monotonic() > until:
                    raise RuntimeError("; ".join(tab.screen.errors) or "the model was not prepared in time")
                await asyncio.sleep(LOOK_AGAIN_S)
                await tab.go("classify")
        with parts.part("classify a photo"):
            await tab.choose("classify.sample", "Cat")
        answers = [text for text in tab.screen.texts if text.startswith("####")]
        if tab.screen.errors or not answers:
            raise RuntimeError("; ".join(tab.screen.errors) or "the photo got no answer")
        return answers[0].lstrip("# ")


def main() -> None:
    """Print a table, or JSON with ``--json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    parts = Parts()
    with tempfile.TemporaryDirectory(prefix="secateur-first-") as folder:
        clone, python = fresh(Path(folder), parts)
        with started(clone, python, parts) as port:
            answer = asyncio.run(first_photo(port, parts))
    total = round(sum(parts.seconds.values()), 1)
    if arguments.json:
        print(json.dumps({"cpus": os.cpu_count(), "python": sys.version.split()[0], "seconds": parts.seconds,
                          "total_s": total, "answer": answer}, indent=2, ensure_ascii=False))
        return
    for part, seconds in {**parts.seconds, "together": total}.items():
        print(f"{part:<34} {seconds:>7.1f} s")
    print(f"answer: {answer}")


if __name__ == "__main__":
    main()
