"""Translation catalogues: the English sentence is the key, ``<language>.po`` holds the translation.

Text is marked with ``N_`` where it is written (core) and translated where it is shown (pages, command line).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

LANGUAGES = {"en": "English", "fr": "Français"}
DEFAULT = "en"
_PERCENT = re.compile(r"(\d)%")


def N_(text: str) -> str:  # noqa: N802 - the field's name for "marked, translated later"
    """Mark a sentence for translation and return it unchanged."""
    return text


@cache
def _catalogue(language: str) -> dict[str, str]:
    path = Path(__file__).parent / f"{language}.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return {
            m.id: m.string
            for m in read_po(file, locale=language)
            if isinstance(m.id, str) and isinstance(m.string, str) and m.id and m.string and not m.fuzzy
        }


def translator(language: str) -> Callable[[str], str]:
    """Return the function that translates a sentence; what the catalogue lacks comes back in English."""
    catalogue = _catalogue(language if language in LANGUAGES else DEFAULT)
    return lambda text: catalogue.get(text, text)


def spaced(text: str, language: str) -> str:
    """Return a text with its per cent signs apart from their numbers where the language has them so."""
    return _PERCENT.sub("\\1\N{NO-BREAK SPACE}%", text) if language == "fr" else text


def closest(locale: str | None) -> str:
    """Return the language that serves a browser's locale such as ``fr-CA``; English for any other."""
    language = (locale or DEFAULT).replace("_", "-").split("-")[0].lower()
    return language if language in LANGUAGES else DEFAULT
