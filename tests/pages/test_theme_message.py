"""What the browser is told about the theme is the same, whether worked out or remembered."""

from __future__ import annotations

import pytest
from streamlit import config
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session

from pages._ui.theme_message import remember, remembering

SECTIONS = [("theme", ""), *((f"theme.{c.value}", c.value) for c in config.CustomThemeCategories)]


def _whole(populate) -> bytes:
    message = CustomThemeConfig()
    for section, path in SECTIONS:
        part = message
        for name in filter(None, path.split(".")):
            part = getattr(part, name)
        populate(part, section)
    return message.SerializeToString(deterministic=True)


def test_the_remembered_theme_is_streamlits_own() -> None:
    original = getattr(app_session._populate_theme_msg, "__wrapped__", app_session._populate_theme_msg)
    fill = remembering(original)
    assert len(_whole(original)) > 100
    assert _whole(fill) == _whole(original)
    assert _whole(fill) == _whole(original)


def test_each_section_is_asked_for_once_and_again_after_the_settings_were_read() -> None:
    asked = []

    def populate(message, section="theme") -> None:
        asked.append(section)
        message.primary_color = "#123456"

    fill = remembering(populate)
    for _ in range(3):
        fill(CustomThemeConfig(), "theme.dark")
    assert asked == ["theme.dark"]
    config._on_config_parsed.send()
    message = CustomThemeConfig()
    fill(message, "theme.dark")
    assert (asked, message.primary_color) == (["theme.dark"] * 2, "#123456")


def test_an_unset_section_leaves_no_trace() -> None:
    message = CustomThemeConfig()
    remembering(lambda _message, _section: None)(message.light, "theme.light")
    assert not message.HasField("light")


def test_remembering_twice_wraps_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_session, "_populate_theme_msg",
                        getattr(app_session._populate_theme_msg, "__wrapped__", app_session._populate_theme_msg))
    remember()
    first = app_session._populate_theme_msg
    remember()
    assert app_session._populate_theme_msg is first
