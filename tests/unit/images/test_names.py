"""Hostile file names come out visible, short and without direction marks."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.images import display_name, has_hidden_characters


@pytest.mark.parametrize(("name", "shown"), [
    ("cat.jpg", "cat.jpg"),
    ("/etc/passwd", "passwd"),
    ("..\\..\\boot.ini", "boot.ini"),
    ("C:\\photos\\été.png", "été.png"),
    ("photo\u202egpj.exe", "photogpj.exe"),
    ("a\x00b\x1b[31m.png", "ab[31m.png"),
    ("zero\u200bwidth\ufeff.jpg", "zerowidth.jpg"),
    ("line\nbreak.jpg", "linebreak.jpg"),
    ("猫.jpg", "猫.jpg"),
    ("<img src=x>.jpg", "<img src=x>.jpg"),
    ("", "?"), ("///", "?"), ("\u202e", "?"),
    ("e\u0301t.png", "\u00e9t.png"),
])
def test_examples(name: str, shown: str) -> None:
    assert display_name(name) == shown


def test_a_long_name_keeps_its_beginning_and_its_extension() -> None:
    shown = display_name("a" * 5000 + ".jpeg")
    assert len(shown) == 80
    assert shown.startswith("aaa")
    assert shown.endswith("a.jpeg")


@given(st.text(max_size=200))
def test_nothing_hidden_is_left(name: str) -> None:
    shown = display_name(name)
    assert 1 <= len(shown) <= 80
    assert not has_hidden_characters(shown)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Zl", "Zp", "Cs"}
    assert "/" not in shown
