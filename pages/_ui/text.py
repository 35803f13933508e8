"""Make a person's text safe to show in widgets that read Markdown."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_AUTOLINK = re.compile(r"(?=://|@)|(?<=www)(?=\.)", re.IGNORECASE)
_JOINER = "\u2060"
_KEPT_UP_TO = 300  # characters; the same short texts come back in every run of every session


def plain(text: object) -> str:
    """Return ``text`` escaped so that Markdown shows it as it is: no link, image, icon, colour or formula.

    Control and bidirectional characters become spaces, and a word joiner keeps addresses from becoming
    links by themselves.
    """
    visible = str(text)
    return _plain(visible) if len(visible) <= _KEPT_UP_TO else _plain.__wrapped__(visible)


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    visible = "".join(
        " " if unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} else character
        for character in text
    )
    return _PUNCTUATION.sub(r"\\\1", _AUTOLINK.sub(_JOINER, visible))
