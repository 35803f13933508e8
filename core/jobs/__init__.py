"""Carrying work to worker processes: queue, progress, cancel, recovery. The database is the truth."""

from core.jobs.queue import Queue

__all__ = ["Queue"]
