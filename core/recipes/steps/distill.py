"""Parameters of distillation from the original model."""

from __future__ import annotations

from typing import ClassVar

from core.locales import N_
from core.recipes.step import Role, Step, register, setting


@register
class Distill(Step):
    """Train the compressed model to answer as the original does; zeros stay zero."""

    kind: ClassVar[str] = "distill"
    title: ClassVar[str] = N_("Distillation")
    help: ClassVar[str] = N_("Trains the compressed model to give the original's answers, on labelled or "
                             "unlabelled images, for as many minutes as you give it. Keeps the best moment, so "
                             "it never ends worse than it began on the images that it holds out.")
    words: ClassVar[str] = N_("distil from the original for {minutes} minutes")
    main: ClassVar[tuple[str, ...]] = ("minutes",)
    paper: ClassVar[str] = "Hinton, Vinyals and Dean 2015, arXiv:1503.02531"
    role: ClassVar[Role] = Role.RECOVER

    minutes: float = setting(
        2, title=N_("Minutes"), help=N_("Time for training. More images and more minutes recover more."),
        unit=N_("minutes"), gt=0, le=1440, step=1)
    labels: bool = setting(
        False, title=N_("Use labels"), help=N_("Also train on the labels, when the data has them."))
    temperature: float = setting(
        2, title=N_("Temperature"), help=N_("Above 1, the original's second and third choices count more."),
        ge=1, le=20, step=0.5, advanced=True)
    learning_rate: float = setting(
        1e-4, title=N_("Learning rate"), help=N_("Highest rate of the cosine schedule."), gt=0, le=1,
        scale="log", advanced=True)
    batch_size: int = setting(
        32, title=N_("Batch size"), help=N_("Images per training step."), unit=N_("images"), ge=1, le=1024,
        step=1, advanced=True)

    def trains(self) -> bool:
        """Always."""
        return True

    steps: int = setting(
        0, title=N_("Training steps"), help=N_("An exact number of steps instead of minutes, for a run that "
                                               "can be repeated exactly. 0 goes by the minutes."),
        unit=N_("steps"), ge=0, le=10_000_000, step=100, advanced=True)

    def word_values(self) -> dict[str, object]:
        """Return the fields, minutes without needless decimals."""
        return {**dict(self), "minutes": f"{self.minutes:g}"}
