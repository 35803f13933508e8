"""Wishes as people type them."""

import pytest

from core.errors import InputError
from core.search.parsing import EXAMPLES, MOST_CHARACTERS, parse_wish

POINT = ("points", 1.0, False)


@pytest.mark.parametrize(("text", "best", "limits"), [
    ("lose at most 1 point, be smallest", "gzip", [POINT]),
    ("at most 1 point lost, smallest", "gzip", [POINT]),
    ("perdre au plus 1 point, être le plus petit", "gzip", [POINT]),
    ("under 3 ms and 2 MB, be most accurate", "points", [("latency", 3.0, False), ("gzip", 2e6, False)]),
    ("moins de 3 ms et 2 Mo, le plus exact possible", "points", [("latency", 3.0, False), ("gzip", 2e6, False)]),
    ("at least 2.4 times faster, lose at most 1.5 points", "points",
     [("latency", 2.4, True), ("points", 1.5, False)]),
    ("au moins 2,4 fois plus rapide, perdre au plus 1,5 point", "points",
     [("latency", 2.4, True), ("points", 1.5, False)]),
    ("at least 5.2 times smaller by zstd, lose at most 1.5 points", "points",
     [("zstd", 5.2, True), ("points", 1.5, False)]),
    ("be as small as possible, at most half a point", "gzip", [("points", 0.5, False)]),
    ("perdre au plus un demi-point, le plus rapide", "latency", [("points", 0.5, False)]),
    ("80 % smaller, lose 2%", "points", [("gzip", 5.0, True), ("points", 2.0, False)]),
    ("un fichier de moins de 500 Ko, le plus précis", "points", [("file", 5e5, False)]),
    ("half the size", "points", [("gzip", 2.0, True)]),
    ("deux fois plus rapide", "points", [("latency", 2.0, True)]),
    ("no loss of accuracy, smallest file", "file", [("points", 0.0, False)]),
    ("2 MiB", "points", [("gzip", 2.0**21, False)]),
    ("800 µs", "points", [("latency", 0.8, False)]),
])
def test_understood(text: str, best: str, limits: list[tuple[str, float, bool]]) -> None:
    wish = parse_wish(text)
    assert wish.best == best
    assert [(x.figure, pytest.approx(x.bound), x.relative) for x in wish.limits] == limits
    assert not wish.assumed


def test_a_loss_is_limited_even_when_nobody_says_so() -> None:
    wish = parse_wish("be smallest")
    assert wish.assumed
    assert wish.points is not None
    assert wish.points.bound == 1.0


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_shown_can_be_read(text: str) -> None:
    assert parse_wish(text).limits


@pytest.mark.parametrize(
    "text", ["", "  ", "hello", "under 5", "3 elephants, be smallest", "smallest " * MOST_CHARACTERS],
    ids=["empty", "blank", "hello", "no unit", "elephants", "too long"])
def test_not_understood_shows_examples(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_wish(text)
    assert EXAMPLES[0] in str(caught.value)


@pytest.mark.parametrize(("text", "says"), [
    ("0.5 times smaller", "above 1"), ("100 % smaller", "nothing of the file"), ("0 MB", "above zero"),
    ("keep 97 % accuracy", "points may be lost"), ("lose at most 80 points", "points may be lost"),
])
def test_impossible_bounds_say_what_to_write(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_wish(text)
    assert says in str(caught.value)
