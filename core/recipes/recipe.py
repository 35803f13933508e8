"""A recipe: an ordered list of steps, read strictly from a file, a form or a dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
)
from pydantic_core import ErrorDetails

from core.errors import InputError, Phrase
from core.locales import N_
from core.recipes.facts import nearest
from core.recipes.step import REGISTRY, Step

MAX_STEPS = 12
MAX_CHARACTERS = 64_000
_KEYS = ["name", "description", "steps"]
_BOUNDS = {
    "greater_than": N_("more than {limit}"),
    "greater_than_equal": N_("at least {limit}"),
    "less_than": N_("less than {limit}"),
    "less_than_equal": N_("at most {limit}"),
}


class Recipe(BaseModel):
    """What to do to a model, in order.

    ``steps`` accepts steps or dictionaries with the kind under ``step``; a dictionary that cannot be used
    raises :class:`~core.errors.InputError`. Whether the steps compose is for :func:`core.recipes.check`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("", max_length=120)
    description: str = Field("", max_length=2000)
    steps: tuple[Step, ...]

    @field_validator("steps", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(read_step(item, number) for number, item in enumerate(value, 1))
        return value

    @field_serializer("steps")
    def _write(self, steps: tuple[Step, ...]) -> list[dict[str, Any]]:
        return [step.as_dict() for step in steps]

    def to_yaml(self) -> str:
        """Return the recipe file, with every field written out so that it stays the same recipe later."""
        content = {k: v for k, v in self.model_dump(mode="json").items() if v or k == "steps"}
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def read_step(value: object, number: int = 1) -> Step:
    """Return the step described by ``value``, a step already or a dictionary.

    Raises
    ------
    InputError
        If the kind or a key is unknown (the message names the nearest known one), or a value cannot be used.
    """
    if isinstance(value, Step):
        return value
    kinds = list(REGISTRY)
    if not isinstance(value, Mapping) or "step" not in value:
        raise InputError(
            N_("Step {number} of the recipe does not say what it is. Write it as 'step: KIND' followed by its "
               "fields, with KIND one of {kinds}."), number=number, kinds=", ".join(kinds))
    kind = _short(value["step"])
    if kind not in REGISTRY:
        raise InputError(
            N_("Step {number} of the recipe is of the unknown kind '{kind}'. Did you mean '{nearest}'?"),
            number=number, kind=kind, nearest=nearest(kind, kinds))
    cls = REGISTRY[kind]
    fields = {str(key): given for key, given in value.items() if key != "step"}
    for key, given in fields.items():
        if key not in cls.model_fields:
            raise InputError(
                N_("Step {number} ({kind}) has the unknown key '{key}'. Did you mean '{nearest}'?"),
                number=number, kind=kind, key=_short(key), nearest=nearest(key, list(cls.model_fields)))
        if isinstance(given, bool) and cls.model_fields[key].annotation is not bool:
            raise InputError(_VALUE, number=number, kind=kind, key=key, value=given,
                             reason=_expected(cls, key))
    try:
        return cls.model_validate(fields)
    except ValidationError as error:
        raise _explained(error.errors(), cls, number) from error


def read_recipe(content: Mapping[Any, Any]) -> Recipe:
    """Return the recipe in ``content``, the mapping that a recipe file holds.

    Raises
    ------
    InputError
        If a key is unknown, there is no step or there are too many, or a step cannot be used.
    """
    for key in content:
        if key not in _KEYS:
            raise InputError(
                N_("The recipe has the unknown key '{key}'. Did you mean '{nearest}'?"),
                key=_short(key), nearest=nearest(str(key), _KEYS))
    steps = content.get("steps")
    if not isinstance(steps, Sequence) or isinstance(steps, str) or not 1 <= len(steps) <= MAX_STEPS:
        raise InputError(
            N_("A recipe needs a list 'steps' of 1 to {most} steps, each starting with 'step: KIND'."),
            most=MAX_STEPS)
    try:
        return Recipe.model_validate(dict(content))
    except ValidationError as error:
        raise InputError(
            N_("The value of '{key}' in the recipe cannot be used: write a short text."),
            key=".".join(str(part) for part in error.errors()[0]["loc"])) from error


def parse_recipe(text: str) -> Recipe:
    """Return the recipe in a YAML text.

    Raises
    ------
    InputError
        If the text is not the YAML of a recipe, is larger than 64,000 characters, or uses aliases (which can
        make a small text huge).
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(N_("The recipe is longer than {most} characters, which no recipe needs."),
                         most=MAX_CHARACTERS)
    try:
        aliased = any(isinstance(e, yaml.AliasEvent) for e in yaml.parse(text, Loader=yaml.SafeLoader))
        content = None if aliased else yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(N_("The recipe is not readable YAML near line {line}."),
                         line=mark.line + 1 if mark else 1) from error
    if not isinstance(content, Mapping):
        raise InputError(N_("A recipe is a YAML mapping with 'name' and 'steps', without anchors or aliases. "
                            "See the presets for examples."))
    return read_recipe(content)


_VALUE = N_("Step {number} ({kind}): '{key}' cannot be {value}; it must be {reason}.")


def _explained(errors: list[ErrorDetails], cls: type[Step], number: int) -> InputError:
    detail = errors[0]
    # A field with several types has one error per type; for a mapping, only its own type's says why.
    if detail["type"] == "literal_error" and isinstance(detail["input"], Mapping) and len(errors) > 1:
        detail = errors[1]
    key = str(detail["loc"][0]) if detail["loc"] else ""
    reason = _expected(cls, key)
    given = detail["input"]
    where = key
    limit = next(iter((detail.get("ctx") or {}).values()), None)
    if len(detail["loc"]) > 2:
        where = f"{key}.{_short(detail['loc'][-1])}"
    if detail["type"] in _BOUNDS and isinstance(limit, (int, float)):
        reason = Phrase(_BOUNDS[detail["type"]], limit=f"{limit:g}")
    return InputError(_VALUE, number=number, kind=cls.kind, key=where, value=_short(given),
                      reason=reason)


_KINDS = {"int": N_("a whole number"), "float": N_("a number"), "bool": N_("true or false")}
_OTHER = N_("another value")
_ALLOCATION = N_("{choices} | a fraction for each layer, by its name")


def _expected(cls: type[Step], key: str) -> Phrase:
    field = cls.model_fields.get(key)
    extra = field.json_schema_extra if field is not None else None
    choices = extra.get("choices") if isinstance(extra, dict) else None
    if isinstance(choices, dict) and choices:
        return Phrase(_ALLOCATION if key == "allocation" else "{choices}", choices=" | ".join(choices))
    kind = getattr(field.annotation, "__name__", "") if field is not None else ""
    return Phrase(_KINDS.get(kind, _OTHER))


def _short(value: object, most: int = 60) -> str:
    if isinstance(value, (Mapping, list, tuple, set)):
        return f"a {type(value).__name__}"
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"
