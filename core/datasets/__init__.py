"""Labelled and unlabelled image sets, opened safely and read lazily."""
