"""Carrying work to worker processes: queue, progress, cancel, recovery."""
