"""What a person does with their own account."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.accounts.foundation import Deletion, as_principal
from core.accounts.names import display_name, findable, known_language, normal_email
from core.accounts.passwords import check_password
from core.accounts.principal import Principal, SignedIn
from core.accounts.signing import Signing, taken
from core.accounts.tables import Reset, SignInSession, User
from core.accounts.throttle import forgive, reserve
from core.accounts.tokens import digest
from core.database import reading, serialise, transaction
from core.errors import InputError, NotFoundError
from core.locales import N_

RESET_LIVES = timedelta(minutes=30)


class Profile(Signing):
    """The part of the service about one's own account."""

    def on_delete(self, hook: Deletion) -> None:
        """Register what another room removes with an account.

        ``hook(session, user_id)`` runs inside the transaction that deletes the account, before the account's
        row goes. It may return a function, which is called after the commit, for what no transaction can
        undo (files).
        """
        self._deletions.append(hook)

    def update_profile(
        self,
        principal: Principal,
        *,
        name: str | None = None,
        email: str | None = None,
        language: str | None = None,
        password: str = "",
    ) -> Principal:
        """Change what is given and return the person as they are now.

        A new e-mail address needs the password, because one can sign in with it.

        Raises
        ------
        InputError
            If a value cannot be used, the e-mail exists, or the password is not right.
        AccessError
            If the session has ended.
        """
        person = self.require(principal)
        new_name = None if name in (None, person.name) else display_name(name or "")
        new_email = None if email is None else normal_email(email)
        new_language = None if language is None else known_language(language)
        if new_email is not None and new_email != person.email:
            self._confirm(principal, password)
        try:
            with transaction(self._engine) as session:
                row, user = self._live(session, principal, lock=True)
                user.name = new_name or user.name
                user.email = new_email or user.email
                user.language = new_language or user.language
                session.flush()
                return as_principal(user, row.id)
        except IntegrityError as error:
            raise taken() from error

    def change_password(
        self, principal: Principal, password: str, new_password: str, *, address: str = "",
        user_agent: str = "",
    ) -> SignedIn:
        """Set a new password, end every session and reset link, and begin a new session for the caller.

        Even the caller's own old token and principal are dead afterwards, in case they were copied.

        Raises
        ------
        InputError
            If the current password is not right, or the new one cannot be used.
        AccessError
            If the session has ended.
        BusyError
            If the current password was wrong too often.
        """
        person = self.require(principal)
        check_password(new_password, username=person.username, email=person.email, name=person.name)
        self._confirm(principal, password)
        new_hash = self._hasher.hash(new_password)
        with transaction(self._engine) as session:
            _, user = self._live(session, principal, lock=True)
            self._set_password(session, user, new_hash)
            return self._begin(session, user, address, user_agent)

    def delete_account(self, principal: Principal, password: str) -> None:
        """Delete one's own account and everything it owns, in one transaction.

        Raises
        ------
        InputError
            If the password is not right, or nobody else is an administrator.
        AccessError
            If the session has ended.
        """
        self._confirm(principal, password)
        with transaction(self._engine) as session:
            serialise(session, "administrators")
            _, user = self._live(session, principal, lock=True)
            self._keep_an_administrator(session, user)
            afterwards = self._erase(session, user)
        for finish in afterwards:
            finish()

    def _erase(self, session: Session, user: User) -> list[Callable[[], None]]:
        afterwards = [hook(session, user.id) for hook in self._deletions]
        session.execute(delete(User).where(User.id == user.id))
        return [finish for finish in afterwards if finish is not None]

    def _confirm(self, principal: Principal, password: str) -> None:
        """Check the current password of a signed-in person, throttled like a sign-in."""
        account = digest(principal.user_id)
        with transaction(self._engine) as session:
            _, user = self._live(session, principal)
            reserve(session, "confirm", account, "", self._clock())
        if not self._hasher.verify(password, user.password):
            raise InputError(N_("The current password is not right. Check it and try again."))
        with transaction(self._engine) as session:
            forgive(session, "confirm", account, "")

    def _set_password(self, session: Session, user: User, new_hash: str) -> None:
        user.password = new_hash
        session.execute(delete(SignInSession).where(SignInSession.user_id == user.id))
        session.execute(delete(Reset).where(Reset.user_id == user.id))

    def _keep_an_administrator(self, session: Session, user: User) -> None:
        """Raise if taking ``user`` away would leave an installation without an enabled administrator."""
        if user.role != "admin" or user.disabled_at is not None:
            return
        other = session.scalar(select(User.id).where(
            User.role == "admin", User.disabled_at.is_(None), User.id != user.id).limit(1))
        if other is None:
            raise InputError(N_("This is the only administrator. Make somebody else an administrator first."))

    def _user(self, session: Session, user_id: str) -> User:
        user = session.scalar(select(User).where(User.id == findable(user_id)).with_for_update())
        if user is None:
            raise NotFoundError(N_("There is no such account."))
        return user

    def redeem_reset(self, token: str, new_password: str) -> None:
        """Set a new password with a reset link; it works once, and ends all sessions of the account.

        Raises
        ------
        InputError
            If the link has expired or was used, or the password cannot be used (the link then still works).
        """
        with reading(self._engine) as session:
            user = self._reset_owner(session, token)
        if user is None:
            raise _void_link()
        check_password(new_password, username=user.username, email=user.email, name=user.name)
        new_hash = self._hasher.hash(new_password)
        with transaction(self._engine) as session:
            serialise(session, f"reset-{user.id}")
            current = self._reset_owner(session, token)
            if current is None:
                raise _void_link()
            self._set_password(session, current, new_hash)

    def _reset_owner(self, session: Session, token: str) -> User | None:
        at = self._clock()
        return session.scalar(select(User).join(Reset, Reset.user_id == User.id).where(
            Reset.token == digest(token), Reset.expires_at > at, Reset.expires_at <= at + RESET_LIVES,
            User.disabled_at.is_(None),
        ))


def _void_link() -> InputError:
    return InputError(N_("This link cannot be used: it has expired or was used before. Ask the administrator "
                         "for a new one."))
