"""What every part of the accounts service stands on: the live check of a principal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Engine, Executable, Row, bindparam, select, update
from sqlalchemy.orm import Session

from core.accounts.passwords import Hasher
from core.accounts.principal import LOCAL, Principal, Role
from core.accounts.tables import SignInSession, User
from core.database import UTCDateTime, looked_up, now, transaction
from core.errors import AccessError, BusyError, StorageError
from core.locales import N_
from core.settings import Settings

_TOUCH = timedelta(minutes=1)

# Asked in every run of every page and in every service call, so: plain columns, built once, one round trip.
_ALIVE = (
    select(User.id, User.username, User.name, User.email, User.role, User.language,
           SignInSession.id.label("session_id"), SignInSession.seen_at)
    .select_from(SignInSession).join(User, User.id == SignInSession.user_id)
    .where(SignInSession.expires_at > bindparam("at", type_=UTCDateTime()), User.disabled_at.is_(None))
)
_BY_SESSION = _ALIVE.where(SignInSession.id == bindparam("session_id"),
                           SignInSession.user_id == bindparam("user_id"))
BY_TOKEN = _ALIVE.where(SignInSession.token == bindparam("token"))
"""A live session by the digest of its token (``token``) at a moment (``at``)."""

Deletion = Callable[[Session, str], Callable[[], None] | None]


class Foundation:
    """Engine, settings, clock and hasher, and the checks that every service call begins with."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        clock: Callable[[], datetime] = now,
        hasher: Hasher | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._hasher = hasher or Hasher()
        self._deletions: list[Deletion] = []

    def require(self, principal: Principal, role: Role | None = None) -> Principal:
        """Return the person as they are now, if their session is alive and the role allows it.

        Every service method of every room calls this first: a page's own check does not run before its
        callbacks and fragments. :data:`LOCAL` passes.

        Raises
        ------
        AccessError
            If the session was ended or has expired, the account is disabled or gone, or the role is lacking.
        """
        if principal == LOCAL:
            return LOCAL
        return permitted(self._alive(principal), role)

    def _alive(self, principal: Principal) -> Principal:
        """Return a signed-in person as they are now, or raise :class:`AccessError`; for what only reads."""
        row = looked_up(self._engine, _BY_SESSION, {
            "session_id": principal.session_id or "", "user_id": principal.user_id, "at": self._clock()})
        if row is None:
            raise AccessError(N_("Your session has ended. Sign in again."))
        self._touch(row.session_id, row.seen_at)
        return principal_in(row)

    def _live(
        self, session: Session, principal: Principal, *, lock: bool = False
    ) -> tuple[SignInSession, User]:
        """Return the live rows of a signed-in person, or raise :class:`AccessError`.

        Methods that write call this again inside their own transaction, with ``lock``, so that a session
        revoked in between writes nothing.
        """
        query = (
            select(SignInSession, User)
            .join(User, User.id == SignInSession.user_id)
            .where(
                SignInSession.id == (principal.session_id or ""),
                SignInSession.user_id == principal.user_id,
                SignInSession.expires_at > self._clock(),
                User.disabled_at.is_(None),
            )
        )
        found = session.execute(query.with_for_update() if lock else query).one_or_none()
        if found is None:
            raise AccessError(N_("Your session has ended. Sign in again."))
        return found[0], found[1]

    def _administrator(self, session: Session, principal: Principal) -> None:
        """Raise :class:`AccessError` unless ``principal`` is an administrator at this moment."""
        if principal != LOCAL and self._live(session, principal)[1].role != "admin":
            raise AccessError(N_("Only an administrator can do this."))

    def _touch(self, session_id: str, seen_at: datetime) -> None:
        at = self._clock()
        if abs(at - seen_at) < _TOUCH:
            return
        try:
            with transaction(self._engine, patience=0) as session:
                session.execute(update(SignInSession).where(SignInSession.id == session_id).values(seen_at=at))
        except (BusyError, StorageError):
            return  # being seen is a courtesy; a read must not fail or wait for it


def permitted(principal: Principal, role: Role | None = None) -> Principal:
    """Return a person who was looked up this very moment; :class:`AccessError` if the role is lacking."""
    if role == "admin" and principal.role != "admin":
        raise AccessError(N_("Only an administrator can do this."))
    return principal


def principal_in(row: Row[Any]) -> Principal:
    """Return the plain value of a row of :data:`BY_TOKEN` or of the look-up by session."""
    return Principal(row.id, row.username, row.name, row.email, cast(Role, row.role), row.session_id,
                     row.language)


def as_principal(user: User, session_id: str | None) -> Principal:
    """Return the plain value of an account row."""
    return Principal(user.id, user.username, user.name, user.email, cast(Role, user.role), session_id,
                     user.language)


def changed_one(session: Session, statement: Executable) -> bool:
    """Execute an UPDATE or DELETE and say whether it met a row: the test of a single-use token."""
    return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1
