"""Processes that are killed while they store a file, at any moment: complete or absent, never half."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from core.storage import Storage

WRITER = """
import sys
from core.storage import Storage
storage = Storage(sys.argv[1])
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    artifact = storage.put(number.to_bytes(4, "big") * 500_000)
    print(artifact.sha256, flush=True)
    number += 1
"""


def test_kill_at_random_moments(tmp_path: Path) -> None:
    random.seed(4)
    acknowledged: list[str] = []
    for turn in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(turn * 10_000)],
                                  stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(random.uniform(0.02, 0.25))
        writer.send_signal(signal.SIGKILL)
        output, _ = writer.communicate(timeout=30)
        acknowledged += [line for line in output.split("\n") if len(line) == 64]
    storage = Storage(str(tmp_path))
    assert acknowledged
    for digest in acknowledged:
        assert hashlib.sha256(storage.read(digest)).hexdigest() == digest
    for digest in storage.digests():
        storage.path(digest)
    storage.clean(older=0)
    assert not list(tmp_path.rglob("*.unfinished"))
