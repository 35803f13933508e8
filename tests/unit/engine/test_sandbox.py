"""What code inside a hostile model could try, tried in a real process that has shut itself in."""

import json
import os
import subprocess
import sys

import pytest

from core.settings import ROOT

_TRIES = """
import ctypes, json, os, socket, subprocess, sys
from core.engine.sandbox import confine
from pathlib import Path
secret, outside, inside = map(Path, sys.argv[1:4])
parent, port = sys.argv[4], int(sys.argv[5])
held = confine([], [inside])

def connect(kind):
    with socket.socket(socket.AF_INET, kind) as made:
        made.connect(("127.0.0.1", port))
        made.send(b"out")

tries = {
    "read passwd": lambda: Path("/etc/passwd").read_text(),
    "read the database": secret.read_bytes,
    "list a folder": lambda: os.listdir(secret.parent),
    "write outside": lambda: outside.write_text("x"),
    "link out": lambda: os.link(secret, inside / "copy"),
    "read the parent's secrets": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
    "tcp": lambda: connect(socket.SOCK_STREAM),
    "udp": lambda: connect(socket.SOCK_DGRAM),
    "run a program": lambda: subprocess.run(["/bin/true"], check=True),
    "write inside": lambda: (inside / "mine").write_text("x"),
    "read our code": lambda: Path("core/errors.py").read_text(),
}
done = {}
for name, attempt in tries.items():
    try:
        attempt()
        done[name] = "done"
    except OSError:
        done[name] = "refused"
print(json.dumps({"held": held, "threads": len(os.listdir("/proc/self/task")), **done}))
"""
_WITH_LANDLOCK = ["read passwd", "read the database", "list a folder", "write outside", "link out",
                  "read the parent's secrets"]
_WITH_FILTER = ["tcp", "udp", "run a program"]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What each attempt came to."""
    import socket

    home = tmp_path_factory.mktemp("home")
    inside = tmp_path_factory.mktemp("models")
    (home / "secateur.db").write_bytes(b"accounts")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", _TRIES, str(home / "secateur.db"), str(home / "made"), str(inside),
             str(os.getpid()), str(port)],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )
    assert done.returncode == 0, done.stderr
    assert not (home / "made").exists()
    return dict(json.loads(done.stdout))


def test_this_kernel_confines(outcome: dict[str, object]) -> None:
    """Here as in the image, a kernel without Landlock is a failure, not a reason to skip."""
    assert outcome["held"] is True
    assert outcome["threads"] == 1


@pytest.mark.parametrize("attempt", _WITH_LANDLOCK)
def test_no_file_outside_can_be_read_or_written(outcome: dict[str, object], attempt: str) -> None:
    assert outcome[attempt] == "refused"


@pytest.mark.parametrize("attempt", _WITH_FILTER)
def test_no_network_and_no_program(outcome: dict[str, object], attempt: str) -> None:
    assert outcome[attempt] == "refused"


@pytest.mark.parametrize("attempt", ["write inside", "read our code"])
def test_its_own_work_is_possible(outcome: dict[str, object], attempt: str) -> None:
    assert outcome[attempt] == "done"
