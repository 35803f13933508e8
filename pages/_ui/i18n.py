"""The language of the page: chosen in the sidebar, else the account's, else the browser's."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

import streamlit as st

from core.locales import LANGUAGES, closest, translator
from pages._ui.state import state

_settled: ContextVar[str | None] = ContextVar("settled", default=None)


def settle() -> None:
    """Decide the language of this run anew: at its start, and when a choice of it has changed."""
    _settled.set(_decide())


def language() -> str:
    """Return the language code of this session, ``"en"`` or ``"fr"``; asks no service."""
    return _settled.get() or _decide()


def _decide() -> str:
    for choice in (state.language, state.account_language):
        if choice in LANGUAGES:
            return choice
    return browser_language()


def browser_language() -> str:
    """Return the language that serves the browser's locale; the installation's where it tells none."""
    from pages._ui.services import settings

    locale = st.context.locale
    return closest(locale) if isinstance(locale, str) and locale else settings().language


def translate() -> Callable[[str], str]:
    """Return the function that translates a literal sentence into the session's language.

    Pages begin with ``_ = i18n.translate()``; placeholders are filled after the translation.
    """
    return translator(language())
