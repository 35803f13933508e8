"""Fixtures of the tests of experiments."""

from tests.prepared import models

__all__ = ["models"]
