"""What every step of a recipe is: typed parameters that describe themselves, and a place in the order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from core.recipes.facts import ModelFacts


class Role(StrEnum):
    """What a step does to a model, which decides where in a recipe it may stand."""

    COMPRESS = "compress"  # changes weights so that they cost less
    RECOVER = "recover"  # repairs what the steps before it damaged
    CONVERT = "convert"  # fixes the numbers' types; nothing can follow


@dataclass(frozen=True)
class Problem:
    """Why a step cannot be done as written, and the step that could stand in its place.

    Attributes
    ----------
    message
        A template marked with ``N_`` that ends by naming ``{nearest}``, the nearest recipe that works.
    parameters
        The template's values, without ``nearest``.
    instead
        The steps to put in its place; empty to leave it out.
    """

    message: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    instead: tuple[Step, ...] = ()


class Step(BaseModel):
    """One step of a recipe.

    A subclass sets the class attributes, declares its fields with :func:`setting`, and is registered with
    :func:`register`. The lab's form, the command line, the validation, the report and the table in the docs
    are derived from it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: ClassVar[str]
    title: ClassVar[str]
    help: ClassVar[str]
    words: ClassVar[str]
    paper: ClassVar[str] = ""
    role: ClassVar[Role] = Role.COMPRESS
    main: ClassVar[tuple[str, ...]] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the step as it stands in a recipe file: its kind under ``step``, then every field."""
        return {"step": self.kind, **self.model_dump(mode="json")}

    def changes(self) -> dict[str, Any]:
        """Return the main fields, and those whose value is not the default."""
        changed = self.model_dump(mode="json", exclude_defaults=True)
        return self.model_dump(mode="json", include={*self.main, *changed})

    def problems(self) -> list[Problem]:
        """Return the contradictions between this step's own fields."""
        return []

    def problems_after(self, earlier: tuple[Step, ...]) -> list[Problem]:  # noqa: ARG002 - for subclasses
        """Return what makes this step impossible after ``earlier`` ones, beyond the order of roles."""
        return []

    def problems_on(self, facts: ModelFacts) -> list[Problem]:  # noqa: ARG002 - for subclasses
        """Return what makes this step impossible on one model."""
        return []

    def trains(self) -> bool:
        """Return whether the step trains, and so needs recovery images beside the calibration images."""
        return False

    def word_values(self) -> dict[str, object]:
        """Return the values for the placeholders of ``words``; each field by default."""
        return dict(self)


REGISTRY: dict[str, type[Step]] = {}
"""The step kinds by name, in order of registration."""

StepClass = TypeVar("StepClass", bound=type[Step])


def register(cls: StepClass) -> StepClass:
    """Make a kind of step known; used as a decorator.

    Raises
    ------
    ValueError
        If another class already has this kind.
    """
    known = REGISTRY.get(cls.kind)
    if known is not None and known.__qualname__ != cls.__qualname__:
        raise ValueError(f"two classes claim the step kind {cls.kind!r}")
    REGISTRY[cls.kind] = cls
    return cls


def setting(
    default: Any,
    *,
    title: str,
    help: str,
    unit: str = "",
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    step: float | None = None,
    scale: str = "linear",
    choices: Mapping[str, str] | None = None,
    advanced: bool = False,
    shown_when: Mapping[str, tuple[object, ...]] | None = None,
    default_factory: Callable[[], Any] | None = None,
) -> Any:
    """Declare a field with everything that a form, a help text or a table needs.

    Parameters
    ----------
    title, help, unit
        Marked with ``N_``. ``unit`` is "fraction", "minutes", "epochs"... or empty.
    ge, gt, le, lt
        Bounds, enforced and shown.
    step
        The increment of a number input.
    scale
        "linear", or "log" for a quantity such as a learning rate.
    choices
        Value to title, for a field with named values.
    advanced
        Whether a form may fold it away.
    shown_when
        Field name to the values under which this field has an effect.
    """
    extra: dict[str, Any] = {
        "help": help, "unit": unit, "step": step, "scale": scale, "choices": dict(choices or {}),
        "advanced": advanced, "shown_when": {k: list(v) for k, v in (shown_when or {}).items()},
    }
    bounds = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    given: dict[str, Any] = {name: bound for name, bound in bounds.items() if bound is not None}
    if default_factory is not None:
        return Field(default_factory=default_factory, title=title, json_schema_extra=extra, **given)
    return Field(default, title=title, json_schema_extra=extra, **given)
