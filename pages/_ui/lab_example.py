"""The worked example: a few real runs on the digits, so that the first look at the lab is not an empty one."""

from __future__ import annotations

from core.experiments.runs import RunRequest
from core.locales import N_
from pages._ui import services

_QUANTIZE = {"step": "quantize", "scheme": "int8"}
_RECIPES = (
    {"name": N_("Example: int8"), "steps": [_QUANTIZE]},
    {"name": N_("Example: half the weights, int8"), "steps": [{"step": "magnitude", "sparsity": 0.5}, _QUANTIZE]},
    {"name": N_("Example: 80 % zeros, trained again, int8"), "steps": [
        {"step": "magnitude", "sparsity": 0.8, "epochs": 5}, _QUANTIZE]},
)


def ensure_example() -> None:
    """Queue the example's runs in the background, once per installation and only where it wants one."""
    if not services.settings().jobs.example or services.library().status("digits") != "ready":
        return
    services.experiments().make_example([
        RunRequest(model="digits", data="digits", recipe=recipe, limit=None) for recipe in _RECIPES])
