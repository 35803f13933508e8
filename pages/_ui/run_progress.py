"""Runs on their way: stage, percent, time left, cancel. Read from the database, so leaving the page loses nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import streamlit as st

from core.accounts import Principal
from core.database import now
from core.experiments.runs import UNFINISHED
from core.locales import N_
from pages._ui import errors, i18n, services
from pages._ui.numbers import decimal, hundredths
from pages._ui.text import plain

if TYPE_CHECKING:
    from core.experiments.runs import Run

LOOK_AGAIN_S = 1.5
STATUS = {
    "queued": N_("waiting"), "running": N_("running"), "interrupted": N_("interrupted, will go on"),
    "finished": N_("finished"), "failed": N_("failed"), "cancelled": N_("cancelled"),
}
_RECENT = timedelta(minutes=30)


def runs_under_way(principal: Principal) -> None:
    """Show the unfinished runs of a person, and those that failed lately; looks again by itself while any go on."""
    waiting = services.experiments().runs(principal, status=UNFINISHED, limit=50)
    failed = services.experiments().runs(principal, status=("failed",), limit=3)
    recent = [run for run in failed if run.finished_at is not None and now() - run.finished_at < _RECENT]
    if not waiting and not recent:
        return
    _ = i18n.translate()
    with st.container(border=True):
        if waiting:
            st.markdown(_("**Under way** ({count})").format(count=len(waiting)))
            _watched(principal, frozenset(run.id for run in waiting))
        for run in recent:
            reason = _(run.error.message).format(**run.error.parameters) if run.error else _("It did not finish.")
            st.error(f"**{plain(run.name)}**: {plain(reason)}", icon=":material/error:")
            link(run)


@st.fragment(run_every=LOOK_AGAIN_S)
def _watched(principal: Principal, known: frozenset[str]) -> None:
    with errors.shown():
        waiting = services.experiments().runs(principal, status=UNFINISHED, limit=50)
        if {run.id for run in waiting} != known:
            st.rerun()
        for run in reversed(waiting):
            progress(principal, run)


def progress(principal: Principal, run: Run) -> None:
    """Show one unfinished run with its bar and the button that cancels it."""
    _ = i18n.translate()

    def cancel() -> None:
        with errors.shown():
            services.experiments().cancel(principal, run.id)

    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, max(0.0, run.fraction)), text=f"{plain(run.name)} · {plain(_words(run))}", width="stretch")
        st.button(_("Cancel"), key=f"progress.cancel.{run.id}", icon=":material/cancel:", type="tertiary",
                  on_click=cancel)


def link(run: Run) -> None:
    """Show a link to a run's page."""
    st.page_link("pages/studio/run.py", label=i18n.translate()("Open the run"), icon=":material/timeline:",
                 query_params={"run": run.id})


def _words(run: Run) -> str:
    _ = i18n.translate()
    if run.status != "running":
        return _(STATUS[run.status])
    parts = [_(run.stage) if run.stage else _("starting"), hundredths(run.fraction, i18n.language(), 0)]
    if run.seconds_left is not None:
        parts.append(_("about {seconds} s left").format(seconds=decimal(run.seconds_left, i18n.language(), 0)))
    return " · ".join(parts)
