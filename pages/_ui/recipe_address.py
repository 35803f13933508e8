"""The lab's recipe in the page's address, so that reload, back and a sent address find it again.

``fork`` names a run whose recipe to start from. Once the recipe is another one than that, the address holds it
whole as ``recipe``, and no ``fork``: it then means the same to whomever it is sent. Each edit is an entry of the
browser's history, because Streamlit can only add entries; so back and forward undo and redo edits. Otherwise
what the session holds counts and the address follows: a run of the script that was asked for before the last
edit still brings the address of that time.
"""

from __future__ import annotations

import streamlit as st

from core.accounts import Principal
from core.errors import SecateurError
from core.experiments.runs import Run
from core.recipes import from_link, to_link
from pages._ui import address, errors, i18n, recipe_state, services
from pages._ui.state import state

MOST = 2000
"""Characters; browsers and chat programs carry longer ones, but not all of them."""


def take(principal: Principal) -> None:
    """Take the recipe that the address names, when the page is opened or its history was walked."""
    back, opened = address.went_back(), "lab.model" not in st.session_state
    asked, fork = st.query_params.get("recipe", ""), st.query_params.get("fork", "")
    if not back and not opened:
        return
    if asked:
        if asked != to_link(recipe_state.content()):
            _take_whole(asked)
    elif fork:
        if fork != state.forked or not _is(state.fork_steps):
            _take_run(principal, fork)
    elif back and "model" in st.query_params and not _is(recipe_state.first()):
        # Not at the bare address that the navigation leads to: this page has never written that.
        recipe_state.take(recipe_state.first())


def keep(**others: str) -> bool:
    """Make the address name the recipe as it is now, and say ``others``; return whether the recipe fits."""
    current = st.query_params.to_dict()
    wanted = {**current, **others}
    wanted.pop("recipe", None)
    named = state.fork_steps if wanted.get("fork") == state.forked else None
    known = not recipe_state.steps() or _is(named or recipe_state.first())
    link = "" if known else to_link(recipe_state.content())
    if 0 < len(link) <= MOST:
        wanted = {name: value for name, value in wanted.items() if name not in ("fork", "share")}
        wanted["recipe"] = link
    if wanted != current:
        st.query_params.from_dict(wanted)
    return len(link) <= MOST


def queued(run: Run) -> None:
    """Let the address name a run that was just queued, where the recipe itself is too long for it."""
    if not keep():
        state.forked, state.fork_steps = run.id, tuple(recipe_state.whole(run.request.recipe["steps"]))
        keep(fork=run.id)


def _take_whole(asked: str) -> None:
    try:
        recipe_state.of(from_link(asked))
    except SecateurError as error:
        _ = i18n.translate()
        st.warning(errors.sentence(error) + " " + _("The lab starts with its usual recipe."),
                   icon=":material/link_off:")


def _take_run(principal: Principal, asked: str) -> None:
    state.forked, state.fork_steps = asked, None
    try:
        token = st.query_params.get("share")
        shared = {run.id: run for run in services.sharing().shared(token)} if token else {}
        run = shared.get(asked) or services.experiments().run(principal, asked)
        recipe_state.take(run.request.recipe["steps"])
        state.fork_steps = tuple(recipe_state.content()["steps"])
    except SecateurError as error:
        errors.show(error)


def _is(steps: object) -> bool:
    return isinstance(steps, (list, tuple)) and recipe_state.content()["steps"] == list(steps)
