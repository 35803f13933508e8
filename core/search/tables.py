"""The rows of searches and of what they tried; the sampler's memory is rebuilt from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Engine, ForeignKey, Index, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.database import Base, UTCDateTime, reading

GOING = ("running", "stopping")
"""The statuses of searches that somebody must drive."""


class StudyRow(Base):
    """One search: what is wanted, where it stands, and its answer.

    ``holder`` names the process that drives it and ``heartbeat_at`` its last sign of life, as for runs.
    ``spent_seconds`` counts only while somebody drives it.
    """

    __tablename__ = "studies"
    __table_args__ = (
        Index("ix_studies_owner_id_created_at", "owner_id", "created_at"),
        Index("ix_studies_status", "status"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    model: Mapped[str]
    data: Mapped[str]
    calibration: Mapped[str | None] = mapped_column(default=None)
    text: Mapped[str]
    wish: Mapped[dict[str, Any]] = mapped_column(JSON)
    minutes: Mapped[float]
    sampler: Mapped[str] = mapped_column(default="tpe")
    seed: Mapped[int] = mapped_column(default=0)
    status: Mapped[str]
    phase: Mapped[str] = mapped_column(default="")
    spent_seconds: Mapped[float] = mapped_column(default=0.0)
    holder: Mapped[str] = mapped_column(default="")
    heartbeat_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    trials: Mapped[list[TrialRow]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="TrialRow.number"
    )


class TrialRow(Base):
    """One recipe that was tried: how the sampler chose it, the run that tried it, and what was measured.

    ``figures`` are those of the validation images, ``final`` those of the test images if it became a finalist.
    """

    __tablename__ = "trials"

    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
    distributions: Mapped[dict[str, Any]] = mapped_column(JSON)
    recipe: Mapped[dict[str, Any]] = mapped_column(JSON)
    status: Mapped[str]
    run_id: Mapped[str | None] = mapped_column(default=None)
    final_run_id: Mapped[str | None] = mapped_column(default=None)
    figures: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    final: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    seconds: Mapped[float | None] = mapped_column(default=None)
    final_seconds: Mapped[float | None] = mapped_column(default=None)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


def unfinished(engine: Engine) -> list[str]:
    """Return the ids of searches that somebody must drive, oldest first."""
    query = select(StudyRow.id).where(StudyRow.status.in_(GOING)).order_by(StudyRow.created_at)
    with reading(engine) as session:
        return list(session.scalars(query))
