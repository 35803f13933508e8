"""The rows of runs, of the files that they produced, and of images that people uploaded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Text, event
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.database import Base, UTCDateTime


class RunRow(Base):
    """One run: what was asked (never changed afterwards), where it stands, and what came of it.

    ``attempt`` grows each time a worker takes the run; whoever writes progress must name the attempt it holds,
    so a worker that was given up for lost cannot overwrite its successor.

    ``tags`` and ``methods`` are words between bars (``|int8|paper|``), so that one can be looked for as
    ``|int8|``. The last five columns repeat figures of the record: listing 10,000 runs must not read their records.
    """

    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_owner_id_created_at", "owner_id", "created_at"),
        Index("ix_runs_status_created_at", "status", "created_at"),
        # These two hold all that a list is filtered and sorted by: SQLite would walk over every record otherwise.
        Index(
            "ix_runs_listing", "owner_id", "archived_at", "created_at", "id", "status", "model", "methods", "bytes",
            "top1", "top1_change", "size_ratio", "latency_ratio",
        ),
        Index("ix_runs_choices", "owner_id", "model", "data", "methods", "tags"),
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
    estimate: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    log: Mapped[str] = mapped_column(Text, default="")
    notes: Mapped[str] = mapped_column(Text, default="")
    tags: Mapped[str] = mapped_column(default="")
    methods: Mapped[str] = mapped_column(default="")
    archived_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)
    bytes: Mapped[int | None] = mapped_column(BigInteger, default=None)
    top1: Mapped[float | None] = mapped_column(default=None)
    top1_change: Mapped[float | None] = mapped_column(default=None)
    size_ratio: Mapped[float | None] = mapped_column(default=None)
    latency_ratio: Mapped[float | None] = mapped_column(default=None)
    artifacts: Mapped[list[ArtifactRow]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="ArtifactRow.name"
    )


def joined(words: list[str]) -> str:
    """Return words as they are stored: ``|a|b|``, empty for none."""
    return "|" + "|".join(words) + "|" if words else ""


def summary(record: dict[str, Any] | None) -> dict[str, Any]:
    """Return the columns that repeat figures of a record; all None without one."""
    if record is None:
        return dict.fromkeys(("bytes", "top1", "top1_change", "size_ratio", "latency_ratio"))
    accuracy, change = record["compressed"]["accuracy"], record["comparison"]
    difference = change["top1_difference"]
    return {
        "bytes": record["compressed"]["size"]["tflite_bytes"],
        "top1": None if accuracy is None else accuracy["top1"]["value"],
        "top1_change": None if difference is None else difference["value"],
        "size_ratio": change["size_ratio"], "latency_ratio": change["latency_ratio"]["value"],
    }


@event.listens_for(RunRow.record, "set")
def _keep_figures(row: RunRow, record: dict[str, Any] | None, _old: object, _initiator: object) -> None:
    for column, value in summary(record).items():
        setattr(row, column, value)


@event.listens_for(RunRow.request, "set")
def _keep_methods(row: RunRow, request: dict[str, Any], _old: object, _initiator: object) -> None:
    row.methods = joined(list(dict.fromkeys(str(step["step"]) for step in request["recipe"]["steps"])))


class ShareRow(Base):
    """A link that shows one run or one comparison to whoever has it; only the SHA-256 of its token is stored."""

    __tablename__ = "shares"

    id: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)
    owner_id: Mapped[str] = mapped_column(index=True)
    runs: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class ArtifactRow(Base):
    """A file of a run; several runs may point at one stored object of the same SHA-256."""

    __tablename__ = "artifacts"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(index=True)


class UploadRow(Base):
    """A zip of images that somebody uploaded; several rows may point at one stored object."""

    __tablename__ = "uploads"
    __table_args__ = (Index("ix_uploads_owner_id_created_at", "owner_id", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    name: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(index=True)
    images: Mapped[int]
    classes: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
