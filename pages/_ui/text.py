"""Make a person's text safe to show in widgets that read Markdown."""

from __future__ import annotations

import re
import unicodedata

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_AUTOLINK = re.compile(r"(?=://|@)|(?<=www)(?=\.)", re.IGNORECASE)
_JOINER = "\u2060"


def plain(text: object) -> str:
    """Return ``text`` escaped so that Markdown shows it as it is: no link, image, icon, colour or formula.

    Control and bidirectional characters become spaces, and a word joiner keeps addresses from becoming
    links by themselves.
    """
    visible = "".join(
        " " if unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} else character
        for character in str(text)
    )
    return _PUNCTUATION.sub(r"\\\1", _AUTOLINK.sub(_JOINER, visible))
