"""Sessions: made at sign-in, looked up by token, listed, ended; and tickets that fetch the cookie."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from core.accounts.foundation import BY_TOKEN, Foundation, as_principal, changed_one, principal_in
from core.accounts.names import findable, normal_address, short_text
from core.accounts.principal import Principal, SignedIn
from core.accounts.tables import SignInSession, Ticket, User
from core.accounts.tokens import digest, new_token
from core.database import UTCDateTime, looked_up, looked_up_all, transaction
from core.errors import NotFoundError
from core.locales import N_

_TICKET_LIVES = timedelta(seconds=60)
_OWN = (
    select(SignInSession.id, SignInSession.created_at, SignInSession.seen_at, SignInSession.expires_at,
           SignInSession.user_agent, SignInSession.address)
    .where(SignInSession.user_id == bindparam("user_id"),
           SignInSession.expires_at > bindparam("at", type_=UTCDateTime()))
    .order_by(SignInSession.seen_at.desc(), SignInSession.id)
)
_PER_PERSON = 50  # the oldest sessions beyond this are ended


@dataclass(frozen=True)
class SessionView:
    """One of a person's own sessions, as shown to them. Moments are UTC."""

    id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    user_agent: str
    address: str
    current: bool


class Sessions(Foundation):
    """The part of the service about sessions."""

    def principal_of(self, token: str | None) -> Principal | None:
        """Return whose session ``token`` is, or None if it is unknown, ended, expired or disabled."""
        if not token:
            return None
        row = looked_up(self._engine, BY_TOKEN, {"token": digest(token), "at": self._clock()})
        if row is None:
            return None
        self._touch(row.session_id, row.seen_at)
        return principal_in(row)

    def sign_out(self, principal: Principal) -> None:
        """End this session: its cookie and its open pages are dead at once. Ending it twice is no error."""
        with transaction(self._engine) as session:
            session.execute(delete(SignInSession).where(
                SignInSession.id == (principal.session_id or ""),
                SignInSession.user_id == principal.user_id,
            ))

    def sessions(self, principal: Principal) -> list[SessionView]:
        """Return one's own live sessions, the most recently seen first."""
        self._alive(principal)
        rows = looked_up_all(self._engine, _OWN, {"user_id": principal.user_id, "at": self._clock()})
        return [SessionView(row.id, row.created_at, row.seen_at, row.expires_at, row.user_agent, row.address,
                            row.id == principal.session_id) for row in rows]

    def revoke(self, principal: Principal, session_id: str) -> None:
        """End one of one's own sessions; NotFoundError for any other, be it someone else's or nobody's."""
        with transaction(self._engine) as session:
            self._live(session, principal, lock=True)
            if not changed_one(session, delete(SignInSession).where(
                SignInSession.id == findable(session_id),
                SignInSession.user_id == principal.user_id,
            )):
                raise NotFoundError(N_("There is no such session. It may have ended already."))

    def revoke_others(self, principal: Principal) -> int:
        """End all of one's own sessions but this one; return how many there were."""
        with transaction(self._engine) as session:
            self._live(session, principal, lock=True)
            mine = (SignInSession.user_id == principal.user_id, SignInSession.id != principal.session_id)
            count = session.scalar(select(func.count()).select_from(SignInSession).where(*mine))
            session.execute(delete(SignInSession).where(*mine))
            return int(count or 0)

    def issue_ticket(self, principal: Principal) -> str:
        """Return a ticket that :meth:`redeem_ticket` takes once within 60 seconds; an earlier one is void.

        A page cannot set an HttpOnly cookie, but a route of the same server can. The route must accept only
        requests of the app's own pages: a ticket of someone else's would sign the browser in as them.
        """
        ticket = new_token()
        with transaction(self._engine) as session:
            row, _ = self._live(session, principal, lock=True)
            session.execute(delete(Ticket).where(Ticket.session_id == row.id))
            session.add(Ticket(token=digest(ticket), session_id=row.id,
                               expires_at=self._clock() + _TICKET_LIVES))
        return ticket

    def redeem_ticket(self, ticket: str) -> str | None:
        """Exchange a ticket for a fresh token of its session, whose old token is dead from then on.

        None if the ticket is unknown, used or too old, or the session has ended. The session itself, and the
        principal that an open page holds, stay as they are. No token is ever stored, so none has to be read
        back: the exchange makes a new one.
        """
        at = self._clock()
        with transaction(self._engine) as session:
            session_id = session.scalar(
                delete(Ticket).where(
                    Ticket.token == digest(ticket),
                    Ticket.expires_at > at,
                    Ticket.expires_at <= at + _TICKET_LIVES,
                ).returning(Ticket.session_id)
            )
            if session_id is None:
                return None
            token = new_token()
            alive = select(User.id).where(User.disabled_at.is_(None))
            done = changed_one(session, update(SignInSession).where(
                SignInSession.id == session_id,
                SignInSession.expires_at > at,
                SignInSession.user_id.in_(alive),
            ).values(token=digest(token)))
            return token if done else None

    def _begin(self, session: Session, user: User, address: str, user_agent: str) -> SignedIn:
        at = self._clock()
        token = new_token()
        row = SignInSession(
            id=str(uuid.uuid4()), token=digest(token), user_id=user.id, created_at=at, seen_at=at,
            expires_at=at + timedelta(days=self._settings.cookie.days),
            user_agent=short_text(user_agent, 200), address=normal_address(address),
        )
        session.execute(delete(SignInSession).where(SignInSession.expires_at <= at))
        surplus = session.scalars(
            select(SignInSession.id).where(SignInSession.user_id == user.id)
            .order_by(SignInSession.seen_at.desc()).offset(_PER_PERSON - 1)
        ).all()
        session.execute(delete(SignInSession).where(SignInSession.id.in_(surplus)))
        session.add(row)
        session.flush()
        return SignedIn(as_principal(user, row.id), token)
