"""Search: say what you want of the model and how long it may take; see what was found while it is being found."""

import streamlit as st

from core.errors import SecateurError
from pages._ui import auth, errors, i18n, services
from pages._ui.lab_subject import choose_subject
from pages._ui.model_choice import ready_or_wait
from pages._ui.study_form import begin_form, past_searches
from pages._ui.study_view import controls, show_answer, show_front, show_progress, show_trials

LOOK_AGAIN_S = 2.0

principal = auth.guard()
_ = i18n.translate()


def view(study_id: str) -> None:
    """Show one search; while it goes on, look again by itself."""
    study = services.studies().study(principal, study_id)

    @st.fragment(run_every=LOOK_AGAIN_S if study.going else None)
    def watched() -> None:
        with errors.shown():
            now = services.studies().study(principal, study_id)
            if now.status != study.status:
                st.rerun()
            show_progress(now)
            controls(principal, now)
            show_answer(now)
            show_front(now)
            show_trials(now)

    watched()


st.title(_("Search"))
subject = choose_subject(principal)
if subject is None or not ready_or_wait(subject.card):
    st.stop()
begin_form(principal, subject)
services.go_on_searching()
try:
    chosen = past_searches(principal)
    if chosen:
        view(chosen)
except SecateurError as error:
    errors.show(error)
