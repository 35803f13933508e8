"""``search``: the whole way on the digits with a tiny budget, and one clear line for what cannot be searched."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_a_tiny_search_recommends_a_file(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("search", "digits", "--data", "digits", "--want", "lose at most 2 points, be smallest",
               "--minutes", "1.5", "--out", out, "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["status"] == "finished"
    assert found["spent_minutes"] <= 1.1 * 1.5
    assert found["understood"]["limits"] == [{"figure": "points", "bound": 2.0, "relative": False}]
    chosen = found["trials"][found["answer"]["recommended"]]
    assert chosen["figures"]["n"] == 240
    assert found["answer"]["front"]
    assert found["sentences"]
    assert {path.name for path in out.iterdir()} >= {"model.tflite", "recipe.yaml", "run.json", "report.html"}


def test_what_cannot_be_searched(run: Run) -> None:
    for options, says in (
        (("digits", "--data", "digits", "--want", "make it nice"), "cannot be understood"),
        (("digits", "--data", "nowhere", "--want", "smallest"), "There is no data"),
        (("nothing", "--data", "digits", "--want", "smallest"), "nothing"),
        (("digits", "--data", "digits", "--want", "smallest", "--sampler", "lucky"), "sampler"),
    ):
        done = run("search", *options, "--minutes", "1")
        assert done.returncode == 2, done.stderr
        assert says in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
