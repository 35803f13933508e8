"""Which names inside a folder or an archive are taken, passed over, or refused."""

from __future__ import annotations

import re
import unicodedata

from core.errors import InputError
from core.images import EXTENSIONS, display_name, has_hidden_characters
from core.locales import N_

_LONGEST_CLASS = 64
_PASSED_OVER = {"__macosx", "thumbs.db", "desktop.ini", "@eadir"}
_PUNCTUATION = set(" _-'’(),&+.")


def safe_parts(name: str) -> tuple[str, ...]:
    """Split an archive member's name into its parts, in Unicode's composed form (NFC).

    Raises
    ------
    InputError
        If the name is absolute, climbs with ``..``, names a drive, or holds control, bidirectional or
        zero-width characters.
    """
    if has_hidden_characters(name):
        raise InputError(
            N_("'{name}' in the archive has invisible characters in its name. Rename it."),
            name=display_name(name),
        )
    parts = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")
    if parts[0] == "" or ".." in parts or re.fullmatch(r"[A-Za-z]:.*", parts[0]):
        raise InputError(
            N_("'{name}' in the archive points outside of it. Make the archive anew from its folder."),
            name=display_name(name),
        )
    return tuple(part for part in parts if part not in ("", "."))


def is_passed_over(parts: tuple[str, ...]) -> bool:
    """Whether a file is hidden, or what an operating system leaves behind."""
    return any(part.startswith(".") or part.casefold() in _PASSED_OVER for part in parts)


def is_photo(parts: tuple[str, ...]) -> bool:
    """Whether a file's extension is one of the formats that are read."""
    return parts[-1].casefold().endswith(EXTENSIONS)


def class_name(folder: str) -> str:
    """Return the class that a folder stands for: composed, blanks at the ends removed.

    Letters and digits of any script, blanks, and ``_ - . ' ( ) , & +`` are allowed, up to 64 characters:
    a class name is shown in pages, charts, reports and tables, and must be inert in all of them. So
    ``www.`` is not, which Markdown turns into a link.

    Raises
    ------
    InputError
        If the name is empty, too long, or has another character; the message names it.
    """
    name = unicodedata.normalize("NFC", folder).strip()
    if not name or len(name) > _LONGEST_CLASS:
        raise InputError(
            N_("The folder name '{name}' is too long for a class; use at most {most} characters."),
            name=display_name(folder), most=_LONGEST_CLASS,
        )
    odd = [c for c in name if unicodedata.category(c)[0] not in "LNM" and c not in _PUNCTUATION]
    if odd or "www." in name.casefold():
        raise InputError(
            N_("The folder name '{name}' cannot be a class: use letters, digits, blanks and "
               "the characters _ - . ' ( ) , & + only."),
            name=display_name(folder),
        )
    return name
