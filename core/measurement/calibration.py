"""Whether a model's confidence can be believed: calibration error, reliability, temperature."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from scipy.optimize import minimize_scalar

Probabilities = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Targets = npt.NDArray[np.int64]

BINS = 15
FLOOR = 1e-12
TEMPERATURES = (0.05, 20.0)


class ReliabilityBin(BaseModel):
    """The images whose top confidence fell into [low, high): how sure, and how often right."""

    model_config = ConfigDict(frozen=True)

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


class Calibration(BaseModel):
    """Calibration as shipped, and what one refitted number would make of it."""

    model_config = ConfigDict(frozen=True)

    ece: float
    negative_log_likelihood: float
    temperature: float
    ece_after_temperature: float
    reliability: list[ReliabilityBin]


def reliability(
    probabilities: Probabilities, targets: Targets, bins: int = BINS
) -> list[ReliabilityBin]:
    """Return the non-empty bins of equal width over the top confidence.

    Parameters
    ----------
    probabilities
        [n, k], rows summing to 1.
    targets
        int64 [n], the right class of each row.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == targets
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    table = []
    for i in np.unique(index):
        members = index == i
        table.append(
            ReliabilityBin(
                low=i / bins,
                high=(i + 1) / bins,
                n=int(members.sum()),
                confidence=float(confidence[members].mean()),
                accuracy=float(right[members].mean()),
            )
        )
    return table


def expected_calibration_error(
    probabilities: Probabilities, targets: Targets, bins: int = BINS
) -> float:
    """Return the mean distance of confidence from accuracy over bins of equal width.

    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, eq. 3,
    with their 15 bins (half-open from below: (0, 1/15], ...).
    """
    table = reliability(probabilities, targets, bins)
    return sum(b.n * abs(b.accuracy - b.confidence) for b in table) / len(targets)


def negative_log_likelihood(probabilities: Probabilities, targets: Targets) -> float:
    """Return the mean negative log of the right class's probability, in nats.

    Probabilities are floored at 1e-12: an int8 output holds exact zeros.
    """
    chosen = probabilities[np.arange(len(targets)), targets].astype(np.float64)
    return float(-np.log(np.maximum(chosen, FLOOR)).mean())


def scale(probabilities: Probabilities, temperature: float) -> npt.NDArray[np.float64]:
    """Return softmax(log p / temperature): the temperature scaling of Guo et al. without logits.

    The log of a softmax is the logits up to a constant per row, which a softmax ignores.
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), FLOOR)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fit_temperature(probabilities: Probabilities, targets: Targets) -> float:
    """Return the temperature between 0.05 and 20 with the least negative log likelihood.

    Bounded minimisation over the logarithm of the temperature (Brent), on all rows given.
    """
    result = minimize_scalar(
        lambda log_t: negative_log_likelihood(scale(probabilities, float(np.exp(log_t))), targets),
        bounds=tuple(np.log(TEMPERATURES)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(result.x))


def cross_fitted(probabilities: Probabilities, targets: Targets, seed: int = 0) -> Probabilities:
    """Return probabilities rescaled without ever using an image's own answer for its temperature.

    The rows are cut at random into two halves; each half gets the temperature fitted on the other
    one. An error measured on the result is that of a temperature on new images; with fewer than two
    rows nothing can be fitted and the rows come back unchanged.
    """
    n = len(targets)
    if n < 2:
        return probabilities
    order = np.random.default_rng(seed).permutation(n)
    halves = order[: n // 2], order[n // 2 :]
    rescaled = np.empty(probabilities.shape, np.float64)
    for apply_to, fit_on in (halves, halves[::-1]):
        temperature = fit_temperature(probabilities[fit_on], targets[fit_on])
        rescaled[apply_to] = scale(probabilities[apply_to], temperature)
    return rescaled


def calibrate(probabilities: Probabilities, targets: Targets, seed: int = 0) -> Calibration:
    """Return the calibration of probabilities [n, k] against targets [n].

    ``temperature`` is fitted on all rows, as one would ship it; ``ece_after_temperature`` is
    measured on cross-fitted probabilities, so that it does not flatter itself.
    """
    return Calibration(
        ece=expected_calibration_error(probabilities, targets),
        negative_log_likelihood=negative_log_likelihood(probabilities, targets),
        temperature=fit_temperature(probabilities, targets),
        ece_after_temperature=expected_calibration_error(
            cross_fitted(probabilities, targets, seed), targets
        ),
        reliability=reliability(probabilities, targets),
    )
