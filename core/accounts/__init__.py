"""People: accounts, passwords, sessions, invitations, and who may do what.

:class:`Accounts` is the whole service. Each layer below it adds one subject: ``foundation`` (the live check),
``sessions``, ``signing``, ``profile`` and ``administration``.
"""

from core.accounts.administration import Administration, InvitationView, UserPage, UserView
from core.accounts.foundation import permitted
from core.accounts.key import cookie_key
from core.accounts.passwords import Hasher, check_password
from core.accounts.principal import LOCAL, Principal, Role, SignedIn
from core.accounts.sessions import SessionView
from core.accounts.strength import Strength, strength

__all__ = [
    "LOCAL", "Accounts", "Hasher", "InvitationView", "Principal", "Role", "SessionView", "SignedIn",
    "Strength", "UserPage", "UserView", "check_password", "cookie_key", "permitted",
    "strength",
]


class Accounts(Administration):
    """The accounts service: ``Accounts(engine, settings, clock=..., hasher=...)`` on a migrated database."""
