"""Shared pieces of pages: the guard, services, session state, language, errors, layout, web routes."""
