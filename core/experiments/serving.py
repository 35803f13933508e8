"""Put the file that a run made on the shelf, where its owner alone finds it."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.accounts import Accounts, Principal
from core.errors import InputError, NotFoundError
from core.experiments.runs import Run
from core.locales import N_
from core.measurement.tflite_file import read_tflite
from core.settings import Settings
from core.zoo import Library, ModelCard
from core.zoo.cards import Metric, Weights

FILE = "model.tflite"


def variant_name(run: Run) -> str:
    """Return the name under which a run's model stands in the library."""
    return f"{run.request.model.partition(':')[0]}-{run.id[:8]}"[:80]


class Serving:
    """Make variants out of finished runs, and take them away again."""

    def __init__(self, library: Library, accounts: Accounts, settings: Settings) -> None:
        self._library, self._accounts = library, accounts
        self._shelf = settings.home / "models"

    def serve(self, principal: Principal, run: Run, model: Path) -> str:
        """Add the variant, private to ``principal``, and return its name; one that is there already stays.

        Parameters
        ----------
        run
            A finished run of this person.
        model
            Its ``model.tflite``.

        Raises
        ------
        InputError
            If the run has no result.
        NotFoundError
            If the base model is gone.
        """
        principal = self._accounts.require(principal)
        if run.record is None:
            raise InputError(N_("Run {run} has no result to serve. Wait until it has finished."), run=run.id[:8])
        name = variant_name(run)
        if self.served(principal, run):
            return name
        base = self._library.card(run.request.model.partition(":")[0])
        form = _form(run, model)
        self._library.add(
            _card(run, base, name, form, principal.user_id), self._library.names_of_classes(base), {FILE: model},
            self._library.aliases(base),
        )
        return name

    def served(self, principal: Principal, run: Run) -> bool:
        """Return whether the run's model stands in the library for this person."""
        try:
            return self._library.card(variant_name(run)).owner == principal.user_id
        except NotFoundError:
            return False

    def withdraw(self, principal: Principal, run: Run) -> None:
        """Take the variant out of the library; nothing happens if it is not there or not one's own."""
        principal = self._accounts.require(principal)
        if self.served(principal, run):
            shutil.rmtree(self._shelf / variant_name(run), ignore_errors=True)


def withdraw_all(library: Library, settings: Settings, user_id: str) -> None:
    """Take every variant of an account that is being deleted out of the library."""
    for card in library.cards():
        if card.owner == user_id:
            shutil.rmtree(settings.home / "models" / card.name, ignore_errors=True)


def _form(run: Run, model: Path) -> str:
    steps = (run.record or {})["recipe"]["steps"]
    scheme = next((str(s["scheme"]) for s in reversed(steps) if s["step"] == "quantize"), None)
    if scheme is not None:
        return scheme
    types = {weight.tensor.type for weight in read_tflite(model).weights}
    if len(types) > 1:
        return "float32" if "float32" in types else "int8"
    return types.pop() if types else "float32"


def _card(run: Run, base: ModelCard, name: str, form: str, owner: str) -> ModelCard:
    record = run.record or {}
    accuracy = record["compressed"]["accuracy"]
    metrics = [] if accuracy is None else [Metric(
        name="top1", value=round(accuracy["top1"]["value"], 4), n=accuracy["n"], form=form,
        how=f"{record['data']}, seed {record['seed']}, run {run.id[:8]}",
    )]
    return base.model_copy(update={
        "name": name, "kind": "variant", "title": f"{base.title}: {run.name}"[:120], "translations": {},
        "description": str(record["recipe"].get("description", "")), "metrics": metrics, "how_to_add": "",
        "weights": Weights(kind="none"), "forms": [form], "files": {form: FILE}, "labels": "labels.csv",
        "base": base.name, "owner": owner,
    })
