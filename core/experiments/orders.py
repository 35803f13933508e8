"""Steps in every order, as a tree: which orders cannot work and why, and what each one that works kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from core.errors import InputError
from core.locales import N_
from core.recipes import ModelFacts, Recipe, Step, load_recipe

MOST_STEPS = 4
FEWEST_STEPS = 2
DEFAULT: tuple[dict[str, Any], ...] = (
    {"step": "reconstruction", "sparsity": 0.5}, {"step": "cluster", "clusters": 32}, {"step": "quantize"},
)
"""Prune, cluster and quantize, without labels."""

COLUMNS = (
    "node", "parent", "step", "depth", "state", "run", "reason", "zeros", "values", "top1", "agreement", "gzip_bytes",
)

STATES = {
    "baseline": N_("original"), "finished": N_("measured"), "failed": N_("failed"), "waiting": N_("not measured yet"),
    "refused": N_("cannot work"),
}


@dataclass(frozen=True)
class Node:
    """One beginning of an order: some of the steps, one after the other.

    Attributes
    ----------
    steps
        The positions, from 0, of the steps in the list that was given.
    recipe
        What to run, or None where it cannot work.
    reason
        Why it cannot work.
    """

    steps: tuple[int, ...]
    recipe: Recipe | None
    reason: InputError | None = None

    @property
    def name(self) -> str:
        """Return a short name of the node, such as "1-3"; empty for the model as it was."""
        return "-".join(str(i + 1) for i in self.steps)


def orders(steps: Sequence[Step], facts: ModelFacts | None = None) -> list[Node]:
    """Return every beginning of every order, parents before children; nothing follows one that cannot work.

    Raises
    ------
    InputError
        If there are fewer than two steps or more than four, or no order works at all.
    """
    if not FEWEST_STEPS <= len(steps) <= MOST_STEPS:
        raise InputError(
            N_("Orders are tried of {fewest} to {most} steps, and the recipe has {count}."),
            fewest=FEWEST_STEPS, most=MOST_STEPS, count=len(steps))
    found: list[Node] = []
    _grow((), steps, facts, found)
    if not any(node.recipe for node in found):
        raise InputError(N_("None of these steps can work, in any order. The first reason: {reason}"),
                         reason=str(found[0].reason))
    return found


def _grow(before: tuple[int, ...], steps: Sequence[Step], facts: ModelFacts | None, found: list[Node]) -> None:
    for index in range(len(steps)):
        if index in before:
            continue
        path = (*before, index)
        chosen = [steps[i] for i in path]
        name = " → ".join(step.kind for step in chosen)[:120]
        try:
            recipe = load_recipe({"name": name, "steps": [step.as_dict() for step in chosen]}, facts)
        except InputError as error:
            found.append(Node(path, None, error))
            continue
        found.append(Node(path, recipe))
        _grow(path, steps, facts, found)


def tree(
    nodes: Sequence[Node], steps: Sequence[Step], records: Mapping[str, Mapping[str, Any]],
    layers: Mapping[str, Sequence[Mapping[str, Any]]], runs: Mapping[str, str] | None = None,
    translate: Callable[[str], str] = str,
) -> pd.DataFrame:
    """Return one row per node, the model as it was first.

    Parameters
    ----------
    records
        The record of each finished run by its node's name.
    layers
        What was measured of each layer of the file, by the node's name.
    runs
        The id of each run by its node's name.
    translate
        Applied to the reasons.

    Returns
    -------
    DataFrame
        ``node`` and ``parent`` (names), ``step`` (its kind), ``depth``, ``state`` ("baseline", "finished", "failed",
        "refused"), ``run``, ``reason`` (why it is refused), ``zeros`` (fraction of the weights in the file),
        ``values`` (most distinct weights of one layer, depthwise ones left out), ``top1`` and ``agreement``
        (fractions) and ``gzip_bytes``.
    """
    rows: list[dict[str, Any]] = []
    first = next(iter(records.values()), None)
    root: dict[str, Any] = {"node": "", "parent": "", "step": "", "depth": 0, "state": "baseline"}
    if first is not None:
        root |= {"top1": _top1(first["baseline"]), "agreement": 1.0,
                 "gzip_bytes": first["baseline"]["size"]["gzip_bytes"]}
    rows.append(root)
    for node in nodes:
        row: dict[str, Any] = {
            "node": node.name, "parent": "-".join(node.name.split("-")[:-1]), "step": steps[node.steps[-1]].kind,
            "depth": len(node.steps), "state": "refused" if node.recipe is None else "failed",
            "run": (runs or {}).get(node.name, ""),
            "reason": "" if node.reason is None else node.reason.render(translate),
        }
        record = records.get(node.name)
        if record is not None:
            row |= {"state": "finished", **_kept(layers.get(node.name, ())), "top1": _top1(record["compressed"]),
                    "agreement": record["comparison"]["agreement"],
                    "gzip_bytes": record["compressed"]["size"]["gzip_bytes"]}
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def described(frame: pd.DataFrame, translate: Callable[[str], str]) -> pd.DataFrame:
    """Return the tree with its texts: ``label``, ``figures`` and ``note`` of each node."""
    rows = frame.to_dict("records")
    return frame.assign(
        label=[str(row["step"]) or translate(N_("original")) for row in rows],
        figures=[_figures(row, translate) for row in rows],
        note=frame["reason"].fillna(""))


def _figures(row: Mapping[Hashable, Any], translate: Callable[[str], str]) -> str:
    if row["state"] == "refused":
        return translate(N_("cannot work"))
    parts = []
    if _known(row["zeros"]):
        parts += [translate(N_("{share:.1%} zeros")).format(share=row["zeros"]),
                  translate(N_("{count} values")).format(count=int(row["values"]))]
    if _known(row["top1"]):
        parts.append(f"{row['top1']:.1%}")
    elif _known(row["agreement"]):
        parts.append(f"≈ {row['agreement']:.1%}")
    if _known(row["gzip_bytes"]):
        parts.append(f"{row['gzip_bytes'] / 1000:,.0f} kB")
    return " · ".join(parts)


def _known(value: Any) -> bool:
    return value is not None and value == value


def _top1(measured: Mapping[str, Any]) -> float | None:
    accuracy = measured["accuracy"]
    return None if accuracy is None else float(accuracy["top1"]["value"])


def _kept(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the zeros and the most values of one layer that a file holds."""
    whole = [layer for layer in layers if layer["kind"] != "DEPTHWISE_CONV_2D"]
    weights = sum(int(layer["parameters"]) for layer in whole)
    if not weights:
        return {}
    return {"zeros": sum(float(x["zeros"]) * int(x["parameters"]) for x in whole) / weights,
            "values": max(int(layer["distinct"]) for layer in whole)}
