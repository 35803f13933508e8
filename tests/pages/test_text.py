"""Text of people is shown as it is, whatever it contains; errors never show a traceback."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from streamlit.testing.v1 import AppTest

from core.settings import ROOT
from pages._ui.text import plain

HOSTILE = [
    "![x](https://canary.example/a.png)", "[click](javascript:alert(1))", "<img src=x onerror=alert(1)>",
    "**bold** _it_ `code` ~~no~~", "$x^2$ :red[loud] :material/home: :smile:", "# title", "- item", "1. one",
    "http://canary.example www.canary.example a@canary.example", "a\nb\u202ec\x00d", "| a | b |\n|---|---|",
    "&lt;b&gt; \\*", "<https://canary.example>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_plain_leaves_no_markdown(text: str) -> None:
    """What a Markdown reader makes of it is the text itself, in one paragraph."""
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(plain(text))
    assert shown.count("<p>") == 1
    for mark in ("<a", "<img", "<strong", "<em", "<code", "<del", "<h1", "<li", "<table"):
        assert mark not in shown


def test_plain_keeps_names_of_every_script() -> None:
    """Letters, digits and spaces pass untouched."""
    for name in ("Zoë Müller", "李小龍", "محمد", "Мария 2"):
        assert plain(name) == name


def test_nothing_in_pages_allows_html() -> None:
    """No page may switch off Streamlit's own escaping."""
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]:
        source = path.read_text("utf-8")
        assert "unsafe_allow" + "_html" not in source, path
        assert "st.html(" not in source, path


def _broken() -> None:
    import streamlit as st

    from core.errors import InputError
    from pages._ui import errors

    with errors.shown():
        raise InputError("The file '{name}' is empty.", name="[a](http://b)")
    with errors.shown():
        raise ZeroDivisionError("secret detail")
    st.write("goes on")


def test_errors_are_sentences_and_unexpected_ones_carry_a_number(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page shows a number, the log holds the traceback under the same number, and the page goes on."""
    with caplog.at_level(logging.ERROR, logger="secateur.pages"):
        app = AppTest.from_function(_broken).run()
    known, unknown = (error.value for error in app.error)
    assert "](" not in known
    assert "secret detail" not in unknown
    number = unknown.rstrip(".").split()[-1]
    assert f"unexpected error {number}" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert app.markdown[0].value == "goes on"
