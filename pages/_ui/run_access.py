"""Whose run a page shows, and by which right: one's own, the worked example's, or a link that was given away."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from core.accounts import Principal
from core.errors import NotFoundError, SecateurError
from core.experiments.predictions import Predictions
from core.experiments.runs import Run, measured_on
from pages._ui import auth, errors, i18n, services

RUN, LIST, LAB = "pages/studio/run.py", "pages/studio/experiments.py", "pages/studio/lab.py"


@dataclass(frozen=True)
class View:
    """A run, who looks at it, and the token of the link they came by; ``mine`` lets them change it."""

    run: Run
    principal: Principal | None
    token: str | None = None
    mine: bool = False

    @property
    def record(self) -> dict[str, Any]:
        """The run's record; only for a finished run."""
        return self.run.record or {}

    def of_images(self, *, validation: str, test: str) -> str:
        """Return the words for the images that the figures are of: a search's trial has not seen the test images."""
        return validation if measured_on(self.record) == "validation" else test

    @property
    def language(self) -> str:
        """The language of the page."""
        return i18n.language()

    def file(self, name: str) -> Path:
        """Return a local copy of one of the run's files. NotFoundError, StorageError."""
        if self.token is not None:
            return services.sharing().file(self.token, self.run.id, name)
        if self.principal is None:
            raise NotFoundError("Run {run} has no file '{name}'.", run=self.run.id[:8], name=name)
        return services.experiments().file(self.principal, self.run.id, name)

    def has(self, name: str) -> bool:
        """Return whether the run left a file of that name."""
        return any(artifact.name == name for artifact in self.run.artifacts)

    def details(self) -> dict[str, Any]:
        """Return what was measured beyond the record."""
        return dict(json.loads(self.file("details.json").read_text("utf-8")))

    def predictions(self) -> Predictions:
        """Return both models' answers on the images that the figures are of."""
        return Predictions.load(self.file("predictions.npz"))

    def labels(self) -> list[str] | None:
        """Return the class names, or None if the model has left the library."""
        try:
            library = services.library()
            return library.labels(library.card(self.run.request.model.partition(":")[0]), self.language)
        except SecateurError:
            return None


def open_run() -> View:
    """Return the run that the address names, or show one sentence instead of it and stop."""
    token = st.query_params.get("share")
    try:
        if token is not None:
            runs = services.sharing().shared(token)
            asked = st.query_params.get("run")
            return View(next((run for run in runs if run.id == asked), runs[0]), auth.current(), token)
        principal = auth.guard()
        return own(principal, st.query_params.get("id") or st.query_params.get("run") or "")
    except SecateurError as error:
        stop_with(error)


def own(principal: Principal, run_id: str) -> View:
    """Return one's run, or one of the worked example. NotFoundError for any other, InputError if ambiguous."""
    run = services.experiments().run(principal, run_id)
    try:
        services.listing().notes(principal, run.id)
    except NotFoundError:
        return View(run, principal)
    return View(run, principal, mine=True)


def stop_with(error: SecateurError) -> None:
    """Show why there is nothing to see, and where to go from here; ends the page."""
    _ = i18n.translate()
    errors.show(error)
    if auth.current() is not None:
        st.page_link(LIST, label=_("All experiments"), icon=":material/arrow_back:")
    st.stop()
