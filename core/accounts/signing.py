"""Opening an account, and signing in."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.accounts.foundation import changed_one
from core.accounts.names import (
    display_name,
    findable,
    known_language,
    normal_address,
    normal_email,
    normal_login,
    normal_username,
)
from core.accounts.passwords import check_password
from core.accounts.principal import Role, SignedIn
from core.accounts.sessions import Sessions
from core.accounts.tables import Invitation, KnownAddress, User
from core.accounts.throttle import forgive, reserve
from core.accounts.tokens import digest
from core.database import reading, serialise, transaction
from core.errors import AccessError, InputError
from core.locales import N_

_REMEMBERED = timedelta(days=180)


def taken() -> InputError:
    """Return the one answer to a name or an e-mail that exists, which does not say which of the two."""
    return InputError(N_("This user name or e-mail address is not available. Choose another, or sign in if "
                         "you already have an account."))


class Signing(Sessions):
    """The part of the service that strangers may call."""

    def sign_up(
        self,
        username: str,
        name: str,
        email: str,
        password: str,
        *,
        language: str = "en",
        invitation: str = "",
        address: str = "",
        user_agent: str = "",
    ) -> SignedIn:
        """Open an account and sign its owner in, in one transaction.

        Parameters
        ----------
        username, name, email
            As typed; stored in the normal forms of :mod:`core.accounts.names`. An empty ``name`` becomes the
            user name.
        password
            Used exactly as typed.
        invitation
            The token of an invitation; its role and its e-mail address then bind.
        address, user_agent
            Of the browser, for throttling and the list of sessions.

        Raises
        ------
        InputError
            If a field cannot be used, the name or e-mail exists, or the invitation is not valid (any more).
        AccessError
            If the installation's policy does not let strangers in.
        BusyError
            If too many accounts were opened from this address lately.
        """
        username, email = normal_username(username), normal_email(email)
        name = display_name(name) if name.strip(" ") else username
        language = known_language(language)
        check_password(password, username=username, email=email, name=name)
        with transaction(self._engine) as session:
            self._admission(session, email, invitation)  # cheap refusals before the expensive hash
            reserve(session, "sign_up", digest(username), normal_address(address), self._clock())
        password_hash = self._hasher.hash(password)
        try:
            with transaction(self._engine) as session:
                serialise(session, "sign_up")
                role = self._admission(session, email, invitation)
                at = self._clock()
                if invitation and not changed_one(session, update(Invitation).where(
                    Invitation.token == digest(invitation), Invitation.used_at.is_(None)
                ).values(used_at=at)):
                    raise _uninvited()
                user = User(id=str(uuid.uuid4()), username=username, name=name, email=email,
                            password=password_hash, role=role, language=language, created_at=at)
                session.add(user)
                session.flush()
                self._remember(session, user.id, normal_address(address), at)
                return self._begin(session, user, address, user_agent)
        except IntegrityError as error:
            raise taken() from error

    def sign_in(self, login: str, password: str, address: str = "", user_agent: str = "") -> SignedIn:
        """Begin a session for the person whose user name or e-mail address is ``login``.

        A name that does not exist, a wrong password and a disabled account give the same answer after the
        same work, so nothing is learned from the text or the time.

        Raises
        ------
        InputError
            If the login and the password do not belong together.
        BusyError
            If it is too early for another try; it says how many seconds to wait.
        """
        normal = normal_login(login)
        account, network = digest(normal), normal_address(address)
        with transaction(self._engine) as session:
            user = self._find(session, normal)
            known = self._knows(session, user.id if user else "", network)
            reserve(session, "sign_in", account, network, self._clock(), known=known)
        if not self._hasher.verify(password, user.password if user else None) or user is None:
            raise _mismatch()
        renewed = self._hasher.hash(password) if self._hasher.is_outdated(user.password) else None
        with transaction(self._engine) as session:
            current = session.scalar(select(User).where(User.id == user.id).with_for_update())
            # The password may have changed, or the account been disabled, while this one was checked.
            if current is None or current.disabled_at is not None or current.password != user.password:
                raise _mismatch()
            if renewed:
                current.password = renewed
            forgive(session, "sign_in", account, network)
            self._remember(session, current.id, network, self._clock())
            return self._begin(session, current, address, user_agent)

    def invited(self, invitation: str) -> str | None:
        """Return the e-mail address an open invitation is bound to ("" for none), or None if it is void."""
        with reading(self._engine) as session:
            row = self._open_invitation(session, invitation)
            return None if row is None else row.email or ""

    def _admission(self, session: Session, email: str, invitation: str) -> Role:
        """Return the role a new account gets, or raise what keeps it out."""
        policy = self._settings.sign_up
        empty = session.scalar(select(User.id).limit(1)) is None
        named = email in {address.strip().casefold() for address in policy.admins}
        if empty and (policy.first_is_admin or named):
            return "admin"  # under any policy: somebody has to be able to invite the others
        if policy.policy == "closed":
            raise AccessError(N_("New accounts are not offered here. Ask the administrator for one."))
        if invitation:
            row = self._open_invitation(session, invitation)
            if row is None or (row.email is not None and row.email != email):
                raise _uninvited()
            return "admin" if named or row.role == "admin" else "user"
        if policy.policy == "invitation":
            raise AccessError(N_("New accounts need an invitation here. Ask the administrator for a link."))
        return "admin" if named else "user"

    def _open_invitation(self, session: Session, invitation: str) -> Invitation | None:
        return session.scalar(select(Invitation).where(
            Invitation.token == digest(invitation),
            Invitation.used_at.is_(None),
            Invitation.expires_at > self._clock(),
        ))

    def _find(self, session: Session, login: str) -> User | None:
        login = findable(login)
        return session.scalar(select(User).where(or_(User.username == login, User.email == login)))

    def _knows(self, session: Session, user_id: str, network: str) -> bool:
        count = session.scalar(select(func.count()).select_from(KnownAddress).where(
            KnownAddress.user_id == user_id, KnownAddress.address == network))
        return bool(count)

    def _remember(self, session: Session, user_id: str, network: str, at: datetime) -> None:
        if not network:
            return
        session.merge(KnownAddress(user_id=user_id, address=network, seen_at=at))
        session.execute(delete(KnownAddress).where(
            KnownAddress.user_id == user_id, KnownAddress.seen_at < at - _REMEMBERED))


def _mismatch() -> InputError:
    return InputError(N_("The name and the password do not belong together. Check both and try again."))


def _uninvited() -> InputError:
    return InputError(N_("This invitation cannot be used: it has expired, was used before, or is for another "
                         "e-mail address. Ask for a new one."))
