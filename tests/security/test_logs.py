"""What people type in confidence is in no log, however much is logged."""

import logging

import pytest
from sqlalchemy import Engine

from core.accounts import Accounts
from core.errors import SecateurError
from core.settings import Settings

PASSWORD, NEW, WRONG = "quiet lanterns over the estuary", "seven copper kettles asleep", "not at all what it was"
EMAIL = "marguerite.hollow@example.org"


def test_services_log_no_password_token_or_email(
    engine: Engine, settings: Settings, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:
    """Sign up, in and out, wrongly too, and reset, with every logger at its most talkative."""
    caplog.set_level(logging.DEBUG)
    admitted = settings.model_copy(update={"sign_up": settings.sign_up.model_copy(update={"first_is_admin": True})})
    accounts = Accounts(engine, admitted)
    first = accounts.sign_up("marguerite", "Marguerite", EMAIL, PASSWORD)
    with pytest.raises(SecateurError):
        accounts.sign_in(EMAIL, WRONG)
    with pytest.raises(SecateurError):
        accounts.sign_up("marguerite", "M", EMAIL, NEW)
    second = accounts.sign_in(EMAIL, PASSWORD)
    ticket = accounts.issue_ticket(second.principal)
    reset = accounts.reset_link(second.principal, second.principal.user_id)
    accounts.redeem_reset(reset, NEW)
    assert accounts.principal_of(first.token) is None
    third = accounts.sign_in(EMAIL, NEW)
    accounts.sign_out(third.principal)
    written = "".join(capfd.readouterr()) + "".join(
        logging.Formatter().format(record) for record in caplog.records
    )
    for secret in (PASSWORD, NEW, WRONG, EMAIL, first.token, second.token, third.token, ticket, reset):
        assert str(secret) not in written
