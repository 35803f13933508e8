"""Prepared models for the tests that read or carry out runs."""

from tests.prepared import models

__all__ = ["models"]
