"""Model files for tests: built once by the real preparation, kept between sessions, linked into homes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def prepared_models(config: pytest.Config) -> Path:
    """Return a folder of prepared models: that of ``SECATEUR_TEST_HOME``, else one in pytest's cache.

    Files are addressed by their inputs, so what an older session left is either right or not used.
    """
    given = os.environ.get("SECATEUR_TEST_HOME")
    home = Path(given).resolve() if given else Path(config.cache.mkdir("prepared"))
    done = subprocess.run(
        [sys.executable, "-c", "from core.settings import settings; from core.zoo import Library;"
                               "Library(settings()).prepare(names=['efficientnet-lite0', 'digits'])"],
        cwd=ROOT, env={**os.environ, "SECATEUR_HOME": str(home)}, capture_output=True, text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return home / "models"


def link_models(models: Path, home: Path) -> Path:
    """Make ``home`` a data folder of its own that shares the prepared models; return it."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "models").symlink_to(models)
    return home


@pytest.fixture(scope="session")
def models(pytestconfig: pytest.Config) -> Path:
    """The folder of prepared models."""
    return prepared_models(pytestconfig)
