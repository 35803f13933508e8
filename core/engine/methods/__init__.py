"""Compression methods, one file per kind of step; a new file here is found by its ``@implements``."""
