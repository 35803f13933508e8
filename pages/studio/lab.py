"""The lab: choose a model and images, build a recipe, see what to expect, run it, compare what was measured."""

import streamlit as st

from core.experiments.estimates import estimate
from pages._ui import auth, errors, i18n, recipe_address
from pages._ui.lab_charts import trade_offs
from pages._ui.lab_estimate import show_estimate, show_layers
from pages._ui.lab_example import ensure_example, example_under_way
from pages._ui.lab_past import Past, facts, past
from pages._ui.lab_record import estimates_kept
from pages._ui.lab_run import run_buttons
from pages._ui.lab_subject import Subject, baseline_card, choose_subject
from pages._ui.model_choice import ready_or_wait
from pages._ui.recipe_form import recipe_form
from pages._ui.run_progress import runs_under_way

principal = auth.guard()
_ = i18n.translate()


@st.fragment
def bench(subject: Subject, known: Past) -> None:
    """Show the recipe, its estimate and the charts; moving a slider draws only this part again."""
    with errors.shown():
        left, right = st.columns([6, 5], gap="large")
        with left:
            recipe = recipe_form(facts(known.profile, subject.model))
            if not recipe_address.keep():
                st.caption(_("The recipe is too long for the page's address, so a reload loses it until it was run. "
                             "Keep its YAML."))
        found = estimate(known.profile, recipe, known.learned) if recipe is not None else None
        base = known.learned.baseline
        labelled = base.top1 is not None if base is not None else subject.labelled
        with right:
            if found is not None:
                show_estimate(found, known, labelled=labelled)
            run_buttons(principal, subject, recipe, known)
        if found is not None:
            show_layers(found)
        trade_offs(known, found, labelled=labelled)


st.title(_("Lab"))
ensure_example()
recipe_address.take(principal)
subject = choose_subject(principal)
if subject is None or not ready_or_wait(subject.card):
    st.stop()
runs_under_way(principal)
example_under_way()
known = past(principal, subject)
baseline_card(known.learned.baseline)
bench(subject, known)
estimates_kept(known)
