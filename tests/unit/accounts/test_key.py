"""The cookie key: never a default, made once, agreed on by processes that start together."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from core.accounts import cookie_key
from core.errors import InputError, StorageError
from core.settings import Settings

GOOD = "q7Xv2Lm9Rt4Zk8Bn1Wc6Yp3Hd5Js0Fg!"


def _with(settings: Settings, key: str) -> Settings:
    return settings.model_copy(update={"cookie_key": key})


def test_key_of_the_settings_is_used(settings: Settings) -> None:
    assert cookie_key(_with(settings, GOOD)) == GOOD.encode()
    assert not (settings.home / "cookie.key").exists()


@pytest.mark.parametrize("key", [
    "some_key", "x7", GOOD[:31], "a" * 64, "some_key" * 8, "abcd" * 10, "abcdefgh" * 4,
    "change-me-change-me-please-1234567890", "some_signature_key_that_is_long_enough",
    "0123456789abcdef0123456789abcdef", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "my-secret-key-of-the-cookie-42xyz",
])
def test_weak_keys_are_refused(settings: Settings, key: str) -> None:
    with pytest.raises(InputError, match="cookie key") as caught:
        cookie_key(_with(settings, key))
    assert key not in str(caught.value)


def test_generated_once_and_private(settings: Settings) -> None:
    key = cookie_key(settings)
    path = settings.home / "cookie.key"
    assert len(key) >= 32
    assert cookie_key(settings) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700
    assert [p.name for p in settings.home.iterdir()] == ["cookie.key"]


def test_installations_differ(settings: Settings, tmp_path: Path) -> None:
    assert cookie_key(settings) != cookie_key(settings.model_copy(update={"home": tmp_path / "other"}))


def test_open_file_is_closed_to_others(settings: Settings) -> None:
    cookie_key(settings)
    path = settings.home / "cookie.key"
    path.chmod(0o644)
    cookie_key(settings)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_racing_starts_agree(settings: Settings) -> None:
    keys: list[bytes] = []
    barrier = threading.Barrier(16)

    def start() -> None:
        barrier.wait()
        keys.append(cookie_key(settings))

    threads = [threading.Thread(target=start) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 16
    assert len(set(keys)) == 1


def test_damaged_file_says_what_to_do(settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    (settings.home / "cookie.key").write_text("x")
    with pytest.raises(StorageError, match="Delete the file"):
        cookie_key(settings)


def test_folder_that_cannot_be_made(settings: Settings) -> None:
    settings.home.write_text("in the way")
    with pytest.raises(StorageError, match="cookie key"):
        cookie_key(settings)
