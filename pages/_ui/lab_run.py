"""Queue the recipe on the screen, once or once for each value of one of its fields."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.accounts import Principal
from core.experiments.estimates import Estimate, estimate
from core.experiments.runs import RunRequest
from core.experiments.sweeps import variations
from core.recipes import Recipe, describe
from pages._ui import errors, i18n, recipe_address, services
from pages._ui.lab_orders import order_choice, orders_drawn
from pages._ui.lab_past import Past
from pages._ui.lab_subject import Subject, image_sets
from pages._ui.state import state
from pages._ui.text import plain

_MOST = 20


def run_buttons(principal: Principal, subject: Subject, recipe: Recipe | None, known: Past) -> None:
    """Show the buttons that queue runs, and what a run may set besides its recipe."""
    _ = i18n.translate()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        clicked = st.button(_("Run"), key="lab.run", type="primary", icon=":material/play_arrow:",
                            disabled=recipe is None)
        with st.popover(_("Sweep"), icon=":material/stacked_line_chart:", disabled=recipe is None):
            recipes = _sweep(recipe) if recipe is not None else []
        with st.popover(_("Try every order"), icon=":material/account_tree:", disabled=recipe is None):
            ordered = order_choice(recipe, known) if recipe is not None else []
        with st.popover(_("Options"), icon=":material/tune:"):
            name, seed, limit, calibration = _options(principal, subject)
    orders_drawn(principal, recipe, known)
    if recipe is not None and clicked:
        recipes = [recipe]
    elif ordered and st.session_state.get("lab.orders_now"):
        recipes = ordered
    elif not (recipes and st.session_state.get("lab.sweep_now")):
        return
    requests = [
        RunRequest(model=subject.model, data=subject.data, calibration=calibration,
                   recipe=each.model_dump(mode="json"), seed=seed, limit=limit)
        for each in recipes
    ]
    told = [_kept(estimate(known.profile, each, known.learned)) for each in recipes]
    with errors.shown():
        queued = services.experiments().submit(principal, requests, name if len(recipes) == 1 else "", told)
        recipe_address.queued(queued[-1])
        state.notice = (_("The run is queued. You may leave the page; it goes on.") if len(recipes) == 1 else
                        _("{count} runs are queued. You may leave the page; they go on.").format(count=len(recipes)))
        st.rerun()


def _options(principal: Principal, subject: Subject) -> tuple[str, int, int | None, str | None]:
    _ = i18n.translate()
    name = st.text_input(_("Name of the run"), key="lab.name", max_chars=120,
                         placeholder=_("The recipe in words"))
    seed = st.number_input(_("Seed"), 0, 2**31 - 1, 0, key="lab.seed", help=_("Decides every random choice."))
    limit = st.number_input(_("Test on at most"), 8, 100_000, None, key="lab.limit", placeholder=_("all images"),
                            help=_("Fewer test images are faster and leave wider intervals."))
    sets = {"": _("the same images, those that are not tested on"), **image_sets(principal)[0]}
    sets.pop(subject.data, None)
    calibration = st.selectbox(
        _("Calibrate on"), list(sets), key=f"lab.calibration.{subject.data}", format_func=sets.__getitem__,
        help=_("The images that ranges are read from and weights are refitted on. Those of another set "
               "need no labels, and leave more of the first one for testing."))
    return name, int(seed), None if limit is None else int(limit), calibration or None


def _sweep(recipe: Recipe) -> list[Recipe]:
    _ = i18n.translate()
    kinds = {each["kind"]: each for each in describe(_)}
    fields = {}
    for number, step in enumerate(recipe.steps, 1):
        for field in kinds[step.kind]["fields"]:
            if field["type"] in ("number", "integer"):
                title = f"{number}. {kinds[step.kind]['title']}: {field['title']}"
                fields[f"{number}.{field['name']}"] = (title, field)
    if not fields:
        st.caption(_("No step of the recipe has a number to vary."))
        return []
    first = next((path for path in fields if path.endswith(".sparsity")), next(iter(fields)))
    path = st.selectbox(_("Vary"), list(fields), list(fields).index(first), key="lab.sweep_field",
                        format_func=lambda p: fields[p][0])
    whole, fraction = fields[path][1]["type"] == "integer", fields[path][1]["unit"] and path.endswith("sparsity")
    low, high, by = (0.3, 0.9, 0.1) if fraction else (1.0, 5.0, 1.0)
    one, two, three = st.columns(3)
    style = {"format": "%.0f" if whole else "%.3g"}
    start = one.number_input(_("From"), value=low, key=f"lab.sweep_from.{path}", **style)
    end = two.number_input(_("To"), value=high, key=f"lab.sweep_to.{path}", **style)
    step = three.number_input(_("In steps of"), value=by, min_value=1e-6, key=f"lab.sweep_by.{path}", **style)
    count = int((end - start) / step + 1.0001) if end >= start else 0
    if not 1 <= count <= _MOST:
        st.warning(_("Choose a range of 1 to {most} values.").format(most=_MOST), icon=":material/warning:")
        return []
    values = [round(float(v), 6) for v in start + step * np.arange(count)]
    found: list[Recipe] = []
    with errors.shown():
        found = variations(recipe, path, [int(v) for v in values] if whole else values)
    st.caption(plain(", ".join(f"{v:g}" for v in values)))
    st.button(_("Queue {count} runs").format(count=count), key="lab.sweep_now", type="primary", disabled=not found,
              icon=":material/playlist_play:")
    return found


def _kept(found: Estimate) -> dict[str, object]:
    return found.model_dump(mode="json", exclude={"layers"})
