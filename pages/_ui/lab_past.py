"""What earlier runs taught, for the lab: read from the database once and again only when a run has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from core.accounts import Principal
from core.experiments.estimates import History, history
from core.experiments.profiles import ModelProfile, profile
from core.recipes import LayerFacts, ModelFacts
from pages._ui import i18n, services
from pages._ui.lab_subject import Subject

if TYPE_CHECKING:
    from core.experiments.runs import Run

MOST = 80
_KINDS = {4: "conv2d", 2: "dense"}


@dataclass(frozen=True)
class Past:
    """The model's profile, the runs on it and the data, and what they teach."""

    profile: ModelProfile
    runs: tuple[Run, ...] = ()
    learned: History = field(default_factory=History)

    @property
    def finished(self) -> list[Run]:
        """Those with figures, newest first."""
        return [run for run in self.runs if run.record is not None]


def past(principal: Principal, subject: Subject) -> Past:
    """Return what is known about this model on this data."""
    model = model_profile(subject)
    runs = services.experiments().runs(
        principal, status=("finished",), model=subject.model, data=subject.data, limit=MOST, with_example=True)
    done = [run for run in runs if run.record is not None]
    learned = history(model, [run.record for run in done if run.record], [run.estimate for run in done])
    return Past(model, tuple(runs), learned)


@st.cache_resource(max_entries=8, show_spinner=False)
def _profile(path: str, modified: int, cache: str) -> ModelProfile:  # noqa: ARG001 - a part of the key
    from pathlib import Path

    return profile(Path(path), Path(cache))


def model_profile(subject: Subject) -> ModelProfile:
    """Return the profile of the model's float file; the first one takes seconds."""
    _ = i18n.translate()
    path = services.library().artifact(subject.model, "float32")
    with st.spinner(_("Reading the model's layers, once")):
        return _profile(str(path), path.stat().st_mtime_ns, str(services.settings().home / "cache"))


def facts(model: ModelProfile, name: str) -> ModelFacts:
    """Return what a recipe is checked against."""
    layers = tuple(
        LayerFacts(
            name=layer.name, kind=_KINDS.get(len(layer.shape), "dense") if layer.prunable else "depthwise_conv2d",
            shape=layer.shape, parameters=layer.weights)
        for layer in model.layers)
    return ModelFacts(name=name, layers=layers, has_batch_norm=True,
                      parameters=sum(layer.weights for layer in model.layers))
