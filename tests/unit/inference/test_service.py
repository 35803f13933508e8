import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from core.accounts import LOCAL, Accounts
from core.database import connect, migrate
from core.errors import AccessError, InputError, NotFoundError, StorageError
from core.images import encode
from core.inference import Answer, Classification, rows, samples, to_csv, to_json
from core.inference.export import inert
from core.inference.service import as_seen
from core.zoo import InputSpec, Library, ModelCard, Preprocessing

LABELS = {"en": ["ant", "bee", "cat", "dog"], "fr": ["fourmi", "abeille", "chat", "chien"]}


@pytest.fixture
def library(settings, tflite):
    library = Library(settings)
    library.add(
        ModelCard(
            name="pets", title="Pets", licence="Apache-2.0", classes=4, labels_languages=["en", "fr"],
            input=InputSpec(height=16, width=16, channels=3), forms=["float32", "int8", "broken"],
            preprocessing=Preprocessing(resize="stretch", resize_to=16, mean=[127.5], std=[127.5]),
            files={"float32": "f.tflite", "int8": "i.tflite", "broken": "b.tflite"},
        ),
        LABELS,
        {"f.tflite": tflite / "float32.tflite", "i.tflite": tflite / "int8.tflite",
         "b.tflite": b"\x1c\0\0\0TFL3" + b"\xff" * 64},
    )
    return library


@pytest.fixture
def accounts(settings):
    engine = connect(settings.database_url)
    migrate(engine)
    yield Accounts(engine, settings)
    engine.dispose()


@pytest.fixture
def service(library, accounts, settings):
    return Classification(library, accounts, settings)


@pytest.fixture(scope="module")
def photo():
    pixels = np.random.default_rng(3).integers(0, 255, (60, 90, 3), np.uint8)
    return encode(Image.fromarray(pixels), "PNG")


def test_an_answer_has_ranked_classes_times_and_the_file_that_said_so(service, photo, tflite):
    answer = service.classify(LOCAL, photo, "pets")
    assert isinstance(answer, Answer)
    assert (answer.model, answer.title, answer.form) == ("pets", "Pets", "float32")
    assert answer.model_bytes == (tflite / "float32.tflite").stat().st_size
    shares = [p.probability for p in answer.predictions]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert {p.label for p in answer.predictions} == set(LABELS["en"])
    assert answer.preprocess_ms > 0
    assert answer.inference_ms > 0
    with Image.open(io.BytesIO(answer.picture)) as shown:
        assert (shown.format, shown.size) == ("JPEG", (90, 60))


def test_labels_come_in_the_language_asked_for(service, photo):
    english, french = (service.classify(LOCAL, photo, "pets", language=code) for code in ("en", "fr"))
    assert [p.index for p in english.predictions] == [p.index for p in french.predictions]
    assert french.predictions[0].label == LABELS["fr"][french.predictions[0].index]


def test_another_form_is_another_file_with_nearly_the_same_answer(service, photo):
    exact, compact = (service.classify(LOCAL, photo, f"pets:{form}") for form in ("float32", "int8"))
    assert compact.form == "int8"
    assert compact.predictions[0].probability == pytest.approx(exact.predictions[0].probability, abs=0.05)


@pytest.mark.parametrize(("threshold", "unsure"), [(0.0, False), (1.0, True)])
def test_unsure_is_a_matter_of_the_threshold(library, accounts, settings, photo, threshold, unsure):
    models = settings.models.model_copy(update={"unsure_below": threshold})
    service = Classification(library, accounts, settings.model_copy(update={"models": models}))
    assert service.classify(LOCAL, photo, "pets").unsure is unsure


def test_a_session_that_ended_gets_neither_answer_nor_map(service, accounts, photo):
    person = accounts.sign_up("heron", "Heron", "heron@example.org", "seven green boats over water").principal
    assert service.classify(person, photo, "pets").predictions
    accounts.sign_out(person)
    with pytest.raises(AccessError):
        service.classify(person, photo, "pets")
    with pytest.raises(AccessError):
        service.explain(person, photo, "pets", 0)


def test_failures_are_of_the_one_family(service, photo):
    with pytest.raises(InputError):
        service.classify(LOCAL, b"not a photo", "pets")
    with pytest.raises(NotFoundError):
        service.classify(LOCAL, photo, "lions")
    with pytest.raises(NotFoundError):
        service.classify(LOCAL, photo, "pets:int4")
    with pytest.raises(StorageError):
        service.classify(LOCAL, photo, "pets:broken")
    with pytest.raises(InputError):
        service.explain(LOCAL, photo, "pets", 4)


def test_an_explanation_is_a_picture_of_what_the_model_saw(service, photo):
    found = service.explain(LOCAL, photo, "pets", 2, language="fr")
    assert found.label == "chat"
    assert 0 <= found.largest_drop <= 1
    assert found.positions >= 25
    with Image.open(io.BytesIO(found.picture)) as shown:
        assert shown.size == (448, 448)


def test_the_picture_the_model_saw_is_the_inverse_of_its_preprocessing():
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    steps = Preprocessing(resize="stretch", resize_to=4, mean=[10, 20, 30], std=[2, 3, 4])
    prepared = (pixels.astype(np.float32) - [10, 20, 30]) / [2, 3, 4]
    np.testing.assert_array_equal(as_seen(prepared.astype(np.float32), steps), pixels)
    grey = Preprocessing(resize="stretch", resize_to=4, mean=[0], std=[255], color="grayscale", invert=True)
    seen = as_seen(np.full((4, 4, 1), 0.2, np.float32), grey)
    assert seen.shape == (4, 4, 3)
    assert (seen == 204).all()


def test_exports_keep_bad_files_and_disarm_formulas(service, photo):
    answer = service.classify(LOCAL, photo, "pets")
    outcomes = [("=cmd|' /C calc'!A0.png", answer), ("+1.png", "-broken")]
    table = list(csv.DictReader(io.StringIO(to_csv(outcomes).decode("utf-8-sig"))))
    assert [row["file"] for row in table] == ["'=cmd|' /C calc'!A0.png", "'+1.png"]
    assert table[1]["error"] == "'-broken"
    assert float(table[0]["probability"]) == pytest.approx(answer.predictions[0].probability, abs=1e-4)
    assert rows(outcomes)[1]["label"] is None
    document = json.loads(to_json(outcomes))
    assert document[0]["predictions"][0] == answer.predictions[0].model_dump()
    assert "picture" not in document[0]
    assert document[1] == {"file": "+1.png", "error": "-broken"}


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx", "\nx"])
def test_a_text_that_begins_as_a_formula_is_made_inert(text):
    assert inert(text) == "'" + text


@pytest.mark.parametrize("value", [-0.25, 3, None, True, "a=1", ""])
def test_numbers_and_other_texts_stay(value):
    assert inert(value) is value


def test_the_samples_are_installed_and_can_be_read(settings):
    found = samples()
    assert len(found) == 6
    assert all(sample.path.stat().st_size > 10_000 for sample in found)
