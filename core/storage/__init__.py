"""Artifacts addressed by their SHA-256, on disk or in an object store."""
