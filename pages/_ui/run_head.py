"""The head of a run's page: what it is called, what was asked for, and where it stands."""

from __future__ import annotations

import math

import streamlit as st

from core.errors import SecateurError
from core.experiments.runs import Run
from core.locales import N_, spaced
from core.recipes import in_words, load_recipe
from pages._ui import errors, i18n, services
from pages._ui.data_names import data_names
from pages._ui.moments import moment
from pages._ui.numbers import percent
from pages._ui.run_access import View
from pages._ui.text import plain

STATUS = {
    "queued": N_("Waiting"), "running": N_("Running"), "interrupted": N_("Interrupted, goes on soon"),
    "finished": N_("Finished"), "failed": N_("Failed"), "cancelled": N_("Cancelled"),
}
ICONS = {
    "queued": ":material/schedule:", "running": ":material/progress_activity:", "interrupted": ":material/pause:",
    "finished": ":material/check_circle:", "failed": ":material/error:", "cancelled": ":material/cancel:",
}
_LOOK_AGAIN_S = 1.0


def show_head(view: View) -> None:
    """Show the run's name, its subject and its recipe in words and as YAML."""
    _ = i18n.translate()
    run = view.run
    st.title(plain(run.name))
    data = data_names(view.principal, [run.request.data])[run.request.data]
    st.caption(" · ".join(plain(part) for part in (
        _(STATUS[run.status]), run.request.model, data, moment(run.finished_at or run.created_at),
        _("seed {seed}").format(seed=run.request.seed), run.id[:8],
    )))
    show_recipe(run)


def show_recipe(run: Run) -> None:
    """Show the recipe as a sentence, and as the file that the command line takes."""
    _ = i18n.translate()
    recipe = load_recipe(run.request.recipe)
    words = spaced(in_words(recipe, _), i18n.language())
    st.markdown(_("**Recipe**: {words}.").format(words=plain(words)))
    with st.expander(_("The recipe as a file"), icon=":material/description:"):
        st.code(recipe.to_yaml(), language="yaml")


def show_outcome(view: View) -> bool:
    """Show how far an unfinished run is, or why it ended without a result; return whether there is a result."""
    _ = i18n.translate()
    run = view.run
    if run.record is not None:
        return True
    if not run.finished:
        _follow(view)
        return False
    if run.status == "cancelled":
        st.info(_("This run was cancelled. Fork its recipe to start it again."), icon=ICONS["cancelled"])
    elif run.error is not None:
        errors.show(SecateurError(run.error.message, **run.error.parameters))
    else:
        st.error(_("The run failed for a reason that it could not tell. Its log may."), icon=ICONS["failed"])
    if run.log and view.mine:
        with st.expander(_("Log of the worker"), icon=":material/terminal:"):
            st.code(run.log, language=None)
    return False


@st.fragment(run_every=_LOOK_AGAIN_S)
def _follow(view: View) -> None:
    with errors.shown():
        _ = i18n.translate()
        run = services.experiments().run(view.principal, view.run.id)
        if run.finished:
            st.rerun()
        st.progress(min(max(run.fraction, 0.0), 1.0), text=progress_text(run))
        if view.mine and st.button(_("Cancel"), key="run.cancel", icon=":material/cancel:"):
            services.experiments().cancel(view.principal, run.id)
            st.toast(_("The run will stop within seconds."))


def progress_text(run: Run) -> str:
    """Return status or stage, percent and time left as one line of Markdown."""
    _ = i18n.translate()
    if run.status != "running":
        return f"{_(STATUS[run.status])}…"
    parts = [plain(percent(run.fraction, i18n.language())), plain(_(run.stage)) if run.stage else _("Starting")]
    if run.seconds_left is not None:
        seconds = max(math.ceil(run.seconds_left), 1)
        parts.append(_("about {seconds} s left").format(seconds=seconds) if seconds < 120
                     else _("about {minutes} min left").format(minutes=math.ceil(seconds / 60)))
    return " · ".join(parts)
