"""Cards and labels: what ships is sound, and what is wrong is named."""

from pathlib import Path

import pytest
import yaml

from core.errors import InputError
from core.settings import ROOT
from core.zoo.cards import ModelCard, Preprocessing, read_card, write_card
from core.zoo.labels import read_labels, write_labels

SHIPPED = sorted(path.parent for path in (ROOT / "models").glob("*/card.yaml"))


def document(**changes: object) -> dict[str, object]:
    return yaml.safe_load((ROOT / "models" / "digits" / "card.yaml").read_text("utf-8")) | changes


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_shipped_card_is_complete_in_both_languages(folder: Path) -> None:
    card = read_card(folder / "card.yaml")
    assert card.name == folder.name
    for language in ("en", "fr"):
        text = card.text(language)
        assert text.title
        assert text.description
        assert bool(text.how_to_add) == (card.weights.kind == "user")
        labels = read_labels(folder / card.labels, card.classes).in_language(language)
        assert len(labels) == card.classes
    assert card.text("fr").description != card.text("en").description


def test_the_three_models_of_the_library() -> None:
    assert [folder.name for folder in SHIPPED] == ["digits", "efficientnet-lite0", "suspect-detection"]


def test_suspect_detection_has_the_nine_classes_of_the_course_project() -> None:
    labels = read_labels(ROOT / "models" / "suspect-detection" / "labels.csv", 9)
    assert labels.aliases == ["appareil photo", "arme", "autre", "baton", "couteau", "drone", "gilet jaune",
                              "grenade", "personne"]
    assert labels.in_language("en")[5] == "drone"


def test_imagenet_labels_carry_wordnet_ids() -> None:
    labels = read_labels(ROOT / "models" / "efficientnet-lite0" / "labels.csv", 1000)
    assert labels.aliases is not None
    assert len(set(labels.aliases)) == 1000
    assert (labels.aliases[0], labels.in_language("en")[0]) == ("n01440764", "tench")


@pytest.mark.parametrize(("changes", "field"), [
    ({"classes": 1}, "classes"),
    ({"colour": "red"}, "colour"),
    ({"name": "../etc"}, "name"),
    ({"labels": "../../etc/passwd"}, "labels"),
    ({"weights": {"kind": "file", "file": "/etc/passwd"}}, "weights.file"),
    ({"weights": {"kind": "file", "file": "..", "sha256": ""}}, "weights.file"),
    ({"input": {"height": 8, "width": 8, "channels": 3}}, "card"),
])
def test_a_wrong_field_is_named(tmp_path: Path, changes: dict[str, object], field: str) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(document(**changes)), "utf-8")
    with pytest.raises(InputError) as caught:
        read_card(path)
    assert caught.value.parameters["field"] == field


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a: [", b"- 1\n", b"!!python/object/apply:os.getcwd []"])
def test_what_is_no_card_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "card.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_card(path)


def test_a_written_card_reads_back_the_same(tmp_path: Path) -> None:
    card = ModelCard.model_validate(document())
    write_card(card, tmp_path / "card.yaml")
    assert read_card(tmp_path / "card.yaml") == card


@pytest.mark.parametrize("changes", [
    {"std": [0]}, {"mean": [1, 2]}, {"resize": "short-side-crop"}, {"interpolation": "lanczos"},
    {"resize": "short-side-crop", "crop": 300},
])
def test_preprocessing_that_cannot_work_is_refused(changes: dict[str, object]) -> None:
    good = {"resize": "stretch", "resize_to": 224, "mean": [127], "std": [128]}
    Preprocessing.model_validate(good)
    with pytest.raises(ValueError, match=r"."):
        Preprocessing.model_validate(good | changes)


def test_labels_fall_back_to_english_class_by_class(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    write_labels(path, {"en": ["cat", "dog, hound"], "fr": ["chat", ""]}, ["n1", "n2"])
    labels = read_labels(path, 2)
    assert labels.in_language("fr") == ["chat", "dog, hound"]
    assert labels.in_language("de") == ["cat", "dog, hound"]
    assert labels.aliases == ["n1", "n2"]


@pytest.mark.parametrize("text", [
    "", "index,en\n0,cat\n", "index,en\n1,cat\n0,dog\n", "index,en\n0,cat\n1,\n", "name\ncat\ndog\n",
    "index,en\n0,cat\n1," + "x" * 300,
])
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError):
        read_labels(path, 2)


def test_plain_text_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("chat\nchien\n", "utf-8")
    assert read_labels(path, 2).in_language("en") == ["chat", "chien"]
