"""A recipe as a short text for an address: its JSON, deflated, in the letters that an address may hold."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

from core.errors import InputError
from core.locales import N_
from core.recipes.recipe import MAX_CHARACTERS, Recipe, read_recipe

_LETTERS = re.compile(r"[A-Za-z0-9_-]*\Z")


def to_link(content: Mapping[str, Any]) -> str:
    """Return the mapping that a recipe file would hold as a text of letters, digits, ``-`` and ``_``.

    Every field is written out, so that it stays the same recipe when a default changes. The recipe is not
    checked: one that is still being built has its address too.
    """
    kept = {key: value for key, value in content.items() if value or key == "steps"}
    packed = zlib.compress(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode(), 9)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def from_link(text: str) -> Recipe:
    """Return the recipe in a text that :func:`to_link` made, read as strictly as a recipe file.

    Raises
    ------
    InputError
        If the text is damaged, unpacks to more than a recipe file may hold, or a step cannot be used. Whether
        the steps compose is for :func:`core.recipes.check`.
    """
    try:
        if len(text) > MAX_CHARACTERS or not _LETTERS.match(text):
            raise ValueError
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), MAX_CHARACTERS)
        content = json.loads(plain) if unpacker.eof else None
        if not isinstance(content, Mapping):
            raise ValueError
    except (ValueError, binascii.Error, zlib.error, RecursionError) as error:
        raise InputError(N_("The recipe in the address is damaged.")) from error
    return read_recipe(content)
