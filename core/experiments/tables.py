"""The rows of runs and of the files that they produced."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.database import Base, UTCDateTime


class RunRow(Base):
    """One run: what was asked (never changed afterwards), where it stands, and what came of it.

    ``attempt`` grows each time a worker takes the run; whoever writes progress must name the attempt it holds,
    so a worker that was given up for lost cannot overwrite its successor.
    """

    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_owner_id_created_at", "owner_id", "created_at"),
        Index("ix_runs_status_created_at", "status", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    name: Mapped[str]
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    model: Mapped[str]
    data: Mapped[str]
    status: Mapped[str]
    stage: Mapped[str] = mapped_column(default="")
    fraction: Mapped[float] = mapped_column(default=0.0)
    seconds_left: Mapped[float | None] = mapped_column(default=None)
    attempt: Mapped[int] = mapped_column(default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    heartbeat_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)
    record: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    log: Mapped[str] = mapped_column(Text, default="")
    artifacts: Mapped[list[ArtifactRow]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="ArtifactRow.name"
    )


class ArtifactRow(Base):
    """A file of a run; several runs may point at one stored object of the same SHA-256."""

    __tablename__ = "artifacts"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(index=True)
