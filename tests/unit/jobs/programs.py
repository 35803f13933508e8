"""What ``python -m tests.unit.jobs.programs FOLDER`` does is said by FOLDER/program.txt: good and bad children."""

import json
import os
import sys
import threading
import time
from pathlib import Path


def tell(**news: object) -> None:
    print(json.dumps(news), flush=True)  # noqa: T201 - the protocol


def die_with_parent() -> None:
    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def main(folder: Path) -> None:
    program = (folder / "program.txt").read_text()
    if program == "finish":
        tell(stage="half", fraction=0.5, seconds_left=1.0)
        print("not json", flush=True)  # noqa: T201
        time.sleep(1.5)
        (folder / "done").write_text("yes")
    elif program == "fail":
        tell(error={"message": "The layer {layer} is odd. Remove it.", "parameters": {"layer": "conv"}})
        sys.exit(1)
    elif program == "segfault":
        print("last words", file=sys.stderr, flush=True)  # noqa: T201
        os.kill(os.getpid(), 11)
    elif program == "hang":
        die_with_parent()
        (folder / "pid").write_text(str(os.getpid()))
        tell(stage="hanging", fraction=0.1)
        time.sleep(600)
    elif program == "ignore":
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        tell(stage="hanging", fraction=0.1)
        time.sleep(600)
    elif program == "eat":
        hoard = bytearray(400_000_000)
        hoard[::4096] = b"x" * len(hoard[::4096])
        time.sleep(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
