
import pytest

from core.errors import BusyError
from core.experiments.estimates import History, estimate
from core.recipes import Step, load_recipe, register, setting
from core.recipes.step import REGISTRY
from pages._ui import services
from tests.pages.labs import RECORDS, app, finished, lab_home, page, person, queued, set_row, texts, waiting
from tests.unit.experiments.places import digits_zip

__all__ = ["lab_home"]
pytestmark = pytest.mark.usefixtures("lab_home")


def button(test, label):
    return next(b for b in test.button if b.label == label)


def keyed(test, part):
    return next(b for b in test.button if part in (b.key or ""))


def sliders(test):
    return {s.label: s for s in test.slider}


def figures(test):
    return {m.label: m.value for m in test.metric}


def test_the_empty_lab_says_what_to_do_and_the_sparsity_slider_comes_first():
    test = page("lab").run()
    assert not test.exception
    assert not test.error
    seen = texts(test)
    assert "not measured on these images yet" in seen
    assert "Press Run" in seen
    assert test.slider[0].label == "Sparsity"
    assert "no run on this model" in seen
    assert set(figures(test)) == {"Packed file (gzip)", "Right answers kept", "Times as fast", "Multiplications"}


def test_moving_the_slider_moves_the_estimate_and_queues_nothing():
    test = page("lab").run()
    before = figures(test)
    test.slider[0].set_value(0.9).run()
    after = figures(test)
    assert after["Packed file (gzip)"] != before["Packed file (gzip)"]
    assert all(value.startswith("≈") for name, value in after.items() if name != "Multiplications")
    assert waiting(test) == []


def test_run_queues_the_recipe_on_the_screen_with_its_estimate():
    test = page("lab").run()
    test.slider[0].set_value(0.7).run()
    button(test, "Run").click().run()
    assert not test.exception
    (run,) = waiting(test)
    assert run.status == "queued"
    assert run.request.recipe["steps"][0]["sparsity"] == 0.7
    assert run.estimate["gzip_bytes"]["low"] < run.estimate["gzip_bytes"]["value"]
    assert "Under way" in texts(test)


def test_a_sweep_queues_one_run_for_each_value():
    test = page("lab").run()
    keyed(test, "lab.sweep_now").click().run()
    assert not test.exception
    sparsities = [run.request.recipe["steps"][0]["sparsity"] for run in waiting(test)]
    assert sorted(sparsities) == [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def test_a_sweep_without_end_is_refused():
    test = page("lab").run()
    next(n for n in test.number_input if "sweep_by" in n.key).set_value(0.001).run()
    assert any("1 to 20" in w.value for w in test.warning)
    assert not any("sweep_now" in (b.key or "") for b in test.button)


def test_progress_shows_the_stage_survives_a_reload_and_can_be_cancelled():
    test = page("lab").run()
    run = queued(person(test))
    set_row(run, status="running", stage="Measuring", fraction=0.8, seconds_left=12.0, attempt=1)
    other = queued(person(test))
    test.run()
    assert "Under way** (2)" in texts(test)
    keyed(test, f"progress.cancel.{run}").click().run()
    keyed(test, f"progress.cancel.{other}").click().run()
    assert services.experiments().run(person(test), other).status == "cancelled"
    assert not test.exception


def test_a_failed_run_says_why_in_its_own_sentence():
    test = app("lab").run()
    run = queued(person(test))
    from core.database import now

    set_row(run, status="failed", finished_at=now(), error={"message": "The disk refused: {reason}. Free some space "
                                                            "and run it again.", "parameters": {"reason": "full"}})
    test.run()
    assert any("The disk refused" in e.value and "full" in e.value for e in test.error)


def test_finished_runs_become_charts_a_baseline_and_better_estimates():
    test = page("lab").run()
    for record in RECORDS:
        finished(person(test), record)
    test.run()
    assert not test.exception
    assert not test.error
    seen = texts(test)
    assert "99\\.2\\% right" in seen
    assert f"({len(RECORDS)})" in seen.replace("\\", "")
    assert "Click a point" in seen
    assert {"Right answers", "Time per image"} <= set(figures(test))
    for view in ("latency", "sparsity"):
        next(c for c in test.segmented_control if c.key == "lab.view").set_value(view).run()
        assert not test.exception
        assert not test.error


def test_a_wish_names_the_best_run_that_passes():
    test = page("lab").run()
    for record in RECORDS:
        finished(person(test), record)
    test.run()
    wish = next(s for s in test.selectbox if s.key == "lab.wish")
    wish.set_value("points").run()
    assert any("is best" in s.value and "points lost" in s.value for s in test.success)
    next(n for n in test.number_input if n.key == "lab.bound.points").set_value(0.0).run()
    next(s for s in test.selectbox if s.key == "lab.wish").set_value("faster").run()
    next(n for n in test.number_input if n.key == "lab.bound.faster").set_value(1000.0).run()
    assert any("no measured run passes" in w.value for w in test.warning)
    assert not test.exception


def test_every_chart_has_a_table_of_its_points():
    test = page("lab").run()
    finished(person(test), RECORDS[0])
    test.run()
    next(t for t in test.toggle if t.key == "lab.gzip_mb.quality.table").set_value(True).run()
    table = next(d.value for d in test.dataframe if "Standing" in d.value.columns)
    assert table["Standing"].tolist() == ["on the front", "estimate"]
    assert not test.exception


def test_estimates_are_shown_beside_measurements(lab_home):
    from core.experiments.profiles import profile

    test = page("lab").run()
    model = profile(services.library().artifact("digits"), lab_home / "cache")
    told = estimate(model, load_recipe(RECORDS[0]["recipe"]), History())
    finished(person(test), RECORDS[0], told.model_dump(mode="json", exclude={"layers"}))
    test.run()
    assert "of 3 measurements fell into the range" in texts(test)
    assert not test.exception


def test_steps_are_added_moved_and_removed():
    test = page("lab").run()
    kinds = lambda: [s["step"] for s in test.session_state["secateur.steps"]]  # noqa: E731
    assert kinds() == ["reconstruction", "quantize"]
    keyed(test, "lab.add_distill").click().run()
    assert kinds() == ["reconstruction", "distill", "quantize"]
    uid = test.session_state["secateur.steps"][1]["uid"]
    keyed(test, f"lab.{uid}.up").click().run()
    assert kinds() == ["distill", "reconstruction", "quantize"]
    keyed(test, f"lab.{uid}.remove").click().run()
    keyed(test, "lab.preset_fastest-cpu").click().run()
    assert kinds() == ["quantize"]
    uid = test.session_state["secateur.steps"][0]["uid"]
    keyed(test, f"lab.{uid}.remove").click().run()
    assert "has no step yet" in texts(test)
    assert button(test, "Run").disabled
    assert not test.exception


def test_an_impossible_recipe_is_refused_with_the_nearest_that_works():
    test = page("lab").run()
    uid = test.session_state["secateur.steps"][1]["uid"]
    keyed(test, f"lab.{uid}.up").click().run()
    assert any("must be the last step" in e.value for e in test.error)
    assert button(test, "Run").disabled
    button(test, "Take the nearest recipe that works").click().run()
    assert not test.error
    assert not button(test, "Run").disabled


@pytest.mark.parametrize(("text", "words"), [
    ("steps: [{step: magnitud}]", "Did you mean"),
    ("steps: [{step: magnitude, sparsity: 7}]", "at most"),
    ("a: &x [*x]", "alias"),
    ("{{{", "not readable YAML"),
    ("", "mapping"),
])
def test_yaml_that_cannot_be_used_is_one_sentence_and_changes_nothing(text, words):
    test = page("lab").run()
    before = test.session_state["secateur.steps"]
    test.text_area[0].set_value(text).run()
    button(test, "Use this text").click().run()
    assert not test.exception
    assert len(test.error) == 1
    assert words in test.error[0].value
    assert test.session_state["secateur.steps"] == before


def test_yaml_becomes_the_form():
    test = page("lab").run()
    test.text_area[0].set_value("name: mine\nsteps:\n- {step: magnitude, sparsity: 0.25}\n").run()
    button(test, "Use this text").click().run()
    assert not test.error
    assert test.slider[0].value == 0.25
    button(test, "Run").click().run()
    assert waiting(test)[0].name == "mine"


def test_a_layers_share_can_be_set_by_hand():
    test = page("lab").run()
    uid = test.session_state["secateur.steps"][0]["uid"]
    steps = test.session_state["secateur.steps"]
    test.session_state["secateur.steps"] = (
        {**steps[0], "allocation": {"dense": 0.9, "conv3": 0.2}}, *steps[1:])
    test.run()
    assert not test.error
    own = next(s for s in test.selectbox if f"lab.{uid}.allocation" in s.key)
    assert "layer by layer" in own.options[0]
    button(test, "Run").click().run()
    assert waiting(test)[0].request.recipe["steps"][0]["allocation"] == {"dense": 0.9, "conv3": 0.2}


def test_a_zip_of_images_is_checked_stored_and_chosen():
    test = page("lab").run()
    test.file_uploader[0].set_value(("numbers.zip", digits_zip(), "application/zip")).run()
    assert not test.exception
    (upload,) = services.uploads().uploads(person(test))
    assert next(s for s in test.selectbox if s.key == "lab.data").value == upload.spec
    button(test, "Run").click().run()
    assert waiting(test)[0].request.data == upload.spec


@pytest.mark.parametrize("content", [b"", b"no zip at all", digits_zip(broken="bad.png")])
def test_a_zip_that_cannot_be_used_is_one_sentence(content):
    test = page("lab").run()
    test.file_uploader[0].set_value(("set.zip", content, "application/zip")).run()
    assert not test.exception
    assert len(test.error) == 1
    assert services.uploads().uploads(person(test)) == []


def test_calibration_images_can_come_from_another_set():
    test = page("lab").run()
    test.file_uploader[0].set_value(("numbers.zip", digits_zip(), "application/zip")).run()
    (upload,) = services.uploads().uploads(person(test))
    next(s for s in test.selectbox if s.key == "lab.data").set_value("digits").run()
    chosen = next(s for s in test.selectbox if s.key == "lab.calibration.digits")
    assert "digits" not in [option.partition(":")[0] for option in chosen.options]
    chosen.set_value(upload.spec).run()
    button(test, "Run").click().run()
    assert not test.exception
    (run,) = waiting(test)
    assert run.request.calibration == upload.spec
    with pytest.raises(BusyError, match="not finished"):
        services.uploads().delete(person(test), upload.spec)


def test_a_reload_after_a_run_finds_the_recipe_again():
    test = page("lab").run()
    test.slider[0].set_value(0.7).run()
    button(test, "Run").click().run()
    again = page("lab", user="finch")
    again.query_params.update(test.query_params)
    again.run()
    assert again.slider[0].value == 0.7


def test_addresses_choose_model_data_and_a_recipe_to_start_from():
    test = page("lab")
    run = queued(person(test), {"steps": [{"step": "magnitude", "sparsity": 0.35}]})
    test.query_params.update({"model": "digits", "data": "photos", "fork": run})
    test.run()
    assert not test.error
    assert test.slider[0].value == 0.35
    assert next(s for s in test.selectbox if s.key == "lab.data").value == "photos"
    test.slider[0].set_value(0.6).run()
    assert test.slider[0].value == 0.6


@pytest.mark.parametrize("address", [{"model": "../x"}, {"data": "/etc"}, {"data": "upload:1"}, {"fork": "nothing"}])
def test_addresses_that_mean_nothing_do_no_harm(address):
    test = page("lab")
    test.query_params.update(address)
    test.run()
    assert not test.exception
    assert test.slider[0].label == "Sparsity"


def test_another_persons_runs_and_recipes_do_not_exist():
    other = page("lab", user="ada").run()
    run = finished(person(other), RECORDS[0])
    test = page("lab")
    test.query_params["fork"] = run
    test.run()
    assert any("no run" in e.value for e in test.error)
    assert "Press Run" in texts(test)


def test_a_visitor_sees_the_sign_in_form_instead():
    from streamlit.testing.v1 import AppTest

    from tests.pages.studio import ROOT

    test = AppTest.from_file(str(ROOT / "pages/studio/lab.py"), default_timeout=60).run()
    assert not test.slider
    assert "Lab" not in [t.value for t in test.title]


def test_the_quota_is_one_sentence(monkeypatch):
    monkeypatch.setenv("SECATEUR_QUOTAS__QUEUED_RUNS", "1")
    services.forget()
    test = page("lab").run()
    button(test, "Run").click().run()
    button(test, "Run").click().run()
    assert any("may have 1" in e.value for e in test.error)
    assert len(waiting(test)) == 1


def test_the_example_is_queued_once(monkeypatch):
    monkeypatch.setenv("SECATEUR_JOBS__EXAMPLE", "true")
    services.forget()
    test = page("lab").run()
    test.run()
    assert not test.exception
    assert len(services.experiments().example()) == 3
    assert waiting(test) == []


def test_french():
    test = page("lab", language="fr").run()
    assert not test.exception
    assert not test.error


def test_a_new_method_appears_in_the_form_without_touching_the_page():
    @register
    class Sand(Step):
        kind = "sand"
        title = "Sanding"
        help = words = "Sand the weights"

        grit: int = setting(80, title="Grit", help="Of the paper.", ge=8, le=3000)
        wet: bool = setting(False, title="Wet", help="With water.", advanced=True)

    try:
        test = page("lab").run()
        keyed(test, "lab.add_sand").click().run()
        assert not test.exception
        assert any(n.label == "Grit" for n in test.number_input)
        assert any(t.label == "Wet" for t in test.toggle)
        assert "sand is not foreseen" in texts(test)
    finally:
        del REGISTRY["sand"]


def bomb() -> bytes:
    """Return a small zip that unpacks to a picture-named gigabyte."""
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("0/a.png", "w") as member:
        for _ in range(300):
            member.write(bytes(1_000_000))
    return buffer.getvalue()


def without_images() -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("notes.txt", "nothing to see")
    return buffer.getvalue()


@pytest.mark.parametrize("content", [bomb, without_images, lambda: digits_zip(per_class=1, classes=1)],
                         ids=["bomb", "no images", "one image"])
def test_a_zip_that_is_no_set_of_images_is_one_sentence_and_nothing_is_kept(content):
    test = page("lab").run()
    test.file_uploader[0].set_value(("set.zip", content(), "application/zip")).run()
    assert not test.exception
    assert len(test.error) == 1
    assert services.uploads().uploads(person(test)) == []
    assert test.slider[0].label == "Sparsity"


def test_an_upload_deleted_in_another_window_is_one_sentence_at_the_run(lab_home):
    test = page("lab").run()
    test.file_uploader[0].set_value(("numbers.zip", digits_zip(), "application/zip")).run()
    (upload,) = services.uploads().uploads(person(test))
    services.uploads().delete(person(test), upload.spec)
    test.run()
    assert not test.exception
    assert next(s for s in test.selectbox if s.key == "lab.data").value == "digits"
