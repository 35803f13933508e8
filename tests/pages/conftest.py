"""Fixtures of the page tests."""

from tests.pages.studio import studio_home
from tests.prepared import models

__all__ = ["models", "studio_home"]
