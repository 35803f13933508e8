import csv
import io
import json

import pytest

from core.accounts import LOCAL
from core.inference import samples
from pages._ui import services
from pages._ui.answers import classification
from tests.pages.studio import CAT, COFFEE, page, texts

pytestmark = pytest.mark.usefixtures("studio_home")


def uploads(*photos):
    return [(name, data, "image/png") for name, data in photos]


def test_the_empty_page_invites_and_promises_that_photos_are_not_stored():
    test = page("classify").run()
    assert not test.exception
    assert "What is in the photo?" in texts(test)
    assert "never stored" in texts(test)
    assert test.button_group(key="classify.sample").options == [sample.title for sample in samples()]
    assert not test.get("vega_lite_chart")
    assert not test.get("arrow_vega_lite_chart")


def test_a_photo_is_named_in_plain_words_with_its_times_and_the_file():
    test = page("classify").run()
    test.file_uploader(key="classify.files").set_value(uploads(("cup.png", COFFEE))).run()
    assert not test.exception
    seen = texts(test)
    assert "certainly: **espresso** (9" in seen
    assert "EfficientNet" in seen
    assert "Full precision" in seen
    assert "18\\.6" in seen
    assert not test.dataframe


def test_a_photo_without_a_clear_answer_is_called_unsure():
    test = page("classify").run()
    test.file_uploader(key="classify.files").set_value(uploads(("cat.png", CAT))).run()
    assert "Not sure. Best guess: **" in texts(test)
    assert any("No class stands out" in box.value for box in test.info)


def test_the_map_of_where_the_model_looked_comes_on_demand():
    test = page("classify").run()
    test.file_uploader(key="classify.files").set_value(uploads(("cup.png", COFFEE))).run()
    assert "Each of" not in texts(test)
    test.toggle[0].set_value(True).run()
    assert not test.exception
    assert "parts was hidden in turn" in texts(test)
    assert "**espresso**" in texts(test)


def test_bad_files_get_one_sentence_each_and_the_others_their_answer():
    test = page("classify").run()
    test.file_uploader(key="classify.files").set_value(uploads(
        ("cup.png", COFFEE), ("empty.png", b""), ("half.png", COFFEE[:2000]),
        ("cat\u202egnp.[x](http://h).png", CAT), ("drawing.png", b"<svg onload='alert(1)'/>"))).run()
    assert not test.exception
    seen = texts(test)
    assert len(test.error) == 3
    assert any("empty" in box.value for box in test.error)
    assert any("half" in box.value and "damaged" in box.value for box in test.error)
    assert any("SVG" in box.value for box in test.error)
    assert "**espresso**" in seen
    assert "Best guess" in seen
    assert "\u202e" not in seen
    assert "[x](http" not in seen
    table = test.dataframe[0].value
    assert list(table["label"] != "") == [True, False, False, True, False]
    assert table["error"].astype(bool).sum() == 3


def test_a_photo_over_the_limit_is_refused_by_the_service_too(monkeypatch):
    monkeypatch.setenv("SECATEUR_LIMITS__PHOTO_MB", "0.1")
    services.forget()
    test = page("classify").run()
    test.file_uploader(key="classify.files").set_value(uploads(("cup.png", COFFEE))).run()
    assert any("at most 0\\.1 MB" in box.value for box in test.error)


def test_more_photos_than_a_batch_holds_are_cut_with_a_warning(monkeypatch):
    monkeypatch.setenv("SECATEUR_LIMITS__PHOTOS_PER_BATCH", "1")
    services.forget()
    test = page("classify").run()
    test.file_uploader(key="classify.files").set_value(uploads(("a.png", COFFEE), ("b.png", CAT))).run()
    assert any("Only the first 1" in box.value for box in test.warning)
    assert "**espresso**" in texts(test)
    assert "Best guess" not in texts(test)


def test_a_sample_answers_with_one_click_and_the_compact_form_agrees():
    test = page("classify").run()
    test.button_group(key="classify.sample").set_value("coffee").run()
    assert "**espresso**" in texts(test)
    test.button_group(key="classify.form").set_value("int8").run()
    assert not test.exception
    assert "**espresso**" in texts(test)
    assert "Compact" in texts(test)


def test_a_link_chooses_the_model():
    test = page("classify")
    test.query_params["model"] = "digits"
    test.run()
    assert test.selectbox(key="classify.model").value == "digits"
    test.button_group(key="classify.sample").set_value("coffee").run()
    assert not test.exception
    assert "espresso" not in texts(test)
    assert "0\\.3" in texts(test) or "305" in texts(test)


def test_a_link_that_names_nothing_known_opens_the_default():
    test = page("classify")
    test.query_params["model"] = "../../etc/passwd"
    test.query_params["form"] = "int4"
    test.run()
    assert not test.exception
    assert test.selectbox(key="classify.model").value == "efficientnet-lite0"
    assert "model" not in test.query_params


def test_the_choice_is_kept_in_the_address():
    test = page("classify").run()
    test.button_group(key="classify.form").set_value("int8").run()
    assert test.query_params["form"] == "int8"


def test_a_model_without_weights_says_how_to_add_them():
    test = page("classify")
    test.query_params["model"] = "suspect-detection"
    test.run()
    assert not test.exception
    assert any("waiting for its weights" in box.value for box in test.info)
    assert not test.file_uploader


def test_models_that_are_not_prepared_show_progress_instead(studio_home, monkeypatch):
    started = []
    monkeypatch.setattr("pages._ui.model_choice.prepare", started.append)
    (studio_home / "models").unlink()
    test = page("classify").run()
    assert not test.exception
    assert any("being prepared" in box.value for box in test.info)
    assert not test.file_uploader
    assert started == ["efficientnet-lite0"]


def test_french():
    test = page("classify", language="fr").run()
    test.button_group(key="classify.sample").set_value("coffee").run()
    assert not test.exception
    seen = texts(test)
    assert "**expresso** (95\N{NO-BREAK SPACE}\\%)" in seen
    assert "18\\,6" in seen
    assert "Mo" in seen


def test_a_session_that_ended_elsewhere_gets_no_answer_from_an_open_page():
    test = page("classify").run()
    accounts = services.accounts()
    principal = accounts.principal_of(test.session_state["secateur.token"])
    accounts.sign_out(principal)
    test.button_group(key="classify.sample").set_value("coffee").run()
    assert "espresso" not in texts(test)
    assert "What is in the photo?" not in texts(test)


def test_the_downloads_are_a_spreadsheet_without_formulas_and_the_command_lines_json():
    from core.inference import to_csv, to_json

    answer = classification().classify(LOCAL, COFFEE, "efficientnet-lite0")
    evil = answer.model_copy(update={"predictions": [
        answer.predictions[0].model_copy(update={"label": "@SUM(1)"}), *answer.predictions[1:]]})
    outcomes = [("=1+1.png", answer), ("x.png", evil), ("-2.png", "+broken"), ("\tx", "no")]
    table = list(csv.DictReader(io.StringIO(to_csv(outcomes).decode("utf-8-sig"))))
    assert [row["file"] for row in table] == ["'=1+1.png", "x.png", "'-2.png", "'\tx"]
    assert table[1]["label"] == "'@SUM(1)"
    assert table[2]["error"] == "'+broken"
    assert 0.9 < float(table[0]["probability"]) <= 1
    document = json.loads(to_json(outcomes))
    assert document[0]["file"] == "=1+1.png"
    assert set(document[0]) >= {"model", "predictions", "preprocess_ms", "inference_ms", "model_bytes"}
    assert len(document[0]["predictions"]) == 5
    assert document[2] == {"file": "-2.png", "error": "+broken"}


def test_nothing_of_a_photo_reaches_the_disk(studio_home):
    before = {path for path in studio_home.rglob("*") if path.is_file()}
    test = page("classify").run()
    written = {path for path in studio_home.rglob("*") if path.is_file()}
    test.file_uploader(key="classify.files").set_value(uploads(("cup.png", COFFEE))).run()
    assert "**espresso**" in texts(test)
    after = {path for path in studio_home.rglob("*") if path.is_file()}
    assert before <= written
    assert {path.name for path in after - written} <= {"secateur.db-wal", "secateur.db-shm"}
    assert not any(COFFEE[100:164] in path.read_bytes() for path in after if "secateur" in path.name)
