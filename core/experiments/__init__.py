"""Runs, their records, comparisons and reports."""
