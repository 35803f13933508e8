"""Names, tags, notes and figures by which runs are found, and links that share them."""

import sqlalchemy as sa
from alembic import op

from core.database import UTCDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_FIGURES = ("top1", "top1_change", "size_ratio", "latency_ratio")


def upgrade() -> None:
    for name in ("notes", "tags", "methods"):
        kind = sa.Text() if name == "notes" else sa.String()
        op.add_column("runs", sa.Column(name, kind, nullable=False, server_default=""))
    op.add_column("runs", sa.Column("archived_at", UTCDateTime(), nullable=True))
    op.add_column("runs", sa.Column("bytes", sa.BigInteger(), nullable=True))
    for name in _FIGURES:
        op.add_column("runs", sa.Column(name, sa.Float(), nullable=True))
    op.create_index("ix_runs_listing", "runs", [
        "owner_id", "archived_at", "created_at", "id", "status", "model", "methods", "bytes", *_FIGURES])
    op.create_index("ix_runs_choices", "runs", ["owner_id", "model", "data", "methods", "tags"])
    op.create_table(
        "shares",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("runs", sa.JSON(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
        sa.UniqueConstraint("token", name=op.f("uq_shares_token")),
    )
    op.create_index(op.f("ix_shares_owner_id"), "shares", ["owner_id"])
    _fill()


def _fill() -> None:
    runs = sa.table(
        "runs", sa.column("id"), sa.column("request", sa.JSON), sa.column("record", sa.JSON), sa.column("methods"),
        sa.column("bytes"), *(sa.column(name) for name in _FIGURES),
    )
    connection = op.get_bind()
    for (run_id,) in connection.execute(sa.select(runs.c.id)).all():
        request, record = connection.execute(
            sa.select(runs.c.request, runs.c.record).where(runs.c.id == run_id)
        ).one()
        kinds = list(dict.fromkeys(step["step"] for step in request["recipe"]["steps"]))
        values = {"methods": "|" + "|".join(kinds) + "|"}
        if record:
            accuracy, change = record["compressed"]["accuracy"], record["comparison"]
            difference = change["top1_difference"]
            values |= {
                "bytes": record["compressed"]["size"]["tflite_bytes"],
                "top1": accuracy["top1"]["value"] if accuracy else None,
                "top1_change": difference["value"] if difference else None,
                "size_ratio": change["size_ratio"], "latency_ratio": change["latency_ratio"]["value"],
            }
        connection.execute(sa.update(runs).where(runs.c.id == run_id).values(values))


def downgrade() -> None:
    op.drop_table("shares")
    op.drop_index("ix_runs_choices", "runs")
    op.drop_index("ix_runs_listing", "runs")
    with op.batch_alter_table("runs") as table:
        for name in ("notes", "tags", "methods", "archived_at", "bytes", *_FIGURES):
            table.drop_column(name)
