"""Show every error in one place: what happened and what to do, never a traceback."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from core.errors import SecateurError
from core.locales import N_, spaced
from pages._ui.i18n import language, translate
from pages._ui.text import plain

logger = logging.getLogger("secateur.pages")

UNEXPECTED = N_("Something went wrong on our side. Try again; if it stays, report the number {number}.")


def sentence(error: SecateurError) -> str:
    """Return the error in the session's language, safe for Markdown."""
    return plain(spaced(error.render(translate()), language()))


def show(error: SecateurError) -> None:
    """Render an error that a person can act on."""
    st.error(sentence(error), icon=":material/error:")


def report(error: Exception) -> bool:
    """Render any error; log an unexpected one with the number that the page shows.

    Returns ``True``: nothing is left for Streamlit's own error box.
    """
    if isinstance(error, SecateurError):
        show(error)
        return True
    number = secrets.token_hex(4)
    logger.error("unexpected error %s", number, exc_info=error)
    st.error(translate()(UNEXPECTED).format(number=number), icon=":material/error:")
    return True


@contextmanager
def shown() -> Iterator[None]:
    """Render what fails inside ``with errors.shown():`` and go on after it; also a decorator."""
    try:
        yield
    except Exception as error:
        report(error)
