"""Which recipe to try next: Optuna's samplers and pruner, with their memory rebuilt from our own rows each time.

Nothing of a study lives longer than one question, so a search that was stopped, or whose process was killed, goes on
exactly where it was.
"""

from __future__ import annotations

import json
import logging
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from core.errors import InputError
from core.recipes import Recipe, check, one_line
from core.search.space import Space, complexity

if TYPE_CHECKING:
    import optuna

Sampler = Literal["tpe", "nsga2"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
POPULATION = 12
RANDOM_TRIALS = 6
ENOUGH = 3
"""Trials after which what is expected of a known recipe counts too."""
TRIES = 40
HOPELESS = 0.4
"""Excess over the limits (one point is 0.1, ten per cent of size or time too) from which a recipe is dropped."""


@dataclass(frozen=True)
class Tried:
    """A trial as the sampler needs it: ``objective`` None while it runs or when it failed."""

    params: Mapping[str, Any]
    distributions: Mapping[str, Any]
    objective: float | None
    excess: float
    running: bool = False


@dataclass(frozen=True)
class Proposal:
    """A recipe to try and the choices that led to it; ``pruned`` if what is expected of it is hopeless."""

    recipe: Recipe
    params: dict[str, Any]
    distributions: dict[str, Any]
    pruned: bool


Expect = Callable[[Recipe], float]
"""The excess over the limits that is expected at best of a recipe; 0 where nothing is known."""


def propose(
    space: Space, tried: Sequence[Tried], known: Sequence[Recipe], taken: Sequence[str], *, sampler: Sampler = "tpe",
    seed: int = 0, expect: Expect = lambda _: 0.0,
) -> Proposal | None:
    """Return what to try after ``tried``.

    Parameters
    ----------
    known
        Good recipes to begin with, in order; those not tried yet come before what the sampler invents.
    taken
        Recipes that were tried or dropped, as :func:`identity` names them; none is proposed twice.
    expect
        Asked before a recipe is proposed; Optuna's ``ThresholdPruner`` drops what is hopeless.

    Returns
    -------
    Proposal or None
        None when the sampler only repeats itself.
    """
    import optuna

    logging.getLogger("optuna").setLevel(logging.WARNING)
    study = optuna.create_study(
        sampler=_sampler(sampler, seed + len(taken), len(tried)),
        pruner=optuna.pruners.ThresholdPruner(upper=HOPELESS),
    )
    for each in tried:
        study.add_trial(_frozen(each))
    done = set(taken)
    for recipe in known:
        params = space.params(recipe)
        study.enqueue_trial(params)
        found = _as_known(_ask(study, space, expect if len(tried) >= ENOUGH else lambda _: 0.0), recipe, space)
        if found is not None and identity(found.recipe) not in done:
            return found
    random = np.random.default_rng([seed, len(taken)])
    for attempt in range(TRIES):
        best = _best(tried)
        if best is not None and (attempt + len(taken)) % 2:
            study.enqueue_trial(near(best, random))
        found = _ask(study, space, expect)
        if found is not None and identity(found.recipe) not in done:
            return found
    return None


def _as_known(found: Proposal | None, recipe: Recipe, space: Space) -> Proposal | None:
    """Return a proposal with the very recipe that led to it, fields that the space does not vary included.

    Not where the space had to shorten it, or it cannot work on this model.
    """
    if found is None or complexity(recipe) > complexity(found.recipe) + 1e-9:
        return found
    try:
        check(recipe, space.conditions.facts)
    except InputError:
        return found
    return replace(found, recipe=recipe.model_copy(update={"name": one_line(recipe.steps)[:120]}))


def near(best: Tried, random: np.random.Generator) -> dict[str, Any]:
    """Return the choices of a good trial with one or two of its numbers moved: a step of an evolution strategy."""
    params = dict(best.params)
    moves = [name for name, d in best.distributions.items() if d["name"] in ("FloatDistribution", "IntDistribution")]
    if not moves:
        return params
    for name in random.choice(moves, size=min(len(moves), int(random.integers(1, 3))), replace=False):
        found = best.distributions[str(name)]
        low, high, whole = (found["attributes"][key] for key in ("low", "high", "step"))
        value = float(params[str(name)])
        if high <= 1 and name.endswith((".sparsity", ".macs")):
            moved = 1 - (1 - value) * math.exp(random.normal(0, 0.3))  # what stays counts, not what goes
        else:
            moved = value * math.exp(random.normal(0, 0.4)) if value > 0 else random.uniform(low, high)
        if found["name"] == "IntDistribution":
            away = 1 if random.random() < 0.5 else -1
            moved = round(moved) if round(moved) != value else value + away * (whole or 1)
        params[str(name)] = min(high, max(low, type(params[str(name)])(moved)))
    return params


def _best(tried: Sequence[Tried]) -> Tried | None:
    """Return the best trial within the limits, else the one nearest to them."""
    done = [t for t in tried if t.objective is not None and math.isfinite(t.objective)]
    return min(done, key=lambda t: (max(0.0, t.excess), t.objective or 0.0), default=None)


def identity(recipe: Recipe) -> str:
    """Return the steps of a recipe as one text, whatever the recipe is called."""
    return json.dumps([step.as_dict() for step in recipe.steps], sort_keys=True)


def _ask(study: optuna.Study, space: Space, expect: Expect) -> Proposal | None:
    from optuna.distributions import distribution_to_json
    from optuna.trial import TrialState

    trial = study.ask()
    recipe = space.suggest(trial)
    hopeless = False
    if recipe is not None:
        trial.report(expect(recipe), step=0)
        hopeless = trial.should_prune()
    params, distributions = dict(trial.params), trial.distributions
    study.tell(trial, state=TrialState.PRUNED if hopeless else TrialState.FAIL)
    if recipe is None:
        return None
    return Proposal(
        recipe, params, {name: json.loads(distribution_to_json(d)) for name, d in distributions.items()}, hopeless)


def _frozen(tried: Tried) -> optuna.trial.FrozenTrial:
    from optuna.distributions import json_to_distribution
    from optuna.trial import TrialState, create_trial

    state = TrialState.RUNNING if tried.running else TrialState.FAIL
    if tried.objective is not None and math.isfinite(tried.objective):
        state = TrialState.COMPLETE
    return create_trial(
        state=state, value=tried.objective if state == TrialState.COMPLETE else None, params=dict(tried.params),
        distributions={name: json_to_distribution(json.dumps(d)) for name, d in tried.distributions.items()},
        constraints={"limits": tried.excess} if state == TrialState.COMPLETE else None,
    )


def _sampler(name: Sampler, seed: int, trials: int) -> optuna.samplers.BaseSampler:
    import optuna

    if name == "nsga2":
        return optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of "group", in Optuna since 2.8
        return optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=min(RANDOM_TRIALS, trials),
            n_ei_candidates=48)
