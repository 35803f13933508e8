"""Steps described as plain data: what the form, the command line, the report and the docs are made of."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import Any

from pydantic.fields import FieldInfo

from core.recipes.step import REGISTRY, Step


def describe(translate: Callable[[str], str] = str) -> list[dict[str, Any]]:
    """Return every kind of step with its fields.

    Parameters
    ----------
    translate
        Applied to titles, helps, units and choices.

    Returns
    -------
    list of dict
        Per kind: ``kind``, ``title``, ``help``, ``role`` ("compress", "recover" or "convert"), ``paper`` and
        ``fields``, each with ``name``, ``title``, ``help``, ``unit``, ``type`` ("number", "integer",
        "boolean", "choice"), ``default``, ``minimum``, ``maximum``, ``exclusive_minimum``,
        ``exclusive_maximum``, ``step``, ``scale``, ``choices`` (a list of value and title), ``by_layer``
        (whether a mapping of layer to fraction is accepted too), ``advanced`` and ``shown_when``.
    """
    return [describe_step(cls, translate) for cls in REGISTRY.values()]


def describe_step(cls: type[Step], translate: Callable[[str], str] = str) -> dict[str, Any]:
    """Return one kind of step as :func:`describe` does."""
    return {
        "kind": cls.kind,
        "title": translate(cls.title),
        "help": translate(cls.help),
        "role": cls.role.value,
        "paper": cls.paper,
        "fields": [_field(name, info, translate) for name, info in cls.model_fields.items()],
    }


def markdown(translate: Callable[[str], str] = str) -> str:
    """Return the table of every step's fields for the docs, in Markdown."""
    lines = ["| step | field | meaning | values | default |", "|---|---|---|---|---|"]
    for kind in describe(translate):
        for field in kind["fields"]:
            default = field["default"]
            shown = str(default).lower() if isinstance(default, bool) else f"{default}"
            lines.append(f"| {kind['kind']} | `{field['name']}` | {field['title']}. {field['help']} "
                         f"| {_values(field)} | {shown} |")
    return "\n".join(lines)


def _values(field: dict[str, Any]) -> str:
    if field["choices"]:
        named = ", ".join(f"`{choice['value']}`" for choice in field["choices"])
        return named + (", or {layer: fraction}" if field["by_layer"] else "")
    if field["type"] == "boolean":
        return "`true`, `false`"
    low = f"above {field['exclusive_minimum']}" if field["exclusive_minimum"] is not None else f"{field['minimum']}"
    high = "" if field["maximum"] is None else f" to {field['maximum']}"
    return f"{low}{high} {field['unit']}".strip()


def _field(name: str, info: FieldInfo, translate: Callable[[str], str]) -> dict[str, Any]:
    extra: dict[str, Any] = dict(info.json_schema_extra) if isinstance(
        info.json_schema_extra, dict) else {}
    bounds: dict[str, Any] = {}
    for item in info.metadata:
        for key in ("ge", "gt", "le", "lt"):
            if hasattr(item, key):
                bounds[key] = getattr(item, key)
    choices = extra.get("choices") or {}
    return {
        "name": name,
        "title": translate(info.title or name),
        "help": translate(extra.get("help", "")) if extra.get("help") else "",
        "unit": translate(extra["unit"]) if extra.get("unit") else "",
        "type": _type(info.annotation, bool(choices)),
        "default": info.get_default(call_default_factory=True),
        "minimum": bounds.get("ge"),
        "exclusive_minimum": bounds.get("gt"),
        "maximum": bounds.get("le"),
        "exclusive_maximum": bounds.get("lt"),
        "step": extra.get("step"),
        "scale": extra.get("scale", "linear"),
        "choices": [{"value": value, "title": translate(text)} for value, text in choices.items()],
        "by_layer": _has_mapping(info.annotation),
        "advanced": bool(extra.get("advanced")),
        "shown_when": extra.get("shown_when") or {},
    }


def _type(annotation: Any, has_choices: bool) -> str:
    if has_choices:
        return "choice"
    return {bool: "boolean", int: "integer", float: "number"}.get(annotation, "text")


def _has_mapping(annotation: Any) -> bool:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return any(typing.get_origin(part) is dict for part in typing.get_args(annotation))
    return False
