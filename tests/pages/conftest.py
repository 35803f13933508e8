"""Fixtures of the page tests."""

from tests.finished import made
from tests.pages.runs import runs_home
from tests.pages.studio import studio_home
from tests.prepared import models

__all__ = ["made", "models", "runs_home", "studio_home"]
