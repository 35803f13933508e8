"""The SQL engine, its sessions and its migrations. Tables themselves live in the rooms that own them."""

from core.database.columns import Base, UTCDateTime, now
from core.database.engine import connect
from core.database.migrate import downgrade, migrate
from core.database.transactions import looked_up, looked_up_all, reading, serialise, transaction

__all__ = [
    "Base", "UTCDateTime", "connect", "downgrade", "looked_up", "looked_up_all", "migrate", "now",
    "reading", "serialise", "transaction",
]
