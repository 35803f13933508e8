"""The sentences that numbers deserve, as templates with values, for pages, reports and terminals."""

from __future__ import annotations

from collections.abc import Callable

from babel.numbers import format_decimal
from pydantic import BaseModel, ConfigDict

from core.locales import N_, spaced
from core.measurement.comparison import PairedAccuracy
from core.measurement.latency import LatencyComparison
from core.measurement.size import Bounds, Size
from core.measurement.statistics import pairs_needed

HALF_A_POINT = 0.005
_NO_DIFFERENCE = 0.05
_NOTHING = 0.01
_MINUS = "\N{MINUS SIGN}"


class Sentence(BaseModel):
    """A template marked with ``N_`` and its values; numbers are written the reader's way."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    parameters: dict[str, int | float | str] = {}

    def render(self, translate: Callable[[str], str], locale: str = "en") -> str:
        """Return the sentence translated, with numbers as ``locale`` writes them (3,900 or 3 900)."""
        shown = {
            name: value if isinstance(value, str) else format_decimal(value, locale=locale).replace("-", _MINUS)
            for name, value in self.parameters.items()
        }
        return spaced(translate(self.message).format(**shown), locale)


def _points(difference: float) -> float:
    return round(100 * difference, 1)


def on_accuracy(change: PairedAccuracy) -> Sentence:
    """Say whether the accuracy changed, and how many images would settle it if it is open.

    A difference counts as shown when its interval leaves out zero and the exact McNemar test says
    p < 0.05: near the border the two may part, and then nothing is claimed.
    """
    interval = change.difference
    values: dict[str, int | float | str] = {
        "points": abs(_points(interval.value)),
        "low": _points(interval.low),
        "high": _points(interval.high),
        "images": change.n,
    }
    if interval.contains(0) or change.mcnemar_p >= _NO_DIFFERENCE:
        if change.images_to_show_it is None:
            discordant = max(change.discordant, 0.5 / change.n)
            return Sentence(
                code="accuracy-same",
                message=N_("As many answers became wrong as right on {images} images; to show a "
                           "difference of half a point would take about {needed} images."),
                parameters={"images": change.n, "needed": _rounded(
                    pairs_needed(HALF_A_POINT, discordant))},
            )
        return Sentence(
            code="accuracy-open",
            message=N_("The difference of {points} points is not distinguishable from zero on "
                       "{images} images; about {needed} would show it."),
            parameters=values | {"needed": _rounded(change.images_to_show_it)},
        )
    if interval.value < 0:
        return Sentence(
            code="accuracy-lost",
            message=N_("Accuracy fell by {points} points on {images} images (the difference lies "
                       "between {low} and {high})."),
            parameters=values,
        )
    return Sentence(
        code="accuracy-won",
        message=N_("Accuracy rose by {points} points on {images} images (the difference lies "
                   "between {low} and {high})."),
        parameters=values,
    )


def _rounded(n: int) -> int:
    """Return ``n`` to two digits, upwards: the formula knows no more."""
    step = int(10 ** max(0, len(str(n)) - 2))
    return -(-n // step) * step


def on_latency(found: LatencyComparison) -> Sentence:
    """Say whether the compressed model is faster here, with the ratio that was measured."""
    ratio = found.ratio
    values: dict[str, int | float | str] = {
        "ratio": round(ratio.value if ratio.value >= 1 else 1 / ratio.value, 2),
        "before": float(f"{found.baseline.p50:.3g}"),
        "after": float(f"{found.compressed.p50:.3g}"),
        "threads": found.baseline.threads,
    }
    if found.verdict == "faster":
        message = N_("{ratio} times faster on this machine ({before} ms before, {after} ms now, "
                     "threads: {threads}).")
    elif found.verdict == "slower":
        message = N_("{ratio} times slower on this machine ({before} ms before, {after} ms now, "
                     "threads: {threads}).")
    else:
        message = N_("Not distinguishable in speed on this machine ({before} ms before, {after} ms "
                     "now, threads: {threads}).")
    return Sentence(code=f"latency-{found.verdict.replace(' ', '-')}", message=message,
                    parameters=values)


def on_nothing(
    agreement: float, before: Size, after: Size, found: LatencyComparison
) -> list[Sentence]:
    """Say so when a recipe changed nothing: same answers, same size and zeros, no time saved."""
    sizes = (
        (before.tflite_bytes, after.tflite_bytes),
        (before.gzip_bytes, after.gzip_bytes),
        (before.nonzero_parameters, after.nonzero_parameters),
    )
    same = all(abs(a - b) <= _NOTHING * max(a, 1) for a, b in sizes)
    if agreement < 1 or not same or found.verdict != "not distinguishable":
        return []
    return [Sentence(
        code="nothing-changed",
        message=N_("The recipe changed next to nothing: same answers, same size, no time saved. Raise "
                   "its strength, or check that it applies to this model's layers."),
    )]


def on_size(before: Size, after: Size, possible: Bounds) -> list[Sentence]:
    """Say which number ships, and what the zeros and repeated values are worth as a download."""
    said = [Sentence(
        code="size-ships",
        message=N_("The file that ships has {ships} bytes; compressed for a download it has {gzip} "
                   "(gzip) or {zstd} (zstd). Coding every weight by its frequency would take about "
                   "{entropy}."),
        parameters={"ships": after.tflite_bytes, "gzip": after.gzip_bytes, "zstd": after.zstd_bytes,
                    "entropy": possible.entropy_bytes},
    )]
    zeros = 1 - after.nonzero_parameters / max(1, after.parameters)
    if zeros >= 0.1 and after.tflite_bytes > 0.95 * before.tflite_bytes:
        said.append(Sentence(
            code="size-zeros",
            message=N_("{zeros}% of the parameters are zero, yet the file is not smaller: it stores "
                       "zeros like any other number. They count once the file is compressed."),
            parameters={"zeros": round(100 * zeros)},
        ))
    return said
