"""What people type in confidence is in no log, however much is logged."""

import asyncio
import http.client
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine

from benchmarks.first_photo import sign_up
from benchmarks.load import server
from benchmarks.streamlit_client import Session
from core.accounts import LOCAL, Accounts
from core.database import connect
from core.errors import SecateurError
from core.settings import Settings
from tests.prepared import link_models, models

__all__ = ["models"]

PASSWORD, NEW, WRONG = "quiet lanterns over the estuary", "seven copper kettles asleep", "not at all what it was"
LAST = "nine violet ferries at noon"
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


class Secrets(list[str]):
    """What was typed or handed out on the way."""

    def keep(self, secret: str) -> str:
        """Remember and return a secret."""
        self.append(secret)
        return secret


async def _sign_in(port: int, password: str, secrets: Secrets) -> str | None:
    async with Session(port) as tab:
        await tab.open("sign-in")
        await tab.write("User name or e-mail", "marguerite")
        await tab.write("Password", password)
        await tab.click("Sign in")
        if tab.screen.errors:
            return None
        secrets.keep(tab._sent_to.partition("ticket=")[2].partition("&")[0])
        return secrets.keep(await tab.enter())


async def _journey(port: int, accounts: Accounts, secrets: Secrets) -> None:
    secrets.keep(await sign_up(port, "marguerite", PASSWORD))
    assert await _sign_in(port, WRONG, secrets) is None
    token = await _sign_in(port, PASSWORD, secrets)
    assert token
    async with Session(port, token) as tab:
        await tab.open("account")
        for key, text in (("account.old", PASSWORD), ("account.password", NEW), ("account.repeated", NEW)):
            await tab.write(key, text)
        await tab.click("account.change")
        assert not tab.screen.errors
        token = secrets.keep(await tab.enter())
    async with Session(port, token) as tab:
        await tab.open("account")
        assert any(text.startswith("Signed in as") for text in tab.screen.texts)
    person = accounts.users(LOCAL).items[0]
    link = secrets.keep(accounts.reset_link(LOCAL, person.id))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", f"/reset?token={link}", headers={"Host": f"localhost:{port}"})
    assert connection.getresponse().status == 200
    connection.close()
    async with Session(port) as tab:
        await tab.open("reset", f"token={link}")
        await tab.write("reset.password", LAST)
        await tab.write("reset.repeated", LAST)
        await tab.click("reset.set")
        assert any("The password is set" in text for text in tab.screen.texts)
    token = await _sign_in(port, LAST, secrets)
    assert token
    async with Session(port, token) as tab:
        await tab.open("classify")
        await tab.click("layout.sign_out")


def test_the_server_logs_no_secret_of_a_whole_journey(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sign up, in and out, wrongly too, change and reset the password in the real server, logging all it can."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("STREAMLIT_LOGGER_LEVEL", "debug")
    home = link_models(models, tmp_path / "home")
    secrets = Secrets([PASSWORD, NEW, WRONG, LAST])
    with server(home) as (port, _), ThreadPoolExecutor(1) as pool:
        url = f"sqlite:///{home / 'secateur.db'}"
        accounts = Accounts(connect(url), Settings(home=home, database_url=url))
        pool.submit(asyncio.run, _journey(port, accounts, secrets)).result()
    written = (home / "server.log").read_text(errors="replace")
    key = (home / "cookie.key").read_text().strip() if (home / "cookie.key").exists() else ""
    assert "Beginning script thread" in written  # what Streamlit says only when it says everything
    assert len(secrets) == 11
    assert not [secret for secret in [*secrets, *filter(None, [key])] if secret in written]
