"""Pieces that pages share: signing in, session state, language, errors."""
