"""Plain descriptions of a run: what is asked for, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["queued", "running", "interrupted", "finished", "failed", "cancelled"]
UNFINISHED: tuple[Status, ...] = ("queued", "running", "interrupted")
Stage = Literal["whole", "trial", "finalist"]


def measured_on(record: Mapping[str, Any]) -> Literal["test", "validation"]:
    """Return which images of its data a run's record speaks of: a search's trial has not seen the test images."""
    return "validation" if record.get("stage") == "trial" else "test"


class RunRequest(BaseModel):
    """Everything needed to carry out a run, and to carry it out again.

    ``model`` and ``data`` are spelled as on the command line. Without ``calibration`` the calibration images
    are a part of ``data`` that is never tested on. ``limit`` caps the number of test images.

    A search sets validation images apart: a ``trial`` is measured on them, briefly, and a ``finalist`` in full on the
    test images, which no trial has seen. ``made_in`` names the run whose file a finalist measures again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    data: str
    calibration: str | None = None
    recipe: dict[str, Any]
    seed: int = Field(0, ge=0, lt=2**31)
    limit: int | None = Field(None, ge=1)
    stage: Stage = "whole"
    made_in: str | None = None


class Artifact(BaseModel):
    """A file that a run produced."""

    model_config = ConfigDict(frozen=True)

    name: str
    bytes: int
    sha256: str


class Failure(BaseModel):
    """Why a run ended badly: an error template with its parameters, to be shown in any language."""

    model_config = ConfigDict(frozen=True)

    message: str
    parameters: dict[str, Any] = {}

    def __str__(self) -> str:
        return self.message.format(**self.parameters)


class Run(BaseModel):
    """A run as its owner sees it. ``seconds_left`` is None until it can be told.

    ``estimate`` is what was expected before it was made (``core.experiments.estimates.Estimate``), if anything was.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    request: RunRequest
    status: Status
    stage: str
    fraction: float
    seconds_left: float | None
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    record: dict[str, Any] | None
    error: Failure | None
    log: str
    estimate: dict[str, Any] | None = None
    artifacts: tuple[Artifact, ...]

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to this run."""
        return self.status not in UNFINISHED
