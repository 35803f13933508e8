"""File names as they are shown: what a person cannot see is not passed on."""

from __future__ import annotations

import re
import unicodedata

# Controls, and the characters that are invisible or turn the direction of the text around them,
# with which "gpj.exe" can be made to look like "exe.jpg".
_HIDDEN = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_LONGEST = 80


def has_hidden_characters(text: str) -> bool:
    """Whether ``text`` holds control, bidirectional, zero-width or surrogate characters."""
    return _HIDDEN.search(text) is not None


def display_name(name: str, longest: int = _LONGEST) -> str:
    """Return a file's name fit to be shown: its last part, visible characters only, bounded.

    The middle of a longer name gives way to an ellipsis, so that the extension stays in sight.
    The result is plain text, not markup: whoever renders it still escapes it for its place.
    """
    last = re.split(r"[/\\]", _HIDDEN.sub("", name).rstrip("/\\"))[-1]
    shown = " ".join(unicodedata.normalize("NFC", last).split()) or "?"
    if len(shown) <= longest:
        return shown
    tail = min(12, longest // 3)
    return shown[: longest - tail - 1] + "…" + shown[-tail:]
