"""Which passwords are accepted, and that each is checked exactly as typed."""

from __future__ import annotations

import threading
import time

import pytest

from core.accounts import Hasher, check_password, strength
from core.accounts.passwords import LONGEST
from core.errors import InputError

EXACT = [
    "sixty four characters of perfectly ordinary words, one by one ok"[:64],
    "  spaces around and  inside are kept  ",
    "🦑🐙🦀🐚🌊🐬🦈🐡🐠🐟🦐🦞",
    "пароль из нескольких слов и лампа",
    "é" * 0 + "cafe\u0301 lampe tulipe nuage",  # decomposed on purpose: nothing normalises it
    "тихий океан помнит каждого кто тонул" + "ж",
]


@pytest.mark.parametrize("password", EXACT)
def test_accepted_and_verified_exactly(password: str, cheap: Hasher) -> None:
    check_password(password, username="ada", email="ada@example.org")
    stored = cheap.hash(password)
    assert cheap.verify(password, stored)
    for other in (password + " ", " " + password, password[:-1], password.swapcase() + "x", password.strip()):
        assert other == password or not cheap.verify(other, stored)


def test_eighty_bytes_that_differ_only_at_the_end(cheap: Hasher) -> None:
    first, second = "тихая река и старый мост за лесом чай ж", "тихая река и старый мост за лесом чай щ"
    first, second = first + "abcdefgh1", second[:-1] + "жabcdefgh2"
    assert len(first.encode()) >= 72
    assert first[:-1] == second[:-1]
    check_password(first)
    check_password(second)
    assert cheap.verify(first, cheap.hash(first))
    assert not cheap.verify(second, cheap.hash(first))


def test_composed_and_decomposed_are_different_pass_phrases(cheap: Hasher) -> None:
    assert not cheap.verify("caf\u00e9 lampe tulipe", cheap.hash("cafe\u0301 lampe tulipe"))


@pytest.mark.parametrize(("password", "reason"), [
    ("", "short"), ("Password1!", "short"), ("elevenchars", "short"), ("x" * (LONGEST + 1), "long"),
    ("Password1234!", "guess"), ("qwertyuiopasdf", "guess"), ("aaaaaaaaaaaaaaaa", "guess"),
    ("123456789012345", "guess"), ("iloveyouiloveyou", "guess"), ("Passw0rdPassw0rd", "guess"),
    ("lovelace kettle orbit mango", "user name"), ("LoveLace kettle orbit", "user name"),
    ("countess@example.org!!", "user name"), ("countess kettle orbit mango", "user name"),
    ("kettle orbit mango \ud800", "broken"),
])
def test_refused_with_the_reason(password: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        check_password(password, username="lovelace", email="countess@example.org", name="Ada King")


def test_the_longest_is_accepted_and_judged_whole() -> None:
    check_password(("a" * 72) + " violet kettle orbit mango lamp")  # strong only beyond zxcvbn's limit
    with pytest.raises(InputError, match="guess"):
        check_password("ab" * 64)


def test_strength_grows_and_advises() -> None:
    scores = [strength(p).score for p in ("password", "kettle orbit", "violet kettle orbit mango")]
    assert scores == sorted(scores)
    assert scores[-1] == 4
    assert strength("").score == 0
    weak = strength("password1234")
    assert weak.warning
    assert weak.advice
    assert strength("violet kettle orbit mango").advice == ()


@pytest.mark.parametrize(("password", "words"), [
    ("abcdefghijkl", "sequence"), ("aaaaaaaaaaaa", "again and again"), ("qazwsxedcrfv", "close to|keys"),
    ("lovelace", "your name"),
])
def test_warning_names_the_weakness(password: str, words: str) -> None:
    import re
    assert re.search(words, strength(password, ("lovelace",)).warning)


def test_one_persons_names_do_not_weaken_anothers_pass_phrase() -> None:
    before = strength("zyxomma petiolatum")
    strength("something else", ("zyxomma", "petiolatum"))
    assert strength("zyxomma petiolatum") == before
    assert strength("zyxomma petiolatum", ("zyxomma", "petiolatum")).score < before.score


def test_hostile_input_does_not_stall_the_meter() -> None:
    started = time.process_time()
    for password in ("4@8({[<369&#!1/|0$5+7%2" * 5, "(4@8{[<369" * 12, "ab" * 64, "7" * 128):
        strength(password, ("4@8({[",) * 50)
    # Unbounded, the first alone takes ten thousand times this bound's fair share.
    assert time.process_time() - started < 20


def test_unknown_account_still_costs_a_hash(cheap: Hasher) -> None:
    assert not cheap.verify("anything at all", None)
    assert not cheap.verify("x" * 100_000, cheap.hash("violet kettle"))
    assert not cheap.verify("\ud800", cheap.hash("violet kettle"))
    assert not cheap.verify("violet kettle", "not a hash")


def test_default_parameters_are_the_documented_ones() -> None:
    stored = Hasher().hash("violet kettle orbit mango")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert Hasher(time_cost=4).is_outdated(stored)
    assert not Hasher().is_outdated(stored)


def test_at_most_two_hashes_at_a_time() -> None:
    running, most = 0, 0
    guard = threading.Lock()

    class Counting(Hasher):
        def __init__(self) -> None:
            super().__init__(1, 8, 1)
            inner = self._argon.hash

            class Argon:
                def hash(self, password: str) -> str:
                    nonlocal running, most
                    with guard:
                        running += 1
                        most = max(most, running)
                    time.sleep(0.01)
                    result = inner(password)
                    with guard:
                        running -= 1
                    return result

            self._argon = Argon()  # type: ignore[assignment]

    hasher = Counting()
    threads = [threading.Thread(target=hasher.hash, args=("x",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2
