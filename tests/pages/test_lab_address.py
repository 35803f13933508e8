"""The recipe that is being edited lives in the lab's address: reload, back and a sent link find it again."""

import pytest

from core.recipes import from_link, to_link
from pages._ui import recipe_address
from tests.pages.labs import app, lab_home, page, person, queued, texts

__all__ = ["lab_home"]
pytestmark = pytest.mark.usefixtures("lab_home")
PRUNED = {"steps": [{"step": "magnitude", "sparsity": 0.35}]}


def asked(test, name="recipe"):
    found = test.query_params.get(name, [])
    return found[-1] if isinstance(found, list) and found else found or ""


def opened(user="finch", **address):
    """Open the address in a session of its own, as a reload or another person does."""
    test = page("lab", user=user)
    test.query_params.update(address)
    return test.run()


def reloaded(test, user="finch"):
    return opened(user, **{name: asked(test, name) for name in test.query_params})


def walked(test, monkeypatch, **address):
    """Let the browser's back or forward lead to an address of this page."""
    test.query_params.clear()
    test.query_params.update(address)
    with monkeypatch.context() as patched:
        patched.setattr("pages._ui.address.went_back", lambda: True)
        return test.run()


def key(test, part):
    return next(b for b in test.button if part in (b.key or ""))


def kinds(test):
    return [step["step"] for step in test.session_state["secateur.steps"]]


def test_the_usual_recipe_needs_no_place_in_the_address():
    test = page("lab").run()
    usual = test.slider[0].value
    assert set(test.query_params) == {"model", "data"}
    test.slider[0].set_value(0.7).run()
    assert asked(test)
    test.slider[0].set_value(usual).run()
    assert "recipe" not in test.query_params


def test_an_edited_recipe_survives_a_reload_with_its_order_and_name():
    test = page("lab").run()
    key(test, "lab.preset_label-free").click().run()
    key(test, "lab.add_distill").click().run()
    test.slider[0].set_value(0.42).run()
    again = reloaded(test)
    assert not again.warning
    assert kinds(again) == kinds(test)
    assert again.slider[0].value == 0.42
    assert asked(again) == asked(test)


def test_a_preset_keeps_its_name():
    test = page("lab").run()
    key(test, "lab.preset_fastest-cpu").click().run()
    assert from_link(asked(test)).name == "Fastest on a CPU"
    assert reloaded(test).session_state["secateur.recipe_name"] == "Fastest on a CPU"


def test_a_recipe_that_cannot_work_yet_survives_as_well():
    test = page("lab").run()
    key(test, f"lab.{test.session_state['secateur.steps'][1]['uid']}.up").click().run()
    again = reloaded(test)
    assert kinds(again) == ["quantize", "reconstruction"]
    assert any("must be the last step" in e.value for e in again.error)


def test_an_edited_fork_can_be_sent_to_somebody_who_may_not_see_the_run():
    test = page("lab")
    run = queued(person(test), PRUNED)
    test.query_params["fork"] = run
    test.run()
    assert asked(test, "fork") == run
    assert "recipe" not in test.query_params
    test.slider[0].set_value(0.6).run()
    assert "fork" not in test.query_params
    other = reloaded(test, user="ada")
    assert not other.error
    assert (kinds(other), other.slider[0].value) == (["magnitude"], 0.6)


def test_the_same_fork_is_taken_again_where_it_is_asked_for_again():
    test = app("lab").run()
    run = queued(person(test), PRUNED)
    for edited in (0.6, 0.7):
        test.switch_page("pages/studio/models.py").run()
        test.query_params.clear()
        test.query_params["fork"] = run
        test.switch_page("pages/studio/lab.py").run()
        assert test.slider[0].value == 0.35
        test.slider[0].set_value(edited).run()
        assert "fork" not in test.query_params


def test_a_run_that_was_asked_for_before_the_last_edit_changes_nothing():
    test = page("lab").run()
    test.slider[0].set_value(0.7).run()
    old = asked(test)
    test.slider[0].set_value(0.8).run()
    test.query_params["recipe"] = old
    test.run()
    assert test.slider[0].value == 0.8
    assert from_link(asked(test)).steps[0].sparsity == 0.8


def test_back_and_forward_undo_and_redo_an_edit(monkeypatch):
    test = page("lab").run()
    usual = test.slider[0].value
    test.slider[0].set_value(0.7).run()
    first = asked(test)
    test.slider[0].set_value(0.8).run()
    second = asked(test)
    where = {"model": "digits", "data": "digits"}
    assert walked(test, monkeypatch, **where, recipe=first).slider[0].value == 0.7
    assert walked(test, monkeypatch, **where).slider[0].value == usual
    assert walked(test, monkeypatch, **where, recipe=second).slider[0].value == 0.8
    assert walked(test, monkeypatch).slider[0].value == 0.8
    assert asked(test) == second


def test_back_finds_the_model_and_the_images_again(monkeypatch):
    test = page("lab").run()
    next(s for s in test.selectbox if s.key == "lab.data").set_value("photos").run()
    walked(test, monkeypatch, model="digits", data="digits")
    assert next(s for s in test.selectbox if s.key == "lab.data").value == "digits"


@pytest.mark.parametrize("recipe", [
    "x", "%", "A" * 5000, to_link({"steps": []}), to_link({"steps": [{"step": "magnitude", "sparsity": 7}]}),
    to_link({"steps": [{"step": "<script>"}]}),
])
def test_a_recipe_that_cannot_be_read_is_one_warning(recipe):
    test = opened(recipe=recipe)
    assert not test.exception
    assert not test.error
    (warning,) = test.warning
    assert "The lab starts with its usual recipe" in warning.value
    assert kinds(test) == ["reconstruction", "quantize"]
    assert "recipe" not in test.query_params


def test_a_recipe_that_is_too_long_for_an_address_says_so_and_is_found_by_its_run(monkeypatch):
    monkeypatch.setattr(recipe_address, "MOST", 20)
    test = page("lab").run()
    assert "too long" not in texts(test)
    test.slider[0].set_value(0.7).run()
    assert "recipe" not in test.query_params
    assert "too long" in texts(test)
    next(b for b in test.button if b.label == "Run").click().run()
    again = page("lab", user="finch")
    again.session_state["secateur.token"] = test.session_state["secateur.token"]
    again.query_params["fork"] = asked(test, "fork")
    assert again.run().slider[0].value == 0.7
