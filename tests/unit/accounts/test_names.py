"""Names, addresses and texts that people and browsers send."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.accounts.names import (
    display_name,
    normal_address,
    normal_email,
    normal_username,
    short_text,
)
from core.errors import InputError


@pytest.mark.parametrize(("typed", "stored"), [
    ("Ada", "ada"), (" ada ", "ada"), ("ａｄａ", "ada"), ("ADA.L-1_x", "ada.l-1_x"), ("a" * 32, "a" * 32),
    ("ﬁsh", "fish"),
])
def test_user_names_are_folded(typed: str, stored: str) -> None:
    assert normal_username(typed) == stored


@pytest.mark.parametrize("typed", [
    "", "ab", "a" * 33, "abc\n", "abc\u200b", "a\u202ebc", "a b c", "аdа", "a@b", "../etc", "a/b/c", "-abc",
    "abc.", "www.evil.com", "![x](http://e)", "<b>abc</b>", "a\x00bc", "=cmd|' /C'!A0", "été",
])
def test_user_names_that_are_refused(typed: str) -> None:
    with pytest.raises(InputError, match="user name"):
        normal_username(typed)


@pytest.mark.parametrize(("typed", "stored"), [
    ("Ada@Example.ORG", "ada@example.org"), (" a.b+c@x-y.co.uk ", "a.b+c@x-y.co.uk"),
    ("ａ@example.org", "a@example.org"),
])
def test_emails_are_folded(typed: str, stored: str) -> None:
    assert normal_email(typed) == stored


@pytest.mark.parametrize("typed", [
    "", "a", "@", "a@b", "a@b.c", "a@@b.org", "a b@c.org", "a@b.org\n", ".a@b.org", "a..b@c.org", "a@-b.org",
    "a@b..org", "[x](http://e)@b.org", "<a@b.org>", "a@b.org,c@d.org", "a@[127.0.0.1]", "a@b.org/x", "é@b.org",
    "a" * 65 + "@b.org", "a@" + "b." * 130 + "org", "a\u200b@b.org", "javascript:a@b.org",
])
def test_emails_that_are_refused(typed: str) -> None:
    with pytest.raises(InputError, match="e-mail"):
        normal_email(typed)


@pytest.mark.parametrize("typed", [
    "Ada Lovelace", "J. R. R. Tolkien", "Jean-François d’Été", "O'Neil", "Søren", "李小龍", "علي", "अनुष्का",
    "Анна", "R2 D2", "Martin L. King Jr.",
])
def test_display_names_of_many_scripts(typed: str) -> None:
    assert display_name(typed) == typed


@pytest.mark.parametrize("typed", [
    "", "   ", "x" * 65, "<b>x</b>", "![a](http://e/x.png)", "[a](http://e)", "www.evil.com", "http://evil",
    "a@b.org", "a\nb", "a\u202eb", "a\u200bb", "a\x00", "=1+1", "+1", "-1", "@x", "*bold*", "_it_", "`code`",
    "# Title", "$x$", ":smile:", "a|b", "Z" + "\u0301" * 12, "\u0301a", "😀", "a\\b", "a~~b~~", "1. x:y",
])
def test_display_names_that_are_refused(typed: str) -> None:
    with pytest.raises(InputError, match="name"):
        display_name(typed)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_stored_plain_or_refused(typed: str) -> None:
    for check, forbidden in ((normal_username, "@/:<>[]()!*`\\\n\u202e"), (display_name, "@/:<>[]()!*`_\\\n\u202e"),
                             (normal_email, "/:<>[]()!*`\\\n\u202e")):
        try:
            stored = check(typed)
        except InputError:
            continue
        assert not set(stored) & set(forbidden)
        assert check(stored) == stored


@pytest.mark.parametrize(("address", "network"), [
    ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ("", ""), ("unknown", ""), ("192.0.2.7, 10.0.0.1", ""), (" 192.0.2.7 ", "192.0.2.7"),
])
def test_addresses_are_counted_by_network(address: str, network: str) -> None:
    assert normal_address(address) == network


def test_browser_texts_are_short_and_printable() -> None:
    assert short_text("Mozilla/5.0\x1b[31m\n<é>" + "x" * 500, 20) == "Mozilla/5.0[31m<>xxx"
