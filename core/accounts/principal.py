"""Who is asking: the value that every service call takes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["user", "admin"]


@dataclass(frozen=True)
class Principal:
    """A signed-in person, as they were when last looked up.

    Holding one proves nothing: :meth:`core.accounts.Accounts.require` checks the live session on each call.
    """

    user_id: str
    username: str
    name: str
    email: str
    role: Role
    session_id: str | None
    language: str = "en"


@dataclass(frozen=True)
class SignedIn:
    """A person and the secret token of their new session, which is shown only this once."""

    principal: Principal
    token: str


LOCAL = Principal("local", "local", "local", "", "admin", None)
"""The operator of the command line, who can read the database file anyway: an administrator, no session."""
