"""The experiments page: empty, listed, filtered, compared, shared, forbidden."""

from __future__ import annotations

import pytest

from pages._ui import services
from tests.finished import store_unfinished
from tests.pages.runs import keep, member, seen, visit

pytestmark = pytest.mark.usefixtures("runs_home")


def names(app):
    """Return the names of the runs in the table."""
    return list(app.get("arrow_data_frame")[0].value["name"]) if app.get("arrow_data_frame") else []


def listed(app):
    """Return the text of the caption that counts runs."""
    return next((c.value for c in app.caption if c.value.startswith("Runs ")), "")


def test_without_runs_the_page_says_what_to_do_next():
    app = visit("experiments", member())
    assert not app.exception
    assert "You have no runs yet" in app.info[0].value


def test_runs_of_every_state_are_listed_and_filtered_by_the_address(made):
    who = member()
    keep(who, *made)
    store_unfinished(services.engine(), who.principal.user_id, made[0], "queued")
    assert listed(visit("experiments", who)) == "Runs 1 to 3 of 3"
    assert listed(visit("experiments", who, words="quarter")) == "Runs 1 to 1 of 1"
    assert listed(visit("experiments", who, status="queued")) == "Runs 1 to 1 of 1"
    assert listed(visit("experiments", who, method="quantize", smaller="2")) == "Runs 1 to 1 of 1"
    assert "No run passes" in visit("experiments", who, words="nothing like it").info[0].value


@pytest.mark.parametrize("query", [
    {"page": "-1"}, {"page": "99999999999999999999"}, {"page": "١"}, {"status": "dead"}, {"order": "'; DROP"},
    {"lost": "nan"}, {"smaller": "inf"}, {"faster": "-3"}, {"words": "%_\\"}, {"model": "x" * 3000},
])
def test_odd_addresses_leave_the_page_alive(made, query):
    who = member()
    keep(who, made[0])
    app = visit("experiments", who, **query)
    assert not app.exception
    assert not app.error


def test_other_peoples_runs_are_not_listed(made):
    keep(member(), made[0])
    assert "You have no runs yet" in visit("experiments", member("finch")).info[0].value


def test_a_comparison_shows_which_differences_are_real(made):
    who = member()
    ids = keep(who, *made)
    app = visit("experiments", who, compare=",".join(ids))
    assert not app.exception
    assert not app.error
    text = seen(app)
    for words in ("whole int8", "a quarter away", "1. Sparsity", "p, Holm-corrected", "a real difference"):
        assert words in text, words


@pytest.mark.parametrize("section", ["charts", "classes", "images"])
def test_every_section_of_a_comparison_shows(made, section):
    who = member()
    ids = keep(who, *made)
    app = visit("experiments", who, compare=",".join(ids), view=section)
    assert not app.exception
    assert not app.error
    if section == "images":
        assert "They disagree on" in seen(app)
        assert app.get("image")


@pytest.mark.parametrize("address", ["", "x", ",,,", "a,b", "0" * 36 + "," + "1" * 36, ",".join("abcdefghij")])
def test_a_malformed_comparison_is_one_sentence(address):
    app = visit("experiments", member(), compare=address)
    assert not app.exception
    assert len(app.error) == 1


def test_runs_of_somebody_else_or_without_a_result_are_not_compared(made):
    who, other = member(), member("finch")
    (mine,) = keep(who, made[0])
    (theirs,) = keep(other, made[1])
    waiting = store_unfinished(services.engine(), who.principal.user_id, made[0], "queued")
    assert "There is no run" in visit("experiments", who, compare=f"{mine},{theirs}").error[0].value
    assert "no result" in visit("experiments", who, compare=f"{mine},{waiting}").error[0].value


def test_a_comparison_is_shared_read_only_and_revoked(made):
    who = member()
    ids = keep(who, *made)
    app = visit("experiments", who, compare=",".join(ids))
    app.button(key="compare.share").click().run()
    (link,) = [code.value for code in app.code if "share=" in code.value]
    token = link.partition("share=")[2]
    shared = visit("experiments", None, share=token)
    assert not shared.exception
    assert "a real difference" in seen(shared)
    assert "compare.share" not in [b.key for b in shared.button]
    services.experiments().delete(who.principal, ids[0])
    assert "leads nowhere" in visit("experiments", None, share=token).error[0].value


def test_a_visitor_is_asked_to_sign_in():
    app = visit("experiments", None, compare="a,b")
    assert [field.label for field in app.text_input] == ["User name or e-mail", "Password"]


def test_archiving_can_be_undone(made):
    who = member()
    keep(who, *made)
    app = visit("experiments", who)
    from pages._ui.state import State

    (first, _second), total = services.listing().page(who.principal, _filters())
    services.listing().archive(who.principal, [first.id])
    app.session_state[State.archived.key] = (first.id,)
    app.run()
    assert listed(app) == "Runs 1 to 1 of 1"
    app.button(key="experiments.undo").click().run()
    assert listed(app) == "Runs 1 to 2 of 2"
    assert total == 2


def _filters():
    from core.experiments.listing import Filters

    return Filters()


def test_chosen_runs_stay_chosen_on_other_pages_and_under_filters(made):
    from pages._ui.state import State

    who = member()
    ids = keep(who, *made)
    app = visit("experiments", who, words="quarter")
    app.session_state[State.chosen.key] = tuple(ids)
    app.run()
    assert not app.exception
    assert "2 chosen" in seen(app)
    assert not app.button(key="experiments.archive").disabled
    services.experiments().delete(who.principal, ids[0])
    app.run()
    assert not app.exception
    app.button(key="experiments.none").click().run()
    assert "on all pages" not in seen(app)
    assert app.button(key="experiments.archive").disabled


def test_figures_are_written_as_the_account_reads_them(made):
    who = member(language="fr")
    keep(who, made[0])
    table = visit("experiments", who, "fr").dataframe[0].value
    assert "," in table["top1"][0]
    assert table["size"][0].endswith("ko")


def test_an_upload_is_called_by_its_file_and_never_by_its_id(made):
    who = member()
    from tests.unit.experiments.places import digits_zip

    upload = services.uploads().add(who.principal, "numbers.zip", digits_zip())
    (run_id,) = keep(who, made[0], data=upload.spec, request={
        "model": "digits", "data": upload.spec, "seed": 0, "recipe": made[0].record["recipe"]})
    assert list(visit("experiments", who).dataframe[0].value["data"]) == ["numbers.zip"]
    assert "numbers.zip" in seen(visit("run", who, id=run_id))
    token = services.sharing().share(who.principal, [run_id])
    stranger = visit("run", None, share=token)
    assert "uploaded images" in seen(stranger)
    assert upload.spec not in seen(stranger)


@pytest.mark.parametrize("section", ["figures", "charts", "classes", "images"])
def test_a_comparison_in_french(made, section):
    who = member(language="fr")
    ids = keep(who, *made)
    app = visit("experiments", who, "fr", compare=",".join(ids), view=section)
    assert not app.exception
    assert not app.error
