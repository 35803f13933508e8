"""What a search is asked: the wish in words, the minutes; and which of one's searches is shown."""

from __future__ import annotations

import streamlit as st

from core.accounts import Principal
from core.errors import SecateurError
from core.locales import N_
from core.search.parsing import EXAMPLES, MOST_CHARACTERS, parse_wish
from pages._ui import errors, i18n, services
from pages._ui.lab_subject import Subject
from pages._ui.moments import moment
from pages._ui.numbers import decimal
from pages._ui.state import state
from pages._ui.text import plain

STATUS = {
    "running": N_("running"), "stopping": N_("running"), "stopped": N_("stopped"), "finished": N_("finished"),
    "failed": N_("failed"),
}


def begin_form(principal: Principal, subject: Subject) -> None:
    """Show the wish, how it is understood, and the button that begins."""
    _ = i18n.translate()
    with st.container(border=True):
        one, two, three = st.columns([5, 2, 2], vertical_alignment="bottom")
        text = one.text_input(
            _("What do you want?"), key="study.want", max_chars=MOST_CHARACTERS, placeholder=_(EXAMPLES[0]),
            help=_("What may be lost, how small, how fast, and what should be best."))
        minutes = two.number_input(_("Minutes"), 1.0, 1440.0, 10.0, 1.0, key="study.minutes", format="%g")
        asked = three.button(_("Search"), key="study.begin", type="primary", icon=":material/manage_search:",
                             width="stretch")
        if text.strip():
            _understood(text)
        else:
            st.caption(_("For example: {examples}").format(examples="; ".join(f"*{_(e)}*" for e in EXAMPLES)))
    if not asked:
        return
    with errors.shown():
        study = services.studies().begin(principal, subject.model, subject.data, text, float(minutes))
        st.query_params["study"] = study.id
        state.notice = _("The search has begun. You may leave the page; it goes on.")
        st.rerun()


def _understood(text: str) -> None:
    _ = i18n.translate()
    try:
        wish = parse_wish(text)
    except SecateurError as error:
        st.warning(errors.sentence(error), icon=":material/help:")
        return
    words = wish.words(_, lambda v: decimal(v, i18n.language(), 0 if v == int(v) else 2))
    st.caption(plain(_("Understood: {wish}").format(wish=words)))
    if wish.assumed:
        st.caption(_("You named no limit on the loss, so the usual one was added."))


def past_searches(principal: Principal) -> str | None:
    """Show which of one's searches there are; return the id of the one to show."""
    _ = i18n.translate()
    found = {study.id: study for study in services.studies().studies(principal)}
    asked = st.query_params.get("study", "")
    if not found and not asked:
        st.info(_("You have not searched yet. Say above what you want, and recipes are tried until the time is spent."),
                icon=":material/manage_search:")
        return None
    if asked and asked not in found:
        return asked  # one's own from long ago, or nobody's: the service tells
    options = list(found)
    if asked and st.session_state.get("study.shown") != asked and st.session_state.get("study.asked") != asked:
        st.session_state["study.shown"] = asked
    st.session_state["study.asked"] = asked

    def name(key: str) -> str:
        each = found[key]
        return f"{each.text} · {each.model} · {moment(each.created_at)} · {_(STATUS[each.status])}"
    chosen = st.selectbox(_("Your searches"), options, key="study.shown", format_func=name)
    if chosen:
        st.query_params["study"] = chosen
    return chosen
