"""A search on its way and at its end: progress, the front, the recommended recipe with its evidence, every trial."""

from __future__ import annotations

import streamlit as st

from core.accounts import Principal
from core.recipes import in_words, load_recipe
from core.search.answer import front, rank
from core.search.studies import Study, Trial
from core.search.wishes import SIZES, Figures
from pages._ui import errors, i18n, services
from pages._ui.chart_card import chart_card
from pages._ui.numbers import decimal
from pages._ui.text import plain

RUN_PAGE = "pages/studio/run.py"


def show_progress(study: Study) -> None:
    """Show how much of the time is spent, and on what."""
    _ = i18n.translate()
    language = i18n.language()
    words = study.wish.words(_, lambda v: decimal(v, language, 0 if v == int(v) else 2))
    st.subheader(plain(study.text))
    st.caption(plain(f"{study.model} · {study.data} · {words}"))
    if study.error is not None:
        st.error(plain(_(study.error.message).format(**study.error.parameters)), icon=":material/error:")
        return
    measured = len(study.candidates)
    spent = decimal(study.spent_seconds / 60, language)
    if study.going:
        text = _("{phase}: {spent} of {minutes} minutes, {count} recipes measured").format(
            phase=_(study.phase) if study.phase else _("Beginning"), spent=spent,
            minutes=decimal(study.minutes, language, 0 if study.minutes == int(study.minutes) else 1), count=measured)
        st.progress(min(1.0, study.spent_seconds / (60 * study.minutes)), plain(text))
    else:
        st.caption(_("{count} recipes measured in {spent} minutes.").format(count=measured, spent=plain(spent)))


def controls(principal: Principal, study: Study) -> None:
    """Show the button that stops a search, or those that go on with it or delete it."""
    _ = i18n.translate()

    def act(name: str) -> None:
        with errors.shown():
            if name == "stop":
                services.studies().stop(principal, study.id)
            elif name == "delete":
                services.studies().delete(principal, study.id)
                st.query_params.pop("study", None)
            else:
                services.studies().resume(principal, study.id, float(st.session_state["study.more"]))

    if study.going:
        st.button(_("Stop and keep what was found"), key="study.stop", icon=":material/stop:",
                  disabled=study.status == "stopping", on_click=act, args=("stop",))
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(_("More minutes"), 1.0, 1440.0, 5.0, 1.0, key="study.more", format="%g", width=160)
        st.button(_("Go on searching"), key="study.resume", icon=":material/play_arrow:", on_click=act,
                  args=("resume",))
        st.button(_("Delete"), key="study.delete", icon=":material/delete:", type="tertiary", on_click=act,
                  args=("delete",))


def show_answer(study: Study) -> None:
    """Show the recommended recipe with its evidence and the runners-up; while it goes on, the best so far."""
    _ = i18n.translate()
    if study.answer is None or study.going:
        if study.candidates:
            best = study.trial(rank(study.wish, study.candidates)[0].number)
            with st.container(border=True):
                st.markdown(_("**Best so far**: {name}").format(name=plain(_recipe_words(best))))
                _figures(study, best)
        return
    if study.answer.recommended is None:
        st.warning("\n\n".join(plain(s.render(_, _mark())) for s in study.answer.sentences), icon=":material/block:")
        return
    chosen = study.trial(study.answer.recommended)
    with st.container(border=True):
        st.markdown(_("**Recommended**: {name}").format(name=plain(_recipe_words(chosen))))
        _figures(study, chosen)
        show = st.success if study.answer.kept else st.warning
        show("\n\n".join(plain(s.render(_, _mark())) for s in study.answer.sentences),
             icon=":material/trophy:" if study.answer.kept else ":material/block:")
        _links(chosen)
    others = [study.trial(number) for number in study.answer.runners_up]
    if others:
        st.markdown(_("**Runners-up**"))
    for trial in others:
        with st.container(border=True):
            st.markdown(plain(_recipe_words(trial)))
            _figures(study, trial)
            _links(trial)


def show_front(study: Study) -> None:
    """Draw every measured trial: points lost over size or time; a click opens its run."""
    if len(study.candidates) < 2:
        return
    import pandas as pd

    from core.charts.tradeoff import Shade, tradeoff

    _ = i18n.translate()
    cost, line = study.wish.cost, set(front(study.wish, study.candidates))
    best = study.answer.recommended if study.answer is not None else None
    rows = []
    for trial in study.trials:
        if trial.figures is None:
            continue
        kept = study.wish.holds(trial.figures)
        standing = "best" if trial.number == best else "fails" if not kept else (
            "front" if trial.number in line else "dominated")
        found = trial.figures
        rows.append({
            "run": trial.final_run_id or trial.run_id or "", "name": trial.name, "state": standing,
            "x": _cost(found, cost), "x_low": None, "x_high": None, "y": -found.points, "y_low": -found.points_high,
            "y_high": -found.points_low})
    frame = pd.DataFrame(rows)
    x_title = _("ms per image") if cost == "latency" else _("MB")
    y_title = _("Points against the original, validation images")
    words = {"front": _("on the front"), "dominated": _("another is better in both"), "fails": _("beyond a limit"),
             "best": _("recommended"), "estimate": _("estimate")}
    limit = study.wish.points
    base = study.candidates[0].figures.baseline[cost]
    chart = tradeoff(
        frame, x_title=x_title, y_title=y_title, words=words, name_title=_("Recipe"),
        baseline=(base if cost == "latency" else base / 1e6, 0.0), baseline_title=_("Baseline"),
        shade=None if limit is None else Shade("y", "below", -limit.bound))
    table = frame.assign(state=frame["state"].map(words)).drop(columns=["run", "x_low", "x_high"]).rename(columns={
        "name": _("Recipe"), "state": _("Standing"), "x": x_title, "y": y_title, "y_low": _("low"),
        "y_high": _("high")})
    heard = "; ".join(f"{row.name}: {row.x:.3g}, {row.y:.3g}" for row in frame.itertuples(index=False))
    chosen = chart_card(chart, table, "study.front", f"{y_title} / {x_title}: {heard}", selects=True)
    run = next((point.get("run") for point in chosen if point.get("run")), None)
    if run:
        st.switch_page(RUN_PAGE, query_params={"run": str(run)})


def show_trials(study: Study) -> None:
    """List what was tried, also what failed and why."""
    failed = [trial for trial in study.trials if trial.error is not None]
    _ = i18n.translate()
    if failed:
        with st.expander(_("{count} recipes failed").format(count=len(failed))):
            for trial in failed:
                reason = _(trial.error.message).format(**trial.error.parameters) if trial.error else ""
                st.markdown(f"- {plain(trial.name)}: {plain(reason)}")


def _mark() -> str:
    return "," if i18n.language() == "fr" else "."


def _cost(found: Figures, cost: str) -> float:
    return found.latency if cost == "latency" else float(getattr(found, cost)) / 1e6


def _recipe_words(trial: Trial) -> str:
    return in_words(load_recipe(trial.recipe), i18n.translate())


def _figures(study: Study, trial: Trial) -> None:
    _ = i18n.translate()
    language = i18n.language()
    found = trial.final or trial.figures
    if found is None:
        return
    size = study.wish.cost if study.wish.cost in SIZES else "gzip"
    where = _("test images") if trial.final is not None else _("validation images")
    text = _("{points} points lost ({low} to {high}, {n} {where}) · {smaller} times smaller ({size}) · {faster} times "
             "as fast")
    st.caption(plain(text.format(
        points=decimal(found.points, language), low=decimal(found.points_low, language),
        high=decimal(found.points_high, language), n=decimal(found.n, language, 0), where=where,
        smaller=decimal(found.ratio(size), language, 2), size=size, faster=decimal(found.faster, language, 2))))


def _links(trial: Trial) -> None:
    _ = i18n.translate()
    run = trial.final_run_id or trial.run_id
    with st.container(horizontal=True):
        if run:
            st.page_link(RUN_PAGE, label=_("Open the run"), icon=":material/timeline:", query_params={"run": run})
            st.page_link("pages/studio/lab.py", label=_("Take the recipe to the lab"), icon=":material/science:",
                         query_params={"fork": run})
