"""What an administrator does: see people, invite, disable, change roles, hand out reset links."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select

from core.accounts.foundation import changed_one
from core.accounts.names import findable, normal_email
from core.accounts.principal import Principal, Role
from core.accounts.profile import RESET_LIVES, Profile
from core.accounts.tables import Invitation, Reset, SignInSession, User
from core.accounts.tokens import digest, new_token
from core.database import reading, serialise, transaction
from core.errors import InputError, NotFoundError
from core.locales import N_


@dataclass(frozen=True)
class UserView:
    """An account as shown to an administrator. Moments are UTC; ``seen_at`` is of its live sessions."""

    id: str
    username: str
    name: str
    email: str
    role: str
    disabled: bool
    created_at: datetime
    seen_at: datetime | None


@dataclass(frozen=True)
class UserPage:
    """One page of a listing: ``total`` counts all that match."""

    items: list[UserView]
    total: int
    page: int
    size: int


@dataclass(frozen=True)
class InvitationView:
    """An invitation that is still open. Its token was shown once and is not known any more."""

    id: str
    email: str | None
    role: str
    created_at: datetime
    expires_at: datetime


class Administration(Profile):
    """The part of the service for administrators; everyone else gets :class:`AccessError`."""

    def users(self, principal: Principal, *, page: int = 1, size: int = 50, search: str = "") -> UserPage:
        """Return accounts by user name, ``size`` (1 to 200) to a page, those that contain ``search``."""
        page, size = max(1, int(page)), min(200, max(1, int(size)))
        wanted = findable(search.strip().casefold()[:100])
        seen = (
            select(SignInSession.user_id, func.max(SignInSession.seen_at).label("seen_at"))
            .group_by(SignInSession.user_id).subquery()
        )
        matching = or_(User.username.contains(wanted, autoescape=True),
                       User.email.contains(wanted, autoescape=True))
        with reading(self._engine) as session:
            self._administrator(session, principal)
            total = session.scalar(select(func.count()).select_from(User).where(matching)) or 0
            rows = session.execute(
                select(User, seen.c.seen_at)
                .outerjoin(seen, seen.c.user_id == User.id)
                .where(matching).order_by(User.username).limit(size).offset((page - 1) * size)
            ).all()
        items = [
            UserView(user.id, user.username, user.name, user.email, user.role, user.disabled_at is not None,
                     user.created_at, last)
            for user, last in rows
        ]
        return UserPage(items, total, page, size)

    def invite(
        self, principal: Principal, email: str | None = None, role: Role = "user", days: float = 7
    ) -> str:
        """Return the token of a new single-use invitation that lasts ``days`` (up to 90)."""
        if role not in ("user", "admin") or not 0 < days <= 90:
            raise InputError(N_("An invitation lasts up to 90 days, for a user or an administrator."))
        bound = normal_email(email) if email and email.strip() else None
        token, at = new_token(), self._clock()
        with transaction(self._engine) as session:
            self._administrator(session, principal)
            session.execute(delete(Invitation).where(Invitation.expires_at <= at))
            session.add(Invitation(id=str(uuid.uuid4()), token=digest(token), email=bound, role=role,
                                   created_at=at, expires_at=at + timedelta(days=days)))
        return token

    def invitations(self, principal: Principal) -> list[InvitationView]:
        """Return the open invitations, the newest first."""
        with reading(self._engine) as session:
            self._administrator(session, principal)
            rows = session.scalars(
                select(Invitation)
                .where(Invitation.used_at.is_(None), Invitation.expires_at > self._clock())
                .order_by(Invitation.created_at.desc(), Invitation.id)
            )
            return [InvitationView(r.id, r.email, r.role, r.created_at, r.expires_at) for r in rows]

    def withdraw(self, principal: Principal, invitation_id: str) -> None:
        """Make an open invitation void; NotFoundError if there is none of that id."""
        with transaction(self._engine) as session:
            self._administrator(session, principal)
            if not changed_one(session, delete(Invitation).where(
                Invitation.id == findable(invitation_id), Invitation.used_at.is_(None)
            )):
                raise NotFoundError(N_("There is no such invitation. It may have been used or withdrawn."))

    def disable(self, principal: Principal, user_id: str) -> None:
        """Shut an account out: its sessions and reset links end at once, its data stays."""
        with transaction(self._engine) as session:
            serialise(session, "administrators")
            self._administrator(session, principal)
            user = self._user(session, user_id)
            self._keep_an_administrator(session, user)
            user.disabled_at = user.disabled_at or self._clock()
            session.execute(delete(SignInSession).where(SignInSession.user_id == user.id))
            session.execute(delete(Reset).where(Reset.user_id == user.id))

    def enable(self, principal: Principal, user_id: str) -> None:
        """Let a disabled account sign in again."""
        with transaction(self._engine) as session:
            self._administrator(session, principal)
            self._user(session, user_id).disabled_at = None

    def set_role(self, principal: Principal, user_id: str, role: Role) -> None:
        """Make an account a user's or an administrator's; the last administrator stays one."""
        if role not in ("user", "admin"):
            raise InputError(N_("A role is either user or administrator."))
        with transaction(self._engine) as session:
            serialise(session, "administrators")
            self._administrator(session, principal)
            user = self._user(session, user_id)
            if role == "user":
                self._keep_an_administrator(session, user)
            user.role = role

    def reset_link(self, principal: Principal, user_id: str) -> str:
        """Return the token of a reset link: single use, 30 minutes, earlier ones void.

        Nothing else changes: until the link is used, the current password and sessions go on.
        """
        token = new_token()
        with transaction(self._engine) as session:
            self._administrator(session, principal)
            user = self._user(session, user_id)
            if user.disabled_at is not None:
                raise InputError(N_("This account is disabled. Enable it first."))
            session.execute(delete(Reset).where(Reset.user_id == user.id))
            session.add(Reset(token=digest(token), user_id=user.id, expires_at=self._clock() + RESET_LIVES))
        return token
