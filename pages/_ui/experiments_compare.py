"""Two to eight runs side by side: what differs in their recipes and results, and which differences are real."""

from __future__ import annotations

import streamlit as st

from core.accounts import Principal
from core.errors import InputError, SecateurError
from core.experiments.compare import MOST, Comparison, compare
from core.experiments.export import to_csv, to_html, to_json
from core.locales import N_
from pages._ui import auth, errors, i18n, services
from pages._ui.address import choose
from pages._ui.experiments_pictures import (
    as_text,
    chart_svgs,
    field_title,
    show_charts,
    show_classes,
    show_disagreements,
)
from pages._ui.numbers import decimal, megabytes, p_value
from pages._ui.run_access import LIST, View, own, stop_with
from pages._ui.run_figures import signed, table
from pages._ui.run_manage import fork_link, show_sharing
from pages._ui.text import plain


def opened(principal: Principal, ids: str) -> list[View]:
    """Return the runs that the address names, or show one sentence and stop."""
    try:
        wanted = list(dict.fromkeys(part for part in ids.split(",") if part))
        if not 2 <= len(wanted) <= MOST:
            raise InputError(N_("Choose two to {most} different runs to compare."), most=MOST)
        views = [own(principal, run_id) for run_id in wanted]
        for view in views:
            if view.run.record is None:
                raise InputError(
                    N_("Run {run} has no result to compare. Wait until it has finished."), run=view.run.id[:8])
        return views
    except SecateurError as error:
        stop_with(error)


def shared(token: str) -> list[View]:
    """Return the runs behind a link, or show one sentence and stop."""
    try:
        return [View(run, auth.current(), token) for run in services.sharing().shared(token)]
    except SecateurError as error:
        stop_with(error)


def show_comparison(views: list[View]) -> None:
    """Show the runs side by side."""
    _ = i18n.translate()
    st.title(_("Runs side by side"))
    runs = [view.run for view in views]
    comparison = compare(runs, [view.predictions() for view in views])
    names = _names(views)
    _actions(views, comparison, names)
    sections = {"figures": _("Figures"), "charts": _("Charts"), "classes": _("Classes"),
                "images": _("Images they disagree on")}
    section = choose(_("Show"), sections, "view", "experiments.section")
    with errors.shown():
        if section == "figures":
            _figures(views, comparison, names)
        elif section == "charts":
            show_charts(views, comparison, names)
        elif section == "classes":
            show_classes(views, names)
        else:
            show_disagreements(views, names)


def _names(views: list[View]) -> dict[str, str]:
    """Return what to call each run: a letter and its name, which alone may begin like the others or be the same."""
    return {view.run.id: f"{letter} · {view.run.name}" for letter, view in zip("ABCDEFGH", views, strict=False)}


def _actions(views: list[View], comparison: Comparison, names: dict[str, str]) -> None:
    _ = i18n.translate()
    language, runs = i18n.language(), [view.run for view in views]
    with st.container(horizontal=True, vertical_alignment="center"):
        if views[0].token is None:
            if st.button(_("All experiments"), key="compare.back", icon=":material/arrow_back:"):
                st.query_params.clear()
                st.switch_page(LIST)
            if all(view.mine for view in views):
                with st.popover(_("Share"), icon=":material/share:"):
                    show_sharing(views[0].principal, [run.id for run in runs], "compare")
        with st.popover(_("Export"), icon=":material/download:"):
            st.download_button(_("Table (CSV)"), lambda: to_csv(runs), "comparison.csv", "text/csv",
                               key="compare.csv", on_click="ignore")
            st.download_button(_("Records (JSON)"), lambda: to_json(runs, comparison), "comparison.json",
                               "application/json", key="compare.json", on_click="ignore")
            st.download_button(
                _("Report (HTML)"),
                lambda: to_html(runs, chart_svgs(views, comparison, names, _), language, comparison), "comparison.html",
                "text/html", key="compare.html", on_click="ignore")
        with st.popover(_("Fork a recipe"), icon=":material/fork_right:"):
            for view in views:
                st.markdown(f"**{plain(names[view.run.id])}**")
                fork_link(view)


def _figures(views: list[View], comparison: Comparison, names: dict[str, str]) -> None:
    _ = i18n.translate()
    language = i18n.language()

    def points(interval: object) -> str:
        if interval is None:
            return "–"
        low, value, high = (signed(100 * interval[k], language) for k in ("low", "value", "high"))
        return f"{value} ({low}\N{NO-BREAK SPACE}…\N{NO-BREAK SPACE}{high})"

    def within(value: float, low: float, high: float, digits: int, unit: str = "") -> str:
        said = " – ".join(decimal(end, language, digits) for end in (low, high))
        return f"{decimal(value, language, digits)}{unit} ({said})"

    st.subheader(_("Results"))
    columns = [_("Top-1, %"), _("Points, against the baseline"), _("File"), _("Smaller"), _("Faster"),
               _("Agreement, %")]
    rows = []
    for view in views:
        after, change = view.record["compressed"], view.record["comparison"]
        top1, ratio = (after["accuracy"] or {}).get("top1"), change["latency_ratio"]
        rows.append((
            names[view.run.id],
            "–" if top1 is None else within(*(100 * top1[k] for k in ("value", "low", "high")), 1),
            points(change["top1_difference"]), megabytes(after["size"]["tflite_bytes"], language),
            f"{decimal(change['size_ratio'], language, 2)} ×",
            within(ratio["value"], ratio["low"], ratio["high"], 2, "\N{NO-BREAK SPACE}×"),
            decimal(100 * change["agreement"], language),
        ))
    table(rows, columns)
    st.caption(_("Ratios are baseline divided by compressed: above 1 is smaller or faster. Intervals are 95%."))
    st.subheader(_("Which differences are real"))
    if comparison.why_unpaired is not None:
        st.info(_(comparison.why_unpaired))
    else:
        table([(
            _("{second} against {first}").format(second=names[pair.second][0], first=names[pair.first][0]),
            points(pair.difference.model_dump()),
            p_value(pair.p_holm, language), _("a real difference") if pair.real else _("not distinguishable"),
            decimal(100 * pair.agreement, language),
        ) for pair in comparison.pairs],
            [_("Points"), _("p, Holm-corrected"), _("Verdict"), _("Same answers, %")])
        st.caption(_("Exact McNemar tests on the same images; p is corrected for the number of pairs (Holm), and "
                     "below 0.05 a difference counts as real."))
    st.subheader(_("What differs in what was asked"))
    if comparison.recipe:
        table([(field_title(field, views), *(as_text(values[view.run.id], language) for view in views))
               for field, values in comparison.recipe.items()], [plain(names[view.run.id]) for view in views])
    else:
        st.markdown(_("Nothing: the same recipe, seed, model and data."))
