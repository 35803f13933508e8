"""``python -m benchmarks.accounts``: does sign-in tell who exists by its time, and what do guessers reach?

1. The median time of a wrong sign-in for a known and for an unknown name, interleaved, with the real Argon2id
   parameters. A gap would let a stranger list accounts.
2. How many of 1,000 wrong sign-ins are checked at all in two patterns (one account from twenty addresses, a
   thousand accounts from one address), one try a second on a simulated clock, and when the owner gets in.

``--json`` prints one JSON document; ``--database-url`` runs on another database than a temporary SQLite file
(it must be empty: accounts are made in it).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.accounts import Accounts, Hasher
from core.database import connect, migrate
from core.errors import BusyError, InputError
from core.settings import Settings

PHRASE = "violet kettle orbit mango"


@dataclass
class Clock:
    """A clock that only moves when told."""

    moment: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.moment

    def move(self, **delta: float) -> None:
        """Move by a ``timedelta``'s keywords, forwards or back."""
        self.moment += timedelta(**delta)


def attempt(accounts: Accounts, login: str, address: str, password: str = "wrong password") -> str:
    """Return "checked" (and wrong), "refused" (throttled) or "in"."""
    try:
        accounts.sign_in(login, password, address)
    except InputError:
        return "checked"
    except BusyError:
        return "refused"
    return "in"


def timing(accounts: Accounts, clock: Clock, n: int) -> dict[str, float]:
    """Time ``n`` wrong sign-ins each for a known and an unknown name, all of them really checked."""
    seconds: dict[str, list[float]] = {"known": [], "unknown": []}
    for i in range(n + 5):
        for kind in ("known", "unknown") if i % 2 else ("unknown", "known"):
            clock.move(seconds=86_500)  # out of every window: no try is refused
            login = "owner" if kind == "known" else f"stranger{i}"
            started = time.perf_counter()
            outcome = attempt(accounts, login, f"192.0.2.{i % 200}")
            if outcome != "checked":
                raise RuntimeError(f"a timed try was {outcome}")
            if i >= 5:
                seconds[kind].append(time.perf_counter() - started)
    known, unknown = (1000 * statistics.median(seconds[kind]) for kind in ("known", "unknown"))
    return {"n": n, "known_ms": round(known, 2), "unknown_ms": round(unknown, 2),
            "difference_percent": round(100 * abs(known - unknown) / known, 2)}


def pattern(accounts: Accounts, clock: Clock, one_account: bool, n: int) -> dict[str, object]:
    """Try ``n`` wrong passwords, one a second, then let the owner in."""
    clock.move(days=10)
    outcomes = []
    for i in range(n):
        login, address = ("owner", f"198.51.100.{i % 20}") if one_account else (f"name{i}", "198.51.100.1")
        outcomes.append(attempt(accounts, login, address))
        clock.move(seconds=1)
    result: dict[str, object] = {
        "tries": n, "checked": outcomes.count("checked"), "refused": outcomes.count("refused"),
        "owner_at_a_known_address": attempt(accounts, "owner", "203.0.113.1", PHRASE),
    }
    waited = 0
    elsewhere = "203.0.113.77" if one_account else "198.51.100.1"
    while attempt(accounts, "owner", elsewhere, PHRASE) != "in":
        clock.move(seconds=1)
        waited += 1
    return {**result, "owner_elsewhere_waits_seconds": waited}


def run(url: str, home: Path, n: int) -> dict[str, object]:
    """Run all parts on the empty database at ``url``."""
    engine = connect(url)
    migrate(engine)
    clock = Clock()
    settings = Settings(home=home, database_url=url)
    real = Accounts(engine, settings, clock)
    cheap = Accounts(engine, settings, clock, Hasher(1, 8, 1))
    real.sign_up("owner", "", "owner@example.org", PHRASE, address="203.0.113.1")
    results: dict[str, object] = {"database": engine.dialect.name, "timing": timing(real, clock, n)}
    cheap.sign_in("owner", PHRASE, "203.0.113.1")  # the cheap hash from here on: only counting matters
    results["one_account_from_20_addresses"] = pattern(cheap, clock, True, 1000)
    results["1000_accounts_from_one_address"] = pattern(cheap, clock, False, 1000)
    engine.dispose()
    return results


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--database-url", default="", help="an empty database; a temporary SQLite file if not given")
    parser.add_argument("-n", type=int, default=200, help="timings of each kind (200)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.database_url or f"sqlite:///{folder}/benchmark.db"
        results = run(url, Path(folder), arguments.n)
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    for title, values in results.items():
        print(title.replace("_", " "))
        for name, value in values.items() if isinstance(values, dict) else [("", values)]:
            print(f"  {name.replace('_', ' '):34} {value}")


if __name__ == "__main__":
    main()
