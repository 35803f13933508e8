"""What an owner does with a run: name it, tag it, write about it, share it, archive it, delete it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import streamlit as st

from core.accounts import Principal
from core.experiments.listing import NAME_CHARACTERS, NOTE_CHARACTERS
from core.experiments.uploads import PREFIX
from pages._ui import errors, i18n, services
from pages._ui.moments import moment
from pages._ui.run_access import LAB, LIST, View
from pages._ui.site import FOLDER
from pages._ui.state import state


def show_actions(view: View) -> None:
    """Show one's own actions; for everybody else the way to make a run of their own out of it."""
    _ = i18n.translate()
    with st.container(horizontal=True, vertical_alignment="center"):
        if view.principal is not None and view.token is None:
            st.page_link(LIST, label=_("All experiments"), icon=":material/arrow_back:")
        fork_link(view)
        if view.mine:
            with st.popover(_("Name, tags and notes"), icon=":material/edit:"):
                _edit(view)
            if view.record:
                with st.popover(_("Share"), icon=":material/share:"):
                    show_sharing(view.principal, [view.run.id], "run")
            with st.popover(_("Put away"), icon=":material/archive:"):
                _put_away(view)


def fork_link(view: View) -> None:
    """Link to the lab with this run's recipe, for whoever is signed in."""
    _ = i18n.translate()
    if view.principal is None:
        st.caption(_("Sign in to fork this recipe."))
    elif (FOLDER.parent / LAB).is_file():
        query = {"fork": view.run.id, "model": view.run.request.model}
        if view.token is not None:
            query["share"] = view.token
        if view.mine or not view.run.request.data.startswith(PREFIX):
            query["data"] = view.run.request.data
        st.page_link(LAB, label=_("Fork this recipe"), icon=":material/fork_right:", query_params=query)


def show_sharing(principal: Principal, run_ids: Sequence[str], page: str) -> None:
    """Make links to these runs, show a new one once, and revoke old ones."""
    _ = i18n.translate()
    path = "run" if len(run_ids) == 1 else "experiments"
    st.markdown(_("Whoever has the link can read this without an account, and nothing else of yours."))

    def make() -> None:
        with errors.shown():
            token = services.sharing().share(principal, run_ids)
            state.secret = f"{base_address()}/{path}?share={token}"

    def revoke(share_id: str) -> None:
        with errors.shown():
            services.sharing().revoke(principal, share_id)
            state.secret = None

    st.button(_("Make a link"), key=f"{page}.share", icon=":material/add_link:", on_click=make)
    if state.secret and f"/{path}?share=" in state.secret:
        st.code(state.secret, language=None, wrap_lines=True)
        st.caption(_("Copy it now: only you have it, and it is not shown again."))
        state.secret = None
    for link in services.sharing().links(principal, run_ids):
        st.button(_("Revoke the link of {moment}").format(moment=moment(link.created_at)),
                  key=f"{page}.revoke_{link.id}", icon=":material/link_off:", on_click=revoke, args=(link.id,))


def base_address() -> str:
    """Return the address of this installation as the browser knows it, without a slash at the end."""
    parts = urlsplit(str(st.context.url or ""))
    return f"{parts.scheme}://{parts.netloc}{parts.path.rpartition('/')[0]}"


def _edit(view: View) -> None:
    _ = i18n.translate()
    listing = services.listing()
    kept = listing.notes(view.principal, view.run.id)
    with st.form("run.edit", border=False):
        name = st.text_input(_("Name"), kept.name, max_chars=NAME_CHARACTERS, key="run.name")
        tags = st.multiselect(_("Tags"), sorted({*kept.tags, *listing.choices(view.principal).tags}),
                              list(kept.tags), accept_new_options=True, key="run.tags")
        notes = st.text_area(_("Notes"), kept.notes, max_chars=NOTE_CHARACTERS, key="run.notes")
        if st.form_submit_button(_("Save"), icon=":material/save:"):
            with errors.shown():
                listing.edit(view.principal, view.run.id, name=name, tags=tags, notes=notes)
                state.notice = _("Saved.")
                st.rerun()


def _put_away(view: View) -> None:
    _ = i18n.translate()
    archived = services.listing().notes(view.principal, view.run.id).archived
    label = _("Take out of the archive") if archived else _("Archive")
    if st.button(label, key="run.archive", icon=":material/archive:"):
        with errors.shown():
            services.listing().archive(view.principal, [view.run.id], archived=not archived)
            state.notice = _("Back among your experiments.") if archived else _("Archived.")
            st.rerun()
    sure = st.checkbox(_("Delete it for good, with its files"), key="run.sure")
    if st.button(_("Delete"), key="run.delete", icon=":material/delete:", type="primary", disabled=not sure):
        with errors.shown():
            services.serving().withdraw(view.principal, view.run)
            services.shelf().forget()
            services.experiments().delete(view.principal, view.run.id)
            state.chosen = tuple(run_id for run_id in state.chosen if run_id != view.run.id)
            state.notice = _("The run was deleted.")
            st.switch_page(LIST)
