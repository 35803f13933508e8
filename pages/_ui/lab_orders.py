"""The steps of the recipe in every order: queue those that can work, say why others cannot, and draw the tree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.charts.orders import orders_tree
from core.errors import SecateurError
from core.experiments.orders import FEWEST_STEPS, MOST_STEPS, STATES, described, orders, tree
from core.recipes import one_line, read_recipe
from pages._ui import errors, i18n, services
from pages._ui.text import plain

if TYPE_CHECKING:
    from core.accounts import Principal
    from core.experiments.orders import Node
    from core.experiments.runs import Run
    from core.recipes import Recipe
    from pages._ui.lab_past import Past


def order_choice(recipe: Recipe, known: Past) -> list[Recipe]:
    """Show the orders in a popover; return the recipes to queue, those that were measured already left out."""
    _ = i18n.translate()
    if not FEWEST_STEPS <= len(recipe.steps) <= MOST_STEPS:
        st.caption(_("Orders are tried of {fewest} to {most} steps. Add steps to the recipe, or take some out.").format(
            fewest=FEWEST_STEPS, most=MOST_STEPS))
        return []
    found: list[Node] = []
    with errors.shown():
        found = orders(recipe.steps)
    measured = _measured(found, known)
    waiting = [node.recipe for node in found if node.recipe is not None and node.name not in measured]
    refused = [node for node in found if node.reason is not None]
    st.caption(_("Each order and each beginning of one is a run of its own, so that the tree shows what every step "
                 "kept of the zeros and of the shared values."))
    for node in refused:
        steps = one_line(tuple(recipe.steps[i] for i in node.steps))
        st.caption(f":material/block: **{plain(steps)}** {plain(node.reason.render(_) if node.reason else '')}")
    st.button(_("Queue {count} runs").format(count=len(waiting)), key="lab.orders_now", type="primary",
              disabled=not waiting, icon=":material/playlist_play:")
    st.toggle(_("Draw the tree"), key="lab.orders_tree", disabled=not measured)
    return waiting


def orders_drawn(principal: Principal, recipe: Recipe | None, known: Past) -> None:
    """Draw the tree of what was measured, where it was asked for."""
    if recipe is None or not st.session_state.get("lab.orders_tree"):
        return
    _ = i18n.translate()
    try:
        found = orders(recipe.steps)
        runs = _measured(found, known)
        layers = {name: _layers(principal, run) for name, run in runs.items()}
    except SecateurError as error:
        errors.show(error)
        return
    records = {name: run.record for name, run in runs.items() if run.record is not None}
    frame = described(tree(found, recipe.steps, records, layers, {n: r.id for n, r in runs.items()}, _), _)
    frame = frame.assign(state=frame["state"].replace("failed", "waiting"))
    words = {state: _(text) for state, text in STATES.items()}
    titles = {"label": _("Steps"), "state": _("State"), "figures": _("Kept"), "note": _("Reason")}
    st.altair_chart(orders_tree(frame, words=words, titles=titles), width="content",
                    alt=_("A tree of the steps in every order, with the zeros and the values that each file kept."))


def _measured(nodes: list[Node], known: Past) -> dict[str, Run]:
    """Return the newest finished run of each node, by the node's name."""
    finished = {_key(read_recipe(run.request.recipe)): run for run in reversed(known.finished)}
    keys = {node.name: _key(node.recipe) for node in nodes if node.recipe is not None}
    return {name: finished[key] for name, key in keys.items() if key in finished}


def _key(recipe: Recipe) -> str:
    return json.dumps([step.as_dict() for step in recipe.steps], sort_keys=True)


def _layers(principal: Principal, run: Run) -> list[dict[str, Any]]:
    path = services.experiments().file(principal, run.id, "details.json")
    return list(json.loads(path.read_text("utf-8"))["layers"])
