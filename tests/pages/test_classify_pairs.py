"""A compact model beside the one that it was made from, on the same photos."""

import pytest

from pages._ui import services
from tests.finished import made
from tests.pages.runs import keep, member, visit
from tests.pages.studio import COFFEE, page, texts

__all__ = ["made"]
pytestmark = pytest.mark.usefixtures("studio_home")


def dropped(test, *photos):
    return test.file_uploader(key="classify.files").set_value(
        [(name, data, "image/png") for name, data in photos]).run()


def test_the_original_itself_has_nothing_to_be_compared_with():
    assert not page("classify").run().toggle


def test_a_compact_form_stands_beside_the_original_with_both_times_and_sizes():
    test = page("classify").run()
    test.segmented_control(key="classify.form").set_value("int8").run()
    test.toggle(key="classify.beside").set_value(True).run()
    dropped(test, ("cup.png", COFFEE))
    assert not test.exception
    seen = texts(test)
    assert [c.value for c in test.caption if c.value in ("Original", "This model")] == ["Original", "This model"]
    assert "Same best class on 1 of 1 photos" in seen
    assert "Full precision" in seen
    assert "Compact" in seen
    test.toggle(key="classify.beside").set_value(False).run()
    assert "Original" not in [c.value for c in test.caption]


def test_a_photo_that_cannot_be_read_says_so_under_both():
    test = page("classify")
    test.query_params.update({"form": "int8", "beside": "yes"})
    dropped(test.run(), ("bad.png", b"nothing"))
    assert not test.exception
    assert len(test.error) == 2


def test_a_runs_model_is_offered_beside_its_baseline(made):
    who = member()
    (run_id,) = keep(who, made[0])
    run = services.experiments().run(who.principal, run_id)
    services.serving().serve(who.principal, run, services.experiments().file(who.principal, run_id, "model.tflite"))
    services.shelf().forget()
    app = visit("classify", who, model=f"digits-{run_id[:8]}", beside="yes")
    assert not app.exception
    assert app.toggle(key="classify.beside").value
    dropped(app, ("cup.png", COFFEE))
    assert "Same best class on" in texts(app).replace("\\\\", "")
