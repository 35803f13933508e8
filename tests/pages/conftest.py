"""Fixtures of the page tests."""

from tests.finished import made
from tests.pages.studio import studio_home
from tests.prepared import models

__all__ = ["made", "models", "studio_home"]
