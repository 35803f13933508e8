"""The library as pages see it: a second old at most, and never behind on a model that is asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.settings import settings
from core.zoo import Library, Shelf

MODELS = Path(__file__).resolve().parents[3] / "models"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def place(tmp_path: Path) -> tuple[Library, Shelf, Clock, Path]:
    shipped = tmp_path / "shipped"
    shutil.copytree(MODELS / "digits", shipped / "digits")
    library = Library(settings().model_copy(update={"home": tmp_path / "home", "models_folder": shipped}))
    clock = Clock()
    return library, Shelf(library, clock), clock, shipped


def _add(shipped: Path, name: str, owner: str | None = None) -> None:
    shutil.copytree(shipped / "digits", shipped / name)
    card = shipped / name / "card.yaml"
    text = card.read_text().replace("name: digits", f"name: {name}", 1)
    card.write_text(text + (f"\nowner: {owner}\n" if owner else ""))


def test_a_new_model_is_seen_after_a_second(place) -> None:
    _, shelf, clock, shipped = place
    assert list(shelf.cards_of("anna")) == ["digits"]
    _add(shipped, "other")
    assert list(shelf.cards_of("anna")) == ["digits"]
    clock.now = 1.0
    assert set(shelf.cards_of("anna")) == {"digits", "other"}


def test_a_new_model_that_is_asked_for_is_seen_at_once(place) -> None:
    _, shelf, _, shipped = place
    shelf.cards_of("anna")
    _add(shipped, "other")
    assert "other" in shelf.cards_of("anna", "other")


def test_a_forgotten_shelf_looks_again(place) -> None:
    _, shelf, _, shipped = place
    shelf.cards_of("anna")
    _add(shipped, "other")
    shelf.forget()
    assert "other" in shelf.cards_of("anna")


def test_nobody_finds_the_model_of_another(place) -> None:
    _, shelf, _, shipped = place
    _add(shipped, "hers", "anna")
    assert "hers" in shelf.cards_of("anna")
    assert "hers" not in shelf.cards_of("bert", "hers")


def test_a_model_that_is_being_made_is_watched_without_delay(place) -> None:
    library, shelf, _, _ = place
    card = library.card("digits")
    assert shelf.status("digits") == "preparing"
    for form in card.forms:
        path = library.path_of(card, form)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    assert shelf.status("digits") == "ready"
    assert shelf.size(card, card.forms[0]) == 5


def test_labels_and_sizes_are_those_of_the_library(place) -> None:
    library, shelf, _, _ = place
    card = library.card("digits")
    assert shelf.labels(card, "fr") == library.labels(card, "fr")
    assert shelf.size(card, card.forms[0]) is None
