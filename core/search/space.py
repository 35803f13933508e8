"""The recipes that a search may try: made from the schema of the steps, whatever model and method there are.

Every kind of step has a slot. Kinds with a ``sparsity`` exclude each other, as do those that repair and those that
fix the numbers' types; every other kind is there or not. A chosen kind brings its fields with their types and bounds.
Fields that a form would fold away keep their defaults.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.errors import InputError
from core.recipes import REGISTRY, ModelFacts, Recipe, Role, Step, check, describe_step, one_line, read_step, repair

PRUNE, RECOVER, CONVERT, NONE = "prune", "recover", "convert", "none"
FEWEST_TO_TRAIN = 64
_SLOWEST_SHARE = 0.1
_EPOCHS_MOST = 40
_ORDER = ("channels", "low_rank")
# Bounds of a field say what is possible; these say where, within them, anything useful was ever found.
_USEFUL: dict[str, tuple[float, float]] = {
    "sparsity": (0.1, 0.97), "macs": (0.05, 0.6), "clusters": (4, 128), "error": (0.005, 0.3), "keep_float": (0, 4),
    "ramp": (0.3, 0.8),
}
_LEFT_OUT = {("channels", "channels"), ("channels", "importance"), ("cluster", "learning_rate")}
_LOG = {"clusters", "epochs", "minutes", "error", "learning_rate"}


class Suggests(Protocol):
    """What chooses the values: an Optuna trial."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Choose one of ``choices``."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a number."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Choose a whole number."""


@dataclass(frozen=True)
class Conditions:
    """What the model, the data and the budget allow.

    Attributes
    ----------
    labelled
        Whether the images have labels to train on.
    images
        How many images there are to learn from.
    minutes
        The budget of the whole search.
    image_macs
        Multiply-accumulates of the model for one image.
    facts
        The model's layers, or None.
    barred
        Kinds that failed on this model whenever they were tried.
    """

    labelled: bool
    images: int
    minutes: float
    image_macs: int
    facts: ModelFacts | None = None
    barred: frozenset[str] = frozenset()
    macs_per_second: float = 2e9

    @property
    def trains(self) -> bool:
        """Whether there are images enough to train on."""
        return self.images >= FEWEST_TO_TRAIN

    @property
    def epochs(self) -> int:
        """The most passes over the images that one trial may take: a tenth of the budget, forward and backward."""
        once = 3 * max(1, self.image_macs) * max(1, self.images) / self.macs_per_second + 0.3
        return min(_EPOCHS_MOST, int(_SLOWEST_SHARE * self.minutes * 60 / once)) if self.trains else 0


@dataclass
class Space:
    """The choices for one model, data and budget."""

    conditions: Conditions
    slots: dict[str, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        slots: dict[str, list[str]] = {}
        for kind, cls in REGISTRY.items():
            if kind in self.conditions.barred or not self._possible(cls):
                continue
            slots.setdefault(slot_of(cls), [NONE]).append(kind)
        order = [*(k for k in _ORDER if k in slots), *(k for k in slots if k not in (*_ORDER, PRUNE, "cluster")),
                 PRUNE, "cluster"]
        self.slots = {name: tuple(slots[name]) for name in dict.fromkeys(order) if name in slots}

    def suggest(self, trial: Suggests) -> Recipe | None:
        """Return the recipe that ``trial`` chooses, mended where it could not work; None for one without a step."""
        chosen: dict[str, dict[str, Any]] = {}
        for slot, kinds in self.slots.items():
            kind = trial.suggest_categorical(slot, kinds)
            if kind != NONE:
                chosen[slot] = {"step": kind, **self._fields(trial, kind)}
        return self.compose(chosen)

    def compose(self, chosen: Mapping[str, Mapping[str, Any]]) -> Recipe | None:
        """Return the steps of each slot as a recipe in an order that works."""
        slots = [s for s in self.slots if s in chosen and s not in (RECOVER, CONVERT)]
        recover = chosen.get(RECOVER)
        if recover is not None and not slots:
            recover = None
        before = recover is not None and recover["step"] != "recalibrate" and "cluster" in slots
        names = [s for s in slots if s != "cluster"]
        names += [RECOVER] if before and len(names) else []
        names += ["cluster"] if "cluster" in slots else []
        names += [RECOVER] if recover is not None and not before else []
        names += [CONVERT] if CONVERT in chosen else []
        steps = tuple(read_step(dict(chosen[name])) for name in names)
        if not steps:
            return None
        mended = repair(Recipe(steps=steps), self.conditions.facts)
        try:
            check(mended, self.conditions.facts)
        except InputError:
            return None
        return mended.model_copy(update={"name": one_line(mended.steps)[:120]})

    def params(self, recipe: Recipe) -> dict[str, Any]:
        """Return the choices that lead to a recipe, as far as this space has them, to start a search from it."""
        by_slot = {slot_of(type(step)): step for step in recipe.steps}
        found: dict[str, Any] = {}
        for slot, kinds in self.slots.items():
            step = by_slot.get(slot)
            if step is None or step.kind not in kinds:
                found[slot] = NONE
                continue
            found[slot] = step.kind
            for name, (kind, low, high, choices) in self._choices(step.kind).items():
                value = getattr(step, name)
                if kind == "choice":
                    found[f"{step.kind}.{name}"] = value if value in choices else choices[0]
                else:
                    value = min(high, max(low, value))
                    found[f"{step.kind}.{name}"] = int(value) if kind == "integer" else float(value)
        return found

    def allows(self, recipe: Recipe) -> bool:
        """Tell whether every step of a recipe is a choice of this space."""
        return all(step.kind in self.slots.get(slot_of(type(step)), ()) for step in recipe.steps)

    def _fields(self, trial: Suggests, kind: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, (form, low, high, choices) in self._choices(kind).items():
            label = f"{kind}.{name}"
            if form == "choice":
                values[name] = trial.suggest_categorical(label, choices)
            elif form == "integer":
                values[name] = trial.suggest_int(label, int(low), int(high), log=name in _LOG and low > 0)
            else:
                value = trial.suggest_float(label, low, high, log=name in _LOG and low > 0)
                values[name] = float(f"{value:.3g}")
        return values

    def _choices(self, kind: str) -> dict[str, tuple[str, float, float, tuple[Any, ...]]]:
        """Return, per field that varies: its form, bounds and choices."""
        found: dict[str, tuple[str, float, float, tuple[Any, ...]]] = {}
        cls = REGISTRY[kind]
        for each in describe_step(cls)["fields"]:
            name = each["name"]
            if each["advanced"] or (kind, name) in _LEFT_OUT or (name == "steps" and each["default"] == 0):
                continue
            if each["type"] == "boolean":
                found[name] = ("choice", 0, 0, self._booleans(cls, name))
            elif each["type"] == "choice":
                found[name] = ("choice", 0, 0, tuple(choice["value"] for choice in each["choices"]))
            elif each["type"] in ("number", "integer"):
                found[name] = self._bounds(each)
        return found

    def _booleans(self, cls: type[Step], name: str) -> tuple[bool, ...]:
        if name == "labels":
            return (True, False) if self.conditions.labelled else (False,)
        if name == "one_shot" and not self.conditions.epochs:
            return (True,)
        return (True, False) if cls.model_fields[name].default else (False, True)

    def _bounds(self, described: Mapping[str, Any]) -> tuple[str, float, float, tuple[Any, ...]]:
        name, whole = described["name"], described["type"] == "integer"
        low = described["minimum"] if described["minimum"] is not None else described["exclusive_minimum"]
        high = described["maximum"] if described["maximum"] is not None else described["exclusive_maximum"]
        low, high = 0.0 if low is None else float(low), 1.0 if high is None else float(high)
        if described["exclusive_minimum"] is not None:
            low += 1.0 if whole else 1e-3 * max(1.0, min(high, 1.0))
        if name in _USEFUL:
            low, high = max(low, _USEFUL[name][0]), min(high, _USEFUL[name][1])
        if name == "epochs":
            high = max(low, float(self.conditions.epochs))
        if name == "minutes":
            high = max(0.1, _SLOWEST_SHARE * self.conditions.minutes)
            low = min(0.1, high / 2)
        return ("integer" if whole else "number", low, max(low, high), ())

    def _possible(self, cls: type[Step]) -> bool:
        """Tell whether a kind can ever be used here: its model, and images for what always trains."""
        step = cls()
        if step.trains() and not self.conditions.epochs:
            return False
        facts = self.conditions.facts
        return facts is None or all(p.instead for p in step.problems_on(facts))


def slot_of(cls: type[Step]) -> str:
    """Return the slot of a kind of step."""
    if cls.role is Role.CONVERT:
        return CONVERT
    if cls.role is Role.RECOVER:
        return RECOVER
    return PRUNE if "sparsity" in cls.model_fields else cls.kind


def complexity(recipe: Recipe) -> float:
    """Return a rough measure of how long a recipe takes beside others: epochs and minutes of training, one per step."""
    epochs = sum(math.log1p(float(getattr(s, "epochs", 0))) for s in recipe.steps if s.trains())
    return len(recipe.steps) + epochs + sum(float(getattr(s, "minutes", 0)) for s in recipe.steps)
