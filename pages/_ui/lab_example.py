"""The worked example: a few real runs on the digits, so that the first look at the lab is not an empty one."""

from __future__ import annotations

import streamlit as st

from core.experiments.runs import RunRequest
from core.locales import N_
from pages._ui import errors, i18n, services

_LOOK_AGAIN_S = 2.0
_QUANTIZE = {"step": "quantize", "scheme": "int8"}
_RECIPES = (
    {"name": N_("Example: int8"), "steps": [_QUANTIZE]},
    {"name": N_("Example: half the weights, int8"), "steps": [{"step": "magnitude", "sparsity": 0.5}, _QUANTIZE]},
    {"name": N_("Example: 80% zeros, trained again, int8"), "steps": [
        {"step": "magnitude", "sparsity": 0.8, "epochs": 5}, _QUANTIZE]},
)


def ensure_example() -> None:
    """Queue the example's runs in the background, once per installation and only where it wants one."""
    if not services.settings().jobs.example or services.library().status("digits") != "ready":
        return
    services.experiments().make_example([
        RunRequest(model="digits", data="digits", recipe=recipe, limit=None) for recipe in _RECIPES])


def example_under_way() -> None:
    """Say how far the example is while it is being made; the page draws itself again as its runs end."""
    if not services.settings().jobs.example:
        return
    runs = services.experiments().example()
    if any(not run.finished for run in runs):
        _watch(sum(run.finished for run in runs))


@st.fragment(run_every=_LOOK_AGAIN_S)
def _watch(known: int) -> None:
    with errors.shown():
        _ = i18n.translate()
        runs = services.experiments().example()
        done = sum(run.finished for run in runs)
        if done != known or not runs:
            st.rerun()
        going = sum(run.fraction for run in runs if not run.finished)
        st.progress(min(1.0, (done + going) / len(runs)), text=_(
            "A worked example is being made in the background: {done} of {count} runs have ended.").format(
                done=done, count=len(runs)))
