"""Artifacts addressed by their SHA-256, on disk or in an object store.

Belongs here: putting bytes away and getting back exactly those. Nothing here knows what they mean.
"""

from core.storage.store import Artifact, Storage

__all__ = ["Artifact", "Storage"]
