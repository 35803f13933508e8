"""Prepared models for the tests that carry out runs."""

from tests.prepared import models

__all__ = ["models"]
