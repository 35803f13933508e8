"""What a search found: one recipe with its evidence, the runners-up, the knee, or how near it came."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from core.experiments.constraints import non_dominated
from core.locales import N_
from core.search.judging import LIKELY, SURE, chance, steadied
from core.search.wishes import SIZES, Figures, Limit, Wish

RUNNERS_UP = 3
_NUMBER = re.compile(r"-?\d+\.\d+")


class Candidate(BaseModel):
    """A trial that was measured: on the validation images, and on the test images if it became a finalist."""

    model_config = ConfigDict(frozen=True)

    number: int
    name: str
    figures: Figures
    final: Figures | None = None

    def combined(self) -> Figures:
        """Return the validation images' loss with the finalist's times, which were taken with more care."""
        if self.final is None:
            return self.figures
        return self.figures.model_copy(update={
            "latency": self.final.latency, "faster": self.final.faster, "baseline": self.final.baseline})


class Said(BaseModel):
    """One sentence: a template for translation with its values."""

    model_config = ConfigDict(frozen=True)

    message: str
    parameters: dict[str, Any] = {}

    def render(self, translate: Callable[[str], str] = str, mark: str = ".") -> str:
        """Return the sentence in a language, whose numbers have the decimal ``mark``."""
        shown = {k: v.replace(".", mark) if isinstance(v, str) and _NUMBER.fullmatch(v) else v
                 for k, v in self.parameters.items()}
        return translate(self.message).format(**shown)


class Relaxation(BaseModel):
    """What a limit would have to be for some trial to be within all limits, the others as they are."""

    model_config = ConfigDict(frozen=True)

    limit: Limit
    bound: float
    number: int


class Answer(BaseModel):
    """The end of a search, or where it stands.

    Attributes
    ----------
    kept
        Whether the recommended trial is within every limit on the validation images.
    recommended
        Its number; None only if nothing could be measured.
    runners_up, front
        Numbers of trials; the front is that of points lost over the wish's cost.
    knee
        The trial on the front after which the next gain costs most.
    chance_validation, chance_test
        How probable it is that the limit on the loss holds, after each set of images.
    relaxations
        Where nothing is within the limits, what would have to be allowed.
    """

    model_config = ConfigDict(frozen=True)

    kept: bool
    recommended: int | None
    runners_up: tuple[int, ...] = ()
    front: tuple[int, ...] = ()
    knee: int | None = None
    chance_validation: float | None = None
    chance_test: float | None = None
    relaxations: tuple[Relaxation, ...] = ()
    sentences: tuple[Said, ...] = ()


def rank(wish: Wish, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates from best to worst: within the limits, counted and freed of luck, by what should be best.

    Only validation images and times count; what finalists lost on the test images is reported, never chosen by.
    """
    steady = dict(zip((c.number for c in candidates), steadied([c.figures for c in candidates]), strict=True))

    def key(candidate: Candidate) -> tuple[float, float]:
        found = candidate.combined()
        excess = max(wish.excess(found), wish.excess(found, steady[candidate.number]))
        if excess > 1e-9:
            return excess, 0.0
        return 0.0, wish.objective(found, 0.5 * (found.points + steady[candidate.number]))
    return sorted(candidates, key=lambda c: (*key(c), c.number))


def front(wish: Wish, candidates: Sequence[Candidate]) -> list[int]:
    """Return the numbers of the trials that no other beats in both points lost and cost."""
    if not candidates:
        return []
    frame = pd.DataFrame({
        "number": [c.number for c in candidates], "kept": [-c.figures.points for c in candidates],
        "cost": [1 / max(1e-9, c.figures.ratio(wish.cost)) for c in candidates]})
    return [int(n) for n in frame[non_dominated(frame, "cost", "kept")].sort_values("cost")["number"]]


def knee(wish: Wish, candidates: Sequence[Candidate]) -> int | None:
    """Return the trial of the front that lies farthest from the line between its ends (Satopää et al. 2011)."""
    by_number = {c.number: c for c in candidates}
    line = [by_number[n].figures for n in front(wish, candidates)]
    if len(line) < 3:
        return None
    x = [math.log(f.ratio(wish.cost)) for f in line]
    y = [f.points for f in line]
    wide, high = (max(x) - min(x)) or 1.0, (max(y) - min(y)) or 1.0
    away = [(a - min(x)) / wide - (b - min(y)) / high for a, b in zip(x, y, strict=True)]
    best = max(range(len(line)), key=away.__getitem__)
    return front(wish, candidates)[best] if 0 < best < len(line) - 1 else None


def answer(wish: Wish, candidates: Sequence[Candidate], failures: Sequence[str] = ()) -> Answer:
    """Conclude from everything that was measured.

    Parameters
    ----------
    failures
        Why trials failed, already in words, for the case that none succeeded.
    """
    if not candidates:
        reason = failures[0] if failures else ""
        message = (N_("No recipe could be measured; the first that failed said: {reason}") if reason else
                   N_("The time was too short to measure a single recipe. Give more minutes."))
        return Answer(kept=False, recommended=None, sentences=(Said(message=message, parameters={"reason": reason}),))
    ranked = rank(wish, candidates)
    finalists = [c for c in ranked if c.final is not None]
    best = next((c for c in finalists if wish.holds(c.combined())), None)
    best = best or next((c for c in ranked if wish.holds(c.combined())), None) or (finalists or ranked)[0]
    kept = wish.holds(best.combined())
    others = [c.number for c in [*finalists, *ranked] if c.number != best.number]
    limit = wish.points
    before = None if limit is None else chance(limit, best.figures)
    after = None if limit is None or best.final is None else chance(limit, best.final)
    found = Answer(
        kept=kept, recommended=best.number, runners_up=tuple(dict.fromkeys(others))[:RUNNERS_UP],
        front=tuple(front(wish, candidates)), knee=knee(wish, candidates), chance_validation=before,
        chance_test=after, relaxations=() if kept else tuple(relaxations(wish, candidates)),
    )
    return found.model_copy(update={"sentences": tuple(_sentences(wish, best, found, candidates))})


def relaxations(wish: Wish, candidates: Sequence[Candidate]) -> list[Relaxation]:
    """Return, per limit, the least that would have to be allowed for some trial to pass, all others as they are."""
    found = []
    for limit in wish.limits:
        rest = [other for other in wish.limits if other != limit]
        passing = [c for c in candidates if all(other.holds(c.combined()) for other in rest)]
        if passing and not any(limit.holds(c.combined()) for c in passing):
            best = min(passing, key=lambda c: limit.excess(c.combined()))
            found.append(Relaxation(limit=limit, bound=limit.value(best.combined()), number=best.number))
    return found


def figures_said(wish: Wish, found: Figures) -> dict[str, str]:
    """Return the figures of a candidate as sentences name them."""
    size = wish.cost if wish.cost in SIZES else "gzip"
    return {
        "points": f"{found.points:.1f}", "low": f"{found.points_low:.1f}", "high": f"{found.points_high:.1f}",
        "smaller": f"{found.ratio(size):.2f}", "faster": f"{found.faster:.2f}", "n": str(found.n),
        "mb": f"{float(getattr(found, size)) / 1e6:.3g}",
    }


def _sentences(wish: Wish, best: Candidate, found: Answer, candidates: Sequence[Candidate]) -> list[Said]:
    said = []
    if found.kept:
        said.append(Said(message=N_(
            "Of {count} recipes measured, this one is best within the limits: {points} points lost on {n} validation "
            "images, {smaller} times smaller ({mb} MB packed), {faster} times as fast."),
            parameters={"count": len(candidates), **figures_said(wish, best.combined())}))
    else:
        said.append(Said(message=N_(
            "None of {count} recipes is within all limits. The nearest loses {points} points on {n} validation images "
            "and is {smaller} times smaller ({mb} MB packed) and {faster} times as fast."),
            parameters={"count": len(candidates), **figures_said(wish, best.combined())}))
        said += [_allow(each) for each in found.relaxations]
        if not found.relaxations:
            said.append(Said(message=N_("More than one limit would have to give way at once. Relax the one that "
                                        "matters least, or give more minutes.")))
    if best.final is not None:
        said.append(Said(message=N_(
            "On {n} test images that the search never saw it lost {points} points ({low} to {high})."),
            parameters=figures_said(wish, best.final)))
    else:
        said.append(Said(message=N_("It was not measured on the test images: the search was stopped before.")))
    said += _certainty(wish, best, found)
    said += _knee(wish, found, {c.number: c for c in candidates})
    if not best.figures.labelled:
        said.append(Said(message=N_(
            "The images have no labels, so every changed answer counts as lost: no more accuracy was lost than this.")))
    return said


def _allow(each: Relaxation) -> Said:
    shown = each.bound / 1e6 if each.limit.figure in SIZES and not each.limit.relative else each.bound
    number = f"{shown:.3g}"
    if each.limit.figure == "points":
        return Said(message=N_("It would do to allow {bound} points."), parameters={"bound": f"{each.bound:.1f}"})
    if each.limit.relative:
        if each.limit.figure == "latency":
            return Said(message=N_("It would do to ask for {bound} times as fast."), parameters={"bound": number})
        return Said(message=N_("It would do to ask for {bound} times smaller."), parameters={"bound": number})
    if each.limit.figure == "latency":
        return Said(message=N_("It would do to allow {bound} ms."), parameters={"bound": number})
    return Said(message=N_("It would do to allow {bound} MB."), parameters={"bound": number})


def _certainty(wish: Wish, best: Candidate, found: Answer) -> list[Said]:
    limit, share = wish.points, found.chance_test if found.chance_test is not None else found.chance_validation
    if limit is None or share is None or not found.kept:
        return []
    values: Mapping[str, Any] = {
        "bound": f"{limit.bound:g}", "chance": f"{100 * share:.0f}", "n": (best.final or best.figures).n}
    if share >= SURE:
        message = N_("That at most {bound} points are lost is sure on images like these ({chance}%).")
    elif share >= LIKELY:
        message = N_("That at most {bound} points are lost is likely ({chance}%) but not certain: {n} images cannot "
                     "tell. More images would.")
    else:
        message = N_("The limit of {bound} points held on the validation images, yet the test images speak against it "
                     "({chance}% that it holds). See the runners-up, or ask for less loss.")
    return [Said(message=message, parameters=dict(values))]


def _knee(wish: Wish, found: Answer, by_number: Mapping[int, Candidate]) -> list[Said]:
    if found.knee is None:
        return []
    at = by_number[found.knee].figures
    beyond = [by_number[n].figures for n in found.front if by_number[n].figures.points > at.points]
    nearest = min(beyond, key=lambda f: f.points, default=None)
    if nearest is None:
        return []
    message = (N_("The knee of the front is at {ratio} times as fast for {points} points: the next step up gives "
                  "{next} and costs {next_points} points.") if wish.cost == "latency" else
               N_("The knee of the front is at {ratio} times smaller for {points} points: the next step up gives "
                  "{next} and costs {next_points} points."))
    return [Said(message=message, parameters={
        "ratio": f"{at.ratio(wish.cost):.2f}", "points": f"{at.points:.1f}",
        "next": f"{nearest.ratio(wish.cost):.2f}", "next_points": f"{nearest.points:.1f}"})]
