"""Which runs are ticked, and the press on Compare, in whatever order the browser tells of them.

The table gathers ticks for 0.15 s before it sends them. A press right after a tick thus arrives first or in the same
instant, and the run of the page that the tick causes stops the one that the press has just begun, with the address of
the list. Hence the press is a value that the browser keeps and sends each time, where a button would tell of it once;
it is answered when everything earlier has arrived; and the address follows from the answer.
"""

from __future__ import annotations

import streamlit as st

from core.experiments.compare import MOST
from pages._ui import i18n
from pages._ui.state import state

_GATHERING_S = 0.2


def tick(run_id: str, chosen: bool) -> None:
    """Add a run to those that are ticked, or take it out."""
    if chosen == (run_id in state.chosen):
        return
    state.chosen = (*state.chosen, run_id) if chosen else tuple(other for other in state.chosen if other != run_id)
    if state.comparing:  # nobody can tick there, so this one was made before the press was answered
        _answer()


def first_ticks(key: str) -> tuple[str, ...]:
    """Return the ticks that the table of this key began with.

    The browser adds its own to them. If they moved on as well, it would take every answer for a new table, forget
    what it holds, and send word of that: one more run of the page, and with the address of the list.
    """
    if state.first_ticks[0] != key or key not in st.session_state:
        state.first_ticks = key, state.chosen
    return state.first_ticks[1]


def choose_none() -> None:
    """Take away all ticks."""
    state.chosen = ()
    state.serial += 1  # the table forgets its ticks


def compared() -> str | None:
    """Return the ids to compare, with commas between them, which the address names; None for the list."""
    was, state.comparing = state.comparing, "compare" in st.query_params
    if was and not state.comparing:
        state.serial += 1  # the browser has forgotten the ticks of the table that stood here
    return st.query_params.get("compare")


def compare_button() -> bool:
    """Show the button; return whether it was pressed and not yet answered."""
    _ = i18n.translate()

    def press() -> None:
        state.pressed = True

    held = st.segmented_control(
        _("Compare"), ["compare"], format_func=lambda _key: f":material/compare_arrows: {_('Compare')}",
        selection_mode="multi", key=f"experiments.compare_{state.presses}", label_visibility="collapsed",
        on_change=press)
    return bool(held) or state.pressed


def answer_press(pressed: bool) -> None:
    """Open the comparison after a press as soon as every earlier tick has arrived, or say what it takes."""
    _ = i18n.translate()
    if state.few:
        state.few = False
        st.toast(_("Tick 2 to {most} finished runs.").format(most=MOST), icon=":material/info:")
    if pressed:
        state.gathered = False
        _gather()


@st.fragment(run_every=_GATHERING_S)
def _gather() -> None:
    # The browser's clock for this begins after the press, so whatever it owed before is here at the second call.
    if state.gathered:
        _answer()
        st.rerun()
    state.gathered = True


def _answer() -> None:
    if 2 <= len(state.chosen) <= MOST:
        st.query_params.from_dict({"compare": ",".join(state.chosen)})
    else:
        state.few = True
    state.pressed = False
    state.presses += 1
