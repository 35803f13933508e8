"""What may be a user name, a display name or an e-mail address: allow-lists, so nothing hostile is stored.

Names are shown on pages that render Markdown and in terminals. A name that could start a link, an image or a
bidirectional override is therefore refused where it enters rather than escaped in many places.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata

from core.errors import InputError
from core.locales import LANGUAGES, N_

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,30}[a-z0-9]")
_EMAIL_LOCAL = re.compile(r"[a-z0-9_%+-]+(?:\.[a-z0-9_%+-]+)*")
_EMAIL_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_MARKS_IN_A_ROW = 4  # more than any script writes on one letter


def normal_username(text: str) -> str:
    """Return the user name as stored: NFKC, lower case, no surrounding spaces.

    Raises
    ------
    InputError
        Unless it has 3 to 32 characters of a to z, 0 to 9, ``.``, ``_`` and ``-``, and both ends are a letter
        or a digit.
    """
    name = _folded(text)
    if not _USERNAME.fullmatch(name) or name.startswith("www."):
        raise InputError(N_("This user name cannot be used. Choose 3 to 32 letters without accents, digits, "
                            "dots, dashes or underscores, with a letter or a digit at both ends."))
    return name


def normal_email(text: str) -> str:
    """Return the address as stored: NFKC, lower case, no surrounding spaces.

    Raises
    ------
    InputError
        Unless it looks like ``name@example.org`` in plain letters and has at most 254 characters.
    """
    address = _folded(text)
    local, _, domain = address.rpartition("@")
    if (
        len(address) > 254 or len(local) > 64
        or not _EMAIL_LOCAL.fullmatch(local) or not _EMAIL_DOMAIN.fullmatch(domain)
    ):
        raise InputError(N_("This is not an e-mail address that can be used. Write it like name@example.org."))
    return address


def normal_login(text: str) -> str:
    """Return what was typed into the sign-in field in the form user names and e-mails are stored in."""
    return _folded(text[:400])


def findable(text: str) -> str:
    """Return ``text`` if a database can hold it, else "", which nothing is called.

    For ids and searches that come from outside: PostgreSQL refuses NUL, no engine takes a broken surrogate.
    """
    broken = any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in text[:401])
    return "" if broken or len(text) > 400 else text


def display_name(text: str) -> str:
    """Return the display name as stored: NFC, single inner spaces, none around.

    Raises
    ------
    InputError
        Unless it has 1 to 64 letters (of any script), digits, spaces, hyphens, apostrophes, and dots only
        before a space or at the end, and begins with a letter or a digit.
    """
    name = re.sub(" +", " ", unicodedata.normalize("NFC", text).strip(" "))
    if not 1 <= len(name) <= 64 or not _begins_well(name) or not _is_plain(name):
        raise InputError(N_("This name cannot be shown. Use 1 to 64 letters, digits, spaces, hyphens and "
                            "apostrophes, beginning with a letter or a digit."))
    return name


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text.strip(" ")).casefold()


def _begins_well(name: str) -> bool:
    return unicodedata.category(name[0])[0] in "LN"


def _is_plain(name: str) -> bool:
    marks = 0
    for i, character in enumerate(name):
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        if marks > _MARKS_IN_A_ROW:
            return False
        if category[0] in "LM" or category == "Nd" or character in " -'’":
            continue
        if character == "." and (i + 1 == len(name) or name[i + 1] == " "):
            continue
        return False
    return True


def known_language(language: str) -> str:
    """Return ``language`` if there is a catalogue for it, else raise :class:`InputError`."""
    if language not in LANGUAGES:
        raise InputError(N_("There is no translation into '{language}'."), language=str(language)[:20])
    return language


def normal_address(address: str) -> str:
    """Return the network that throttling counts by: an IPv4 address, or the /64 of an IPv6 one.

    One IPv6 customer usually holds a whole /64. What is not an address gives an empty string.
    """
    try:
        ip = ipaddress.ip_address(address.strip())
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((int(ip), 64), strict=False))
    return str(ip)


def short_text(text: str, limit: int) -> str:
    """Return printable ASCII only, at most ``limit`` characters: for what a browser says about itself."""
    return "".join(c for c in text[: 4 * limit] if " " <= c <= "~")[:limit]
