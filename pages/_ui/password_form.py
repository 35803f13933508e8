"""A new password, typed twice, with its strength shown while one types."""

from __future__ import annotations

import streamlit as st

from core.accounts.strength import strength as judge
from pages._ui import i18n
from pages._ui.text import plain


def rules() -> str:
    """Return the rules of a password in words."""
    _ = i18n.translate()
    return _(
        "12 to 128 characters of any kind; a sentence of a few unusual words is best. "
        "No capital letters or digits are asked for, only that it is hard to guess."
    )


def new_password(key: str, about: tuple[str, ...] = (), *, label: str | None = None) -> tuple[str, str]:
    """Render two password fields and the meter; return what was typed, exactly.

    Parameters
    ----------
    key
        The page's prefix for widget keys.
    about
        What an attacker knows of the person, such as the user name; it makes a password weaker.
    label
        The label of the first field, if not the usual one.
    """
    _ = i18n.translate()
    password = st.text_input(label or _("Password"), type="password", key=f"{key}.password",
                             autocomplete="new-password", live=True, max_chars=128)
    _meter(password, about)
    repeated = st.text_input(_("The same password again"), type="password", key=f"{key}.repeated",
                             autocomplete="new-password", live=True, max_chars=128)
    if repeated and password and repeated != password and len(repeated) >= len(password):
        st.caption(":red[:material/close: " + _("The two passwords differ.") + "]")
    return password, repeated


def _meter(password: str, about: tuple[str, ...]) -> None:
    _ = i18n.translate()
    if not password:
        st.caption(rules())
        return
    strength = judge(password, tuple(part for part in about if part))
    words = (_("very easy to guess"), _("easy to guess"), _("not hard enough to guess"),
             _("hard to guess"), _("very hard to guess"))
    text = _("Strength: {words}").format(words=words[strength.score])
    st.progress((strength.score + 1) / 5, text=text)
    if advice := " ".join(_(sentence) for sentence in (strength.warning, *strength.advice) if sentence):
        st.caption(plain(advice))
