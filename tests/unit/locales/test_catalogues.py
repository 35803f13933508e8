"""Every sentence that the program shows is in every catalogue, translated, with its placeholders."""

import string

import pytest

from core.locales import LANGUAGES, closest, translator
from core.locales.__main__ import extract, missing, update

TRANSLATED = [language for language in LANGUAGES if language != "en"]


def placeholders(text: str) -> set[str]:
    return {(name, spec) for _, name, spec, _ in string.Formatter().parse(text) if name is not None}


@pytest.fixture(scope="module")
def template():
    return extract()


def test_sentences_of_code_pages_and_report_are_found(template) -> None:
    sentences = {message.id for message in template}
    assert "There is no run '{run}'. List yours to see their ids." in sentences  # core
    assert "What is in the photo?" in sentences  # pages
    assert "Show where the model looked" in sentences  # pieces of pages
    assert "Can its probabilities be believed?" in sentences  # the report's template


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_lacks_a_translation(language: str, template) -> None:
    assert list(missing(update(language, template))) == [], "run python -m core.locales and translate these"


@pytest.mark.parametrize("language", TRANSLATED)
def test_placeholders_are_kept(language: str, template) -> None:
    translate = translator(language)
    wrong = [m.id for m in template if m.id and placeholders(translate(m.id)) != placeholders(m.id)]
    assert wrong == []


def test_a_browser_gets_the_language_it_asks_for() -> None:
    assert [closest(locale) for locale in ("fr-CA", "fr", "de-DE", None, "en_GB")] == ["fr", "fr", "en", "en", "en"]


def test_an_unknown_sentence_comes_back_unchanged() -> None:
    assert translator("fr")("no such sentence") == "no such sentence"
