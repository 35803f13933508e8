"""One's runs as a table: search, filters, order, pages, and what can be done with a selection."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pandas
import streamlit as st

from core.accounts import Principal
from core.errors import NotFoundError
from core.experiments.compare import MOST
from core.experiments.export import to_csv, to_html, to_json
from core.experiments.listing import Choices, Filters, Order, Summary
from core.experiments.runs import UNFINISHED, Run
from core.experiments.tracking import log_runs
from core.locales import N_
from core.recipes import REGISTRY
from pages._ui import errors, experiments_choice, i18n, services
from pages._ui.address import number, select, write
from pages._ui.data_names import data_names
from pages._ui.moments import moment
from pages._ui.numbers import decimal, hundredths, megabytes
from pages._ui.run_access import LAB, RUN
from pages._ui.run_figures import signed
from pages._ui.run_head import STATUS
from pages._ui.run_manage import base_address
from pages._ui.site import FOLDER
from pages._ui.state import state
from pages._ui.text import plain

PER_PAGE = 25
ANY = ""
ORDERS: dict[Order, str] = {
    "newest": N_("Newest first"), "oldest": N_("Oldest first"), "name": N_("By name"),
    "smallest": N_("Smallest file first"), "size_ratio": N_("Most shrunk first"),
    "latency_ratio": N_("Most sped up first"), "top1": N_("Most accurate first"),
    "top1_change": N_("Least lost first"),
}


def choose_filters(choices: Choices) -> tuple[Filters, Order]:
    """Show the filters, which live in the address; return them and the order."""
    _ = i18n.translate()

    def options(values: tuple[str, ...]) -> dict[str, str]:
        return {ANY: _("Any"), **{value: value for value in values}}

    left, middle, right = st.columns([3, 2, 2])
    with left:
        words = write(_("Search in names, notes and tags"), "words", "experiments.words")
    with middle:
        status = select(_("Status"), {ANY: _("Any"), **{k: _(v) for k, v in STATUS.items()}}, "status",
                        "experiments.status")
    with right:
        order = select(_("Order"), {k: _(v) for k, v in ORDERS.items()}, "order", "experiments.order")
    with st.expander(_("More filters"), icon=":material/filter_list:"):
        first, second, third = st.columns(3)
        with first:
            model = select(_("Model"), options(choices.models), "model", "experiments.model")
            lost = number(_("At most so many points lost"), "lost", "experiments.lost", low=0.0, high=100.0)
        with second:
            data = select(_("Data"), options(choices.data), "data", "experiments.data")
            smaller = number(_("At least so many times smaller"), "smaller", "experiments.smaller", low=0.0, high=1e4)
        with third:
            method = select(_("Method"), options(choices.methods), "method", "experiments.method")
            faster = number(_("At least so many times as fast"), "faster", "experiments.faster", low=0.0, high=1e4)
        tag = select(_("Tag"), options(choices.tags), "tag", "experiments.tag")
        archived = select(_("Shelf"), {ANY: _("Current runs"), "yes": _("The archive")}, "archived",
                          "experiments.archived")
    return Filters(words=words, model=model or None, data=data or None, method=method or None,
                   status=status or None, tag=tag or None, archived=archived == "yes", most_points_lost=lost,
                   least_smaller=smaller, least_faster=faster), order


def show_empty(filtered: bool) -> None:
    """Say what to do when there is nothing to list."""
    _ = i18n.translate()
    if filtered:
        st.info(_("No run passes these filters. Take one away."), icon=":material/filter_list_off:")
        return
    st.info(_("You have no runs yet. Open the lab, choose how strongly to compress, and run it: the result comes "
              "to stand here."), icon=":material/science:")
    if (FOLDER.parent / LAB).is_file():
        st.page_link(LAB, label=_("Open the lab"), icon=":material/science:")
    examples = [run for run in services.experiments().example(8) if run.record is not None]
    if examples:
        st.markdown(_("Until then, look at runs that this installation made by itself:"))
        for run in examples:
            st.page_link(RUN, label=plain(run.name), icon=":material/timeline:", query_params={"id": run.id})


def show_table(principal: Principal, found: list[Summary], total: int, offset: int) -> list[str]:
    """Show a page of runs with a box to tick each; return the ids of all that are ticked, on other pages too."""
    _ = i18n.translate()
    language = i18n.language()
    base = base_address()
    kinds = {kind: _(step.title) for kind, step in REGISTRY.items()}
    sets = data_names(principal, [run.data for run in found])
    ids = [run.id for run in found]

    def times(ratio: float | None) -> str:
        return "" if ratio is None else f"{decimal(ratio, language, 2)}\N{NO-BREAK SPACE}×"

    def tick() -> None:
        for row, change in st.session_state[key]["edited_rows"].items():
            if "chosen" in change:
                experiments_choice.tick(ids[int(row)], change["chosen"])

    frame = pandas.DataFrame([{
        "name": run.name, "status": _(STATUS[run.status]),
        "top1": "" if run.top1 is None else hundredths(run.top1, language),
        "change": "" if run.top1_change is None else signed(100 * run.top1_change, language),
        "size": "" if run.bytes is None else megabytes(run.bytes, language), "smaller": times(run.size_ratio),
        "faster": times(run.latency_ratio), "model": run.model, "data": sets[run.data],
        "methods": ", ".join(kinds.get(kind, kind) for kind in run.methods),
        "tags": list(run.tags), "created": moment(run.created_at), "open": f"{base}/run?id={run.id}",
    } for run in found])
    key = f"experiments.table_{hashlib.sha256(frame.to_csv().encode()).hexdigest()[:12]}_{state.serial}"
    first = experiments_choice.first_ticks(key)
    frame.insert(0, "chosen", [run_id in first for run_id in ids])
    columns = {
        "chosen": st.column_config.CheckboxColumn(_("Choose"), width=80, pinned=True),
        "name": st.column_config.TextColumn(_("Name of the run"), width=320),
        "status": st.column_config.TextColumn(_("Status")),
        "open": st.column_config.LinkColumn(_("Page"), display_text=_("Open"), width=70),
        **{name: st.column_config.TextColumn(title, alignment="right") for name, title in (
            ("top1", _("Top-1")), ("change", _("Points")), ("size", _("File")), ("smaller", _("Smaller")),
            ("faster", _("Faster")))},
        "model": st.column_config.TextColumn(_("Model")), "data": st.column_config.TextColumn(_("Data")),
        "methods": st.column_config.TextColumn(_("Methods")), "tags": st.column_config.ListColumn(_("Tags")),
        "created": st.column_config.TextColumn(_("Started")),
    }
    st.data_editor(frame, hide_index=True, column_config=columns, column_order=list(columns), key=key, on_change=tick,
                   disabled=[name for name in columns if name != "chosen"],
                   alt=_("The runs of this page with a box to tick each"))
    st.caption(_("Runs {first} to {last} of {total}").format(
        first=offset + 1, last=offset + len(found), total=total))
    return list(state.chosen)


def turn_pages(total: int) -> int:
    """Show which page of the list this is; return where it starts."""
    _ = i18n.translate()
    pages = max(-(-total // PER_PAGE), 1)
    if pages == 1:
        return 0
    asked = str(st.query_params.get("page", "1"))
    now = min(max(int(asked), 1), pages) if asked.isascii() and asked.isdecimal() and len(asked) < 6 else 1
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="right"):
        for label, key, icon, to in ((_("Back"), "back", ":material/chevron_left:", now - 1),
                                     (_("Further"), "further", ":material/chevron_right:", now + 1)):
            if st.button(label, key=f"experiments.{key}", icon=icon, disabled=not 1 <= to <= pages):
                st.query_params["page"] = str(to)
                st.rerun()
        st.caption(_("Page {page} of {pages}").format(page=now, pages=pages))
    return (now - 1) * PER_PAGE


def show_selection(principal: Principal, chosen: list[str], archived: bool) -> None:
    """Show what can be done with the ticked runs.

    The row is the same whatever is ticked, and the callbacks see every press: a button that moves, or that a tick
    draws anew, would lose the press that follows the tick.
    """
    _ = i18n.translate()

    def archive() -> None:
        with errors.shown():
            services.listing().archive(principal, chosen, archived=not archived)
            state.archived = () if archived else tuple(chosen)
            experiments_choice.choose_none()

    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = experiments_choice.compare_button()
        st.page_link(RUN, label=_("Open the run"), icon=":material/timeline:", disabled=len(chosen) != 1,
                     query_params={"id": chosen[0]} if chosen else None)
        st.button(_("Choose none"), key="experiments.none", icon=":material/deselect:", type="tertiary",
                  disabled=not chosen, on_click=experiments_choice.choose_none)
        st.button(_("Take out of the archive") if archived else _("Archive"), key="experiments.archive",
                  icon=":material/archive:", disabled=not chosen, on_click=archive)
        with st.popover(_("Export"), icon=":material/download:", disabled=not chosen):
            show_exports(principal, chosen)
    st.caption(_("{count} chosen, on all pages and under all filters.").format(count=len(chosen)) if chosen else
               _("Tick 2 to {most} finished runs to compare them.").format(most=MOST))
    experiments_choice.answer_press(pressed)


def show_exports(principal: Principal, chosen: list[str]) -> None:
    """Show downloads of a selection, each made when it is asked for."""
    _ = i18n.translate()
    language = i18n.language()

    def runs() -> list[Run]:
        found = []
        for run_id in chosen:
            with suppress(NotFoundError):  # deleted since it was ticked
                found.append(services.experiments().run(principal, run_id))
        return found

    for label, key, file, mime, make in (
        (_("Table (CSV)"), "csv", "runs.csv", "text/csv", lambda: to_csv(runs())),
        (_("Records (JSON)"), "json", "runs.json", "application/json", lambda: to_json(runs())),
        (_("Report (HTML)"), "html", "runs.html", "text/html", lambda: to_html(runs(), language=language)),
    ):
        st.download_button(label, make, file, mime, key=f"experiments.{key}", on_click="ignore")
    # Only the operator names the server: an address typed by anybody would let them reach the server's own network.
    server = services.settings().mlflow
    if server and st.button(_("Log to MLflow"), key="experiments.mlflow", icon=":material/cloud_upload:"):
        with errors.shown():
            logged = log_runs(runs(), lambda run, name: services.experiments().file(principal, run.id, name), server)
            st.success(_("{count} logged to MLflow.").format(count=len(logged)))


def show_undo(principal: Principal) -> None:
    """Offer to take back what was archived last."""
    _ = i18n.translate()
    if not state.archived:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_("{count} archived.").format(count=len(state.archived)))
        if st.button(_("Undo"), key="experiments.undo", icon=":material/undo:"):
            with errors.shown():
                services.listing().archive(principal, state.archived, archived=False)
                state.archived = ()
                st.rerun()


@st.fragment(run_every=3.0)
def watch(principal: Principal, found: list[Summary]) -> None:
    """Draw the page anew when an unfinished run of it has moved on."""
    with errors.shown():
        for run in found:
            if run.status in UNFINISHED and services.listing().notes(principal, run.id).status != run.status:
                st.rerun()
