"""Alembic's entry point: runs on the connection that ``core.database.migrate`` holds, or opens one."""

from alembic import context
from sqlalchemy import Connection

from core.database import Base


def run(connection: Connection) -> None:
    """Run the wanted migrations in the connection's own transaction."""
    context.configure(
        connection=connection, target_metadata=Base.metadata, transactional_ddl=True, render_as_batch=True
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Take the given connection; from the ``alembic`` command there is none, so use the settings."""
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    from core.database import connect
    from core.settings import settings

    with connect(settings().database_url).begin() as connection:
        run(connection)


main()
