import pytest

from tests.pages.studio import app, page, texts

pytestmark = pytest.mark.usefixtures("studio_home")


def test_the_library_shows_every_card_with_what_matters_and_its_state():
    test = page("models").run()
    assert not test.exception
    seen = texts(test)
    for words in ("EfficientNet", "224 × 224", "8 × 8", "Apache\\-2\\.0", "18\\.6", "75\\.1", "Ready",
                  "Waiting for its weights", "firearm", "model\\.h5", "ImageNet"):
        assert words in seen, words


def test_a_ready_model_links_to_the_classify_page():
    test = app("models").run()
    links = [link.proto for link in test.get("page_link")]
    assert len(links) == 2
    assert {link.query_string for link in links} == {"model=efficientnet-lite0", "model=digits"}


def test_french_names_its_classes_in_french():
    test = page("models", language="fr").run()
    assert not test.exception
    assert "couteau" in texts(test)
    assert "gilet jaune" in texts(test)
