"""The process of one run: news, ends of every kind, and nothing left behind."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core.jobs.child import Outcome, Progress, run_child
from core.settings import ROOT

MODULE = "tests.unit.jobs.programs"


def run(folder: Path, program: str, *, memory_mb: int = 2000, stop_at: str = "") -> tuple[Outcome, list[Progress]]:
    (folder / "program.txt").write_text(program)
    seen: list[Progress] = []

    def on_progress(progress: Progress) -> bool:
        seen.append(progress)
        return not (stop_at and progress.stage == stop_at)

    return run_child(MODULE, folder, memory_mb, 1, on_progress), seen


def test_a_child_that_finishes_tells_its_progress(tmp_path: Path) -> None:
    outcome, seen = run(tmp_path, "finish")
    assert outcome.ok
    assert (tmp_path / "done").exists()
    assert Progress("half", 0.5, 1.0) in seen


def test_an_error_arrives_with_its_parameters(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path, "fail")
    assert not outcome.ok
    assert str(outcome.error) == "The layer conv is odd. Remove it."


def test_a_crash_is_one_sentence_and_its_last_words_are_kept(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path, "segfault")
    assert not outcome.ok
    assert "-11" in str(outcome.error)
    assert "last words" in outcome.log


@pytest.mark.parametrize("program", ["hang", "ignore"])
def test_a_stop_is_obeyed_or_enforced(tmp_path: Path, program: str) -> None:
    began = time.monotonic()
    outcome, _ = run(tmp_path, program, stop_at="hanging")
    assert outcome.stopped
    assert not outcome.ok
    assert outcome.error is None
    assert time.monotonic() - began < 30
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in (p.info["cmdline"] or [])]


def test_a_child_that_wants_too_much_memory_is_ended(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path, "eat", memory_mb=200)
    assert not outcome.ok
    assert "200 MB" in str(outcome.error)


def test_a_child_does_not_outlive_its_parent(tmp_path: Path) -> None:
    (tmp_path / "program.txt").write_text("hang")
    code = (
        "import sys; from pathlib import Path; from core.jobs.child import run_child;"
        f"run_child({MODULE!r}, Path(sys.argv[1]), 2000, 1, lambda p: True)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    pid_file = tmp_path / "pid"
    deadline = time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    child = psutil.Process(int(pid_file.read_text()))
    parent.kill()
    parent.wait()
    child.wait(timeout=10)
    assert not child.is_running()
