"""Whether the steps of a recipe can follow each other, and on one model; if not, the nearest recipe that can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import InputError
from core.locales import N_
from core.recipes.facts import ModelFacts
from core.recipes.recipe import Recipe
from core.recipes.step import REGISTRY, Problem, Role, Step

Steps = tuple[Step, ...]
_MOST_REPAIRS = 30
_KEEP_CLUSTERS = ("cluster", "recalibrate", "quantization_aware_training")


@dataclass(frozen=True)
class _Finding:
    problem: Problem
    repaired: Steps


def check(recipe: Recipe, facts: ModelFacts | None = None) -> None:
    """Refuse a recipe that cannot work, before any time is spent on it.

    Parameters
    ----------
    recipe
        What is meant to be done.
    facts
        The model it is meant for; without, only the recipe itself is checked.

    Raises
    ------
    InputError
        With the first reason, and the nearest recipe that works in one line (parameter ``nearest``) and as
        the content of a recipe file (parameter ``nearest_steps``).
    """
    first = next(_findings(recipe.steps, facts), None)
    if first is None:
        return
    fixed = repair(recipe, facts)
    raise InputError(
        first.problem.message, **first.problem.parameters,
        nearest=one_line(fixed.steps), nearest_steps=[step.as_dict() for step in fixed.steps])


def repair(recipe: Recipe, facts: ModelFacts | None = None) -> Recipe:
    """Return the nearest recipe that works: problems are mended one after the other, in order."""
    steps = recipe.steps
    for _ in range(_MOST_REPAIRS):
        finding = next(_findings(steps, facts), None)
        if finding is None:
            break
        steps = finding.repaired or (REGISTRY["reconstruction"](), *steps)
    return recipe.model_copy(update={"steps": steps})


def one_line(steps: Steps) -> str:
    """Return the steps in one line, such as ``magnitude(sparsity=0.8) → quantize``."""
    def short(step: Step) -> str:
        fields = ", ".join(f"{k}={v}" for k, v in step.changes().items())
        return f"{step.kind}({fields})" if fields else step.kind
    return " → ".join(short(step) for step in steps)


def _findings(steps: Steps, facts: ModelFacts | None) -> Iterator[_Finding]:
    for index, step in enumerate(steps):
        for problem in step.problems():
            yield _Finding(problem, (*steps[:index], *problem.instead, *steps[index + 1:]))
    yield from _order(steps)
    for index, step in enumerate(steps):
        problems = step.problems_after(steps[:index])
        if facts is not None:
            problems = problems + step.problems_on(facts)
        for problem in problems:
            yield _Finding(problem, (*steps[:index], *problem.instead, *steps[index + 1:]))


def _order(steps: Steps) -> Iterator[_Finding]:
    for index, step in enumerate(steps):
        before, after = steps[:index], steps[index + 1:]
        if step.role is Role.CONVERT and after and step.trains() != after[0].trains() and all(
                s.role is Role.CONVERT for s in after):
            written = step if step.trains() else after[-1]
            yield _Finding(Problem(
                N_("'{trained}' writes the int8 file itself, with the ranges that it trains, so '{other}' is left out. "
                   "Nearest recipe that works: {nearest}."),
                {"trained": written.kind, "other": (after[0] if written is step else step).kind}), (*before, written))
        elif step.role is Role.CONVERT and any(s.role is Role.CONVERT for s in after):
            yield _Finding(Problem(
                N_("The recipe converts the numbers' types twice ('{kind}' at step {number} is not the last); "
                   "only the last would count. Nearest recipe that works: {nearest}."),
                {"kind": step.kind, "number": index + 1}), before + after)
        elif step.role is Role.CONVERT and after:
            yield _Finding(Problem(
                N_("'{kind}' must be the last step: after it the weights are no longer floats, and '{next}' "
                   "cannot change them. Nearest recipe that works: {nearest}."),
                {"kind": step.kind, "next": after[0].kind}), (*before, *after, step))
        elif step.role is Role.RECOVER and not any(s.role is Role.COMPRESS for s in before):
            at = next((i for i, s in enumerate(after) if s.role is Role.COMPRESS), None)
            moved = before + after if at is None else (
                *before, *after[: at + 1], step, *after[at + 1:])
            yield _Finding(Problem(
                N_("'{kind}' repairs what earlier steps damaged, and no step before it changes the weights. "
                   "Nearest recipe that works: {nearest}."), {"kind": step.kind}), moved)
    yield from _clusters(steps)
    yield from _sparsities(steps)


def _clusters(steps: Steps) -> Iterator[_Finding]:
    """Find the first step that would give clustered weights values of their own again."""
    for index, step in enumerate(steps):
        if step.kind != "cluster":
            continue
        for later, other in enumerate(steps[index + 1:], index + 1):
            if other.role is Role.CONVERT or other.kind in _KEEP_CLUSTERS:
                continue
            without = (*steps[:later], *steps[later + 1:])
            moved = (*steps[:index], other, *without[index:])
            yield _Finding(Problem(
                N_("'{other}' after '{kind}' would give the weights values of their own again. Cluster later. Nearest "
                   "recipe that works: {nearest}."), {"other": other.kind, "kind": step.kind}),
                moved if other.role is Role.COMPRESS else without)


def _sparsities(steps: Steps) -> Iterator[_Finding]:
    highest, kind = 0.0, ""
    pattern = ""
    for index, step in enumerate(steps):
        sparsity = getattr(step, "sparsity", None)
        if sparsity is None or not isinstance(getattr(step, "allocation", None), str):
            continue
        rest = (*steps[:index], *steps[index + 1:])
        granularity = getattr(step, "granularity", "weights")
        if highest and sparsity <= highest:
            yield _Finding(Problem(
                N_("'{kind}' at step {number} asks for {sparsity:.0%} zeros when '{earlier}' already made "
                   "{highest:.0%}: prune again only to reach more. Nearest recipe that works: {nearest}."),
                {"kind": step.kind, "number": index + 1, "sparsity": sparsity, "earlier": kind,
                 "highest": highest}), rest)
        elif pattern == "2:4" or (highest and granularity == "2:4"):
            yield _Finding(Problem(
                N_("'{kind}' at step {number} would break the 2:4 pattern, or cannot make it in a model that is "
                   "already pruned. Nearest recipe that works: {nearest}."),
                {"kind": step.kind, "number": index + 1}), rest)
        highest, kind, pattern = max(highest, sparsity), step.kind, granularity
