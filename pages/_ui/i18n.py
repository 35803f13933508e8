"""The language of the page: chosen in the sidebar, else the account's, else the browser's."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.locales import LANGUAGES, closest, translator
from pages._ui.state import state


def language() -> str:
    """Return the language code of this session, ``"en"`` or ``"fr"``."""
    chosen = state.language
    if chosen in LANGUAGES:
        return chosen
    from pages._ui.auth import current

    principal = current()
    if principal is not None and principal.language in LANGUAGES:
        return principal.language
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
