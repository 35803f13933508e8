"""A run's page in every state, and for everybody who may and may not see it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.errors import AccessError
from core.experiments.report import report
from pages._ui import services
from tests.finished import store_unfinished
from tests.pages.runs import keep, member, seen, visit

pytestmark = pytest.mark.usefixtures("runs_home")
SECTIONS = ("overview", "accuracy", "layers", "images", "files")


@pytest.mark.parametrize(("section", "language"), [*((section, "en") for section in SECTIONS), ("overview", "fr")])
def test_every_section_of_a_finished_run_shows(made, section, language):
    who = member(language=language)
    (run_id,) = keep(who, made[1])
    app = visit("run", who, language, id=run_id, view=section)
    assert not app.exception
    assert not app.error
    assert "a quarter away" in seen(app)


def test_the_overview_says_what_the_figures_mean(made):
    who = member()
    (run_id,) = keep(who, made[0])
    text = seen(visit("run", who, id=run_id))
    for words in ("Top-1 accuracy", "3.6", "points", "gzip -9", "zstd -19", "Entropy bound",
                  "Will it run faster", "The file that ships has", "step: quantize", "Multiply-accumulates"):
        assert words in text, words


def test_the_gallery_shows_pictures_with_both_answers_and_maps_on_demand(made):
    who = member()
    (run_id,) = keep(who, made[1])
    app = visit("run", who, id=run_id, view="images")
    text = seen(app)
    assert "Right class" in text
    assert "Baseline" in text
    images = len(app.get("image"))
    assert images >= 1
    look = next(toggle for toggle in app.toggle if toggle.key.startswith("run.look_"))
    look.set_value(True).run()
    assert not app.exception
    assert len(app.get("image")) == images + 2


@pytest.mark.parametrize(("stage", "right", "wrong"), [
    ("trial", "validation image", "test image"), ("finalist", "test image", "validation image"),
])
@pytest.mark.parametrize("number", [0, 1], ids=["good", "spoiled"])
def test_the_page_and_the_report_of_a_search_say_which_images_their_figures_are_of(made, stage, right, wrong, number):
    who = member()
    staged = replace(made[number], record={**made[number].record, "stage": stage})
    (run_id,) = keep(who, staged)
    figures = visit("run", who, id=run_id)
    assert f"Measured on 360 {right}s" in seen(figures)
    gallery = visit("run", who, id=run_id, view="images")
    said = seen(gallery) + "".join(image.proto.imgs[0].alt for image in gallery.get("image"))
    assert not gallery.exception
    assert right in said.lower()
    assert wrong not in said.lower()
    run = services.experiments().run(who.principal, run_id)
    details = json.loads(services.experiments().file(who.principal, run_id, "details.json").read_text("utf-8"))
    written = report(run, details, "en", None)
    assert f"Measured on 360 {right}s" in written
    assert wrong not in written.lower().replace("keeps its test images for its finalists", "")


def test_without_a_flip_the_gallery_says_so(made):
    who = member()
    good = made[0]
    (run_id,) = keep(who, good)
    app = visit("run", who, id=run_id, view="images")
    changed = good.record["comparison"]["agreement"] < 1
    assert bool(app.success) is not changed


def test_data_that_is_gone_leaves_the_answers(made):
    who = member()
    (run_id,) = keep(who, made[1], request={
        "model": "digits", "data": "upload:00000000-0000-4000-8000-000000000000", "seed": 0,
        "recipe": made[1].record["recipe"]})
    app = visit("run", who, id=run_id, view="images")
    assert not app.exception
    assert "not there any more" in seen(app)
    assert "Right class" in seen(app)
    assert not app.get("image")


@pytest.mark.parametrize(("status", "fields", "words"), [
    ("queued", {}, "Waiting"),
    ("running", {"stage": "Measuring", "fraction": 0.42, "seconds_left": 200.0}, "Measuring"),
    ("interrupted", {}, "Interrupted"),
    ("cancelled", {}, "was cancelled"),
    ("failed", {"error": {"message": "The disk refused: {reason}. Free some space and run it again.",
                          "parameters": {"reason": "*full*"}}}, "The disk refused: *full*"),
    ("failed", {"log": "Traceback: somewhere deep"}, "somewhere deep"),
])
def test_a_run_without_a_result_says_where_it_stands(made, status, fields, words):
    who = member()
    run_id = store_unfinished(services.engine(), who.principal.user_id, made[0], status, **fields)
    app = visit("run", who, id=run_id)
    assert not app.exception
    progress = "".join(str(element.proto) for element in app.get("progress"))
    assert words in seen(app) + progress
    assert "Figures" not in seen(app)


def test_cancelling_a_waiting_run_ends_it(made):
    who = member()
    run_id = store_unfinished(services.engine(), who.principal.user_id, made[0], "queued")
    app = visit("run", who, id=run_id)
    app.button(key="run.cancel").click().run()
    assert services.experiments().run(who.principal, run_id).status == "cancelled"


@pytest.mark.parametrize("address", ["", "x", "0" * 36, "../../etc/passwd", "%' OR 1=1 --", "a" * 5000, "\x00\u202e",
                                     "[x](http://canary.example)", "______", "%%%%%%"])
def test_a_malformed_id_is_not_found_and_the_page_lives(address):
    app = visit("run", member(), id=address)
    assert not app.exception
    assert len(app.error) == 1
    assert "There is no run" in app.error[0].value
    assert "](" not in app.error[0].value


def test_somebody_elses_run_looks_like_one_that_does_not_exist(made):
    (run_id,) = keep(member(), made[0])
    app = visit("run", member("finch"), id=run_id)
    missing = visit("run", member("wren"), id="f" * 36)
    assert app.error[0].value.replace(run_id.replace("-", "\\-"), "") == missing.error[0].value.replace("f" * 36, "")
    assert not app.title


def test_a_run_deleted_while_its_page_is_open_leaves_one_sentence(made):
    who = member()
    (run_id,) = keep(who, made[0])
    app = visit("run", who, id=run_id)
    services.experiments().delete(who.principal, run_id)
    app.run()
    assert not app.exception
    assert len(app.error) == 1


def test_a_link_shows_the_run_to_a_visitor_until_it_is_revoked(made):
    who = member()
    (run_id, other) = keep(who, *made)
    token = services.sharing().share(who.principal, [run_id])
    for section in SECTIONS:
        app = visit("run", None, share=token, view=section)
        assert not app.exception
        assert not app.error
        assert "whole int8" in seen(app)
        forbidden = ("run.delete", "run.archive", "run.share", "run.serve")
        assert not [button.key for button in app.button if button.key.startswith(forbidden)]
    assert "whole int8" in seen(visit("run", None, share=token, run=other))
    (link,) = services.sharing().links(who.principal, [run_id])
    services.sharing().revoke(who.principal, link.id)
    app = visit("run", None, share=token)
    assert "leads nowhere" in app.error[0].value
    assert "whole int8" not in seen(app)


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "é" * 43, "%" * 43])
def test_a_made_up_link_leads_nowhere(token):
    app = visit("run", None, share=token)
    assert not app.exception
    assert "leads nowhere" in app.error[0].value


def test_a_link_is_made_shown_once_and_revoked_from_the_page(made):
    who = member()
    (run_id,) = keep(who, made[0])
    app = visit("run", who, id=run_id)
    app.button(key="run.share").click().run()
    (link,) = [code.value for code in app.code if "share=" in code.value]
    token = link.partition("share=")[2]
    assert services.sharing().shared(token)[0].id == run_id
    app.run()
    assert not [code.value for code in app.code if "share=" in code.value]
    next(b for b in app.button if b.key.startswith("run.revoke_")).click().run()
    assert not services.sharing().links(who.principal, [run_id])


def test_a_run_is_renamed_tagged_and_annotated(made):
    who = member()
    (run_id,) = keep(who, made[0])
    app = visit("run", who, id=run_id)
    app.text_input(key="run.name").input("for *the* paper")
    app.text_area(key="run.notes").input("look at class 8")
    next(b for b in app.button if b.label == "Save").click().run()
    assert not app.exception
    assert app.title[0].value == "for \\*the\\* paper"
    assert services.listing().notes(who.principal, run_id).notes == "look at class 8"


def test_archiving_and_deleting(made):
    who = member()
    (run_id,) = keep(who, made[0])
    app = visit("run", who, id=run_id)
    app.button(key="run.archive").click().run()
    assert services.listing().notes(who.principal, run_id).archived
    app.checkbox(key="run.sure").check().run()
    app.button(key="run.delete").click().run()
    assert not app.exception
    assert app.title[0].value == "Experiments"


def test_a_run_is_served_to_its_owner_alone(made):
    who, other = member(), member("finch")
    (run_id,) = keep(who, made[0])
    app = visit("run", who, id=run_id, view="files")
    app.button(key="run.serve").click().run()
    assert not app.exception
    name = f"digits-{run_id[:8]}"
    assert name in visit("classify", who).selectbox(key="classify.model").options or \
        "whole int8" in str(visit("classify", who).selectbox(key="classify.model").options)
    assert "whole int8" not in str(visit("classify", other).selectbox(key="classify.model").options)
    assert name not in seen(visit("models", other))
    services.accounts().delete_account(who.principal, "seven green boats over water")
    assert name not in services.library().names()


def test_a_session_that_ended_can_change_nothing_by_a_button(made):
    who = member()
    (run_id,) = keep(who, made[0])
    app = visit("run", who, id=run_id)
    button = app.button(key="run.share")
    services.accounts().sign_out(who.principal)
    button.click().run()
    assert not app.exception
    with pytest.raises(AccessError):
        services.sharing().links(who.principal, [run_id])


@pytest.mark.parametrize("drawn", ["weights", "time", "sensitivity"])
def test_layers_are_drawn_by_weights_time_and_sensitivity(made, drawn):
    import json
    from pathlib import Path

    records = json.loads((Path(__file__).parents[1] / "unit/experiments/digits_records.json").read_text("utf-8"))
    who = member()
    measured = type(made[0])({**made[0].record, "steps": records[0]["steps"]}, made[0].files)
    (run_id,) = keep(who, measured)
    app = visit("run", who, id=run_id, view="layers")
    app.segmented_control(key="run.layers_of").set_value(drawn).run()
    assert not app.exception
    assert not app.error
    text = seen(app)
    assert ("An estimate: the measured time" in text) is (drawn == "time")
    assert ("half of one layer alone" in text) is (drawn == "sensitivity")
    assert "≈" in text


def test_every_chart_of_a_run_has_a_table_and_three_downloads(made):
    who = member()
    (run_id,) = keep(who, made[1])
    for section, names in (("accuracy", ("run.top1", "run.confusion", "run.reliability")),
                           ("layers", ("run.layer_weights", "run.histogram"))):
        app = visit("run", who, id=run_id, view=section)
        for name in names:
            before = len(app.dataframe)
            app.toggle(key=f"{name}.table").set_value(True).run()
            assert not app.exception
            assert len(app.dataframe) == before + 1
            kinds = {b.proto.label for b in app.get("download_button") if f"-{name}." in b.proto.id}
            assert kinds == {"PNG", "SVG", "CSV"}


def test_the_model_in_another_format_is_made_on_demand(made):
    import time

    who = member()
    (run_id,) = keep(who, made[1])
    app = visit("run", who, id=run_id, view="files")
    app.button(key="run.make_onnx").click().run()
    assert not app.exception
    assert app.get("progress")
    until = time.monotonic() + 120
    while app.get("progress") and time.monotonic() < until:
        time.sleep(0.5)
        app.run()
    assert any("run.export_onnx" in b.proto.id for b in app.get("download_button"))
    assert "same answers" in seen(app)
    stranger = visit("run", None, share=services.sharing().share(who.principal, [run_id]), view="files")
    assert not [b.key for b in stranger.button if "run.make" in (b.key or "")]


def test_a_worker_that_died_leaves_one_sentence_and_its_log(made):
    who = member()
    run_id = store_unfinished(services.engine(), who.principal.user_id, made[0], "failed", log="somewhere deep", error={
        "message": "The process ended unexpectedly (code {code}). The log of the run says more.",
        "parameters": {"code": -11}})
    app = visit("run", who, id=run_id)
    assert not app.exception
    assert len(app.error) == 1
    assert "somewhere deep" in seen(app)
    stranger = visit("run", member("finch"), id=run_id)
    assert "somewhere deep" not in seen(stranger)
