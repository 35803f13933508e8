"""The command line as a person meets it: a process with a data folder of prepared models."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.prepared import ROOT, models

__all__ = ["models"]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs ``python -m core`` with the arguments given."""
    home = tmp_path_factory.mktemp("cli")
    (home / "models").mkdir()
    for name in ("efficientnet-lite0", "digits"):
        (home / "models" / name).symlink_to(models / name)

    def call(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "core", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
            timeout=120, env={**os.environ, "SECATEUR_HOME": str(home), **environment},
        )

    return call
