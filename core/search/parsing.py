"""A wish as a person types it, in English or French: "lose at most 1 point, be smallest"."""

from __future__ import annotations

import re
import unicodedata

from core.errors import InputError, Phrase
from core.locales import N_
from core.search.wishes import ASSUMED_POINTS, SIZES, Figure, Limit, Wish

EXAMPLES = (
    N_("lose at most 1 point, be smallest"),
    N_("under 3 ms and 2 MB, be most accurate"),
    N_("at least 2.4 times faster, lose at most 1.5 points"),
)
MOST_CHARACTERS = 300
_NUMBER = r"(?P<n>\d+(?:\.\d+)?)\s*"
_WORDS = {
    "half a": "0.5", "half": "0.5", "un demi": "0.5", "une demi": "0.5", "demi": "0.5", "one": "1", "a": "1",
    "an": "1", "un": "1", "une": "1", "two": "2", "deux": "2", "three": "3", "trois": "3", "four": "4",
    "quatre": "4", "five": "5", "cinq": "5", "six": "6", "eight": "8", "huit": "8", "ten": "10", "dix": "10",
}
_UNIT = r"points?|pts?|pp|times|fois|x|mo|mb|ms|ko|kb|millisecond\w*|percent|%"
_SMALLER = (r"(?:smaller|lighter|as small|more compact|less space|plus petit\w*|plus leger\w*|moins lourd\w*|"
            r"plus compact\w*)")
_FASTER = r"(?:faster|quicker|as fast|as quick|plus rapide\w*|plus vite|aussi rapide\w*|speed-?up|acceler\w+)"
_TIMES = r"(?:x|\*|times|fois)"
_BYTES = {"o": 1.0, "b": 1.0, "byte": 1.0, "bytes": 1.0, "octet": 1.0, "octets": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_SECONDS = {"ms": 1.0, "us": 1e-3, "s": 1e3}
_BEST: tuple[tuple[str, Figure], ...] = (
    (r"\bsmallest\b|\btiniest\b|\blightest\b|as small as possible|\bminimi[sz]e (?:the )?size|"
     r"(?:le|la|les) plus (?:petit|leger|compact)\w*|plus (?:petit|leger)\w* possible|taille minimale", "gzip"),
    (r"\bfastest\b|\bquickest\b|as fast as possible|(?:le|la|les) plus (?:rapide|vite)\w*|"
     r"plus (?:rapide|vite)\w* possible", "latency"),
    (r"\b(?:most|best|highest) (?:accurate|accuracy|exact)|\bmost precise|as accurate as possible|lose (?:the )?least|"
     r"(?:le|la|les) plus (?:exact|precis|juste)\w*|plus (?:exact|precis)\w* possible|"
     r"meilleure (?:exactitude|precision)|perdre le moins", "points"),
)
_LOSS = re.compile(_NUMBER + r"(?:percentage\s+|pour\s*cent\s+)?(?:points?|pts?|pp|%|percent|pour\s*cent)")
_SHARE = re.compile(_NUMBER + rf"(?:%|percent|pour\s*cent)\s*(?P<what>{_SMALLER}|{_FASTER})")
_RATIO = re.compile(_NUMBER + rf"{_TIMES}\s*(?P<what>{_SMALLER}|{_FASTER})")
_RATIO_AFTER = re.compile(rf"(?P<what>{_SMALLER}|{_FASTER})\s*(?:by|than|de|d')?\s*(?:a factor of|un facteur)?\s*"
                          + _NUMBER + rf"{_TIMES}?")
_SIZE = re.compile(_NUMBER + r"(?P<unit>(?:k|m|g)(?:i?[bo])|kilo\w*|mega\w*|giga\w*|octets?|bytes?|b|o)\b")
_TIME = re.compile(_NUMBER + r"(?P<unit>ms|msec\w*|milli\w*|us|micro\w*|s|sec\w*)\b")
_KEPT = re.compile(r"accura|exactitude|precision|top-?\s?1|\bkeep\b|\bgarder\b")
_NOTHING = re.compile(r"\b(?:lose|perdre|ne)\s+(?:nothing|rien)|"
                      r"\b(?:no|zero|without|sans|aucune)\s+(?:any )?(?:loss|losing|perte|rien perdre)")
_LOST = re.compile(r"\blos\w+|\bdrop\w*|\bless\b|\bperd\w*|\bperte|\bmoins\b|\bworse\b|\bgive up|\bcost")


def parse_wish(text: str) -> Wish:
    """Read a sentence such as ``lose at most 1 point, be smallest``.

    Sizes are those of the file packed by gzip unless the sentence says zstd or file. Where nothing is said to be
    best, accuracy is when a size or a speed is limited, and size otherwise. Where a loss is not limited and
    something else is to be best, one point is.

    Raises
    ------
    InputError
        If nothing in it can be understood, a number has no known unit, or a bound makes no sense; with examples.
    """
    plain = _normal(text)
    if not plain or len(text) > MOST_CHARACTERS:
        raise _unclear(text)
    limits: dict[tuple[str, bool], Limit] = {}
    best: Figure | None = None
    for clause in re.split(r"[,;](?!\d)|\band\b|\bet\b|\bbut\b|\bmais\b|\bwhile\b|\bwith\b|\bavec\b|\.\s", plain):
        found, rest = _clause(clause)
        for limit in found:
            limits[limit.figure, limit.relative] = limit
        for pattern, figure in _BEST:
            if re.search(pattern, rest):
                best = _packed(plain if figure == "gzip" else "") if figure == "gzip" else figure
                rest = re.sub(pattern, " ", rest)
        if re.search(r"\d", re.sub(r"top-?\s?[15]", "", rest)):
            raise _unclear(text)
    if best is None and not limits:
        raise _unclear(text)
    kept = tuple(limits.values())
    if best is None:
        best = "points" if any(limit.figure != "points" for limit in kept) else "gzip"
    assumed = best != "points" and not any(limit.figure == "points" for limit in kept)
    if assumed:
        kept = (*kept, Limit(figure="points", bound=ASSUMED_POINTS))
    return Wish(best=best, limits=kept, assumed=assumed)


def _clause(clause: str) -> tuple[list[Limit], str]:
    found: list[Limit] = []
    rest = clause
    for pattern in (_SHARE, _RATIO, _RATIO_AFTER):
        for match in list(pattern.finditer(rest)):
            number = float(match["n"])
            if pattern is _SHARE:
                number = _by_share(number, match["what"], clause)
            if number <= 1:
                raise InputError(
                    N_("'{text}' asks for {ratio} times, which is not smaller or faster. Write a number above 1, for "
                       "example 'at least 2.4 times faster'."), text=clause.strip()[:80], ratio=f"{number:g}")
            figure: Figure = "latency" if re.match(_FASTER, match["what"]) else _packed(clause)
            found.append(Limit(figure=figure, bound=number, relative=True))
        rest = pattern.sub(" ", rest)
    for match in list(_SIZE.finditer(rest)):
        unit = match["unit"]
        scale = _BYTES.get(unit) or _BYTES[unit[0]]
        if unit.endswith(("ib", "io")):
            scale = {"k": 2.0**10, "m": 2.0**20, "g": 2.0**30}[unit[0]]
        found.append(Limit(figure=_packed(clause), bound=_positive(float(match["n"]) * scale, clause)))
    rest = _SIZE.sub(" ", rest)
    for match in list(_TIME.finditer(rest)):
        unit = match["unit"]
        scale = _SECONDS["ms" if unit[:2] in ("ms", "mi") and unit[:3] != "mic" else "us" if unit[0] in "um" else "s"]
        found.append(Limit(figure="latency", bound=_positive(float(match["n"]) * scale, clause)))
    rest = _TIME.sub(" ", rest)
    for match in list(_LOSS.finditer(rest)):
        number = float(match["n"])
        if number > 50 or (_KEPT.search(rest) and not _LOST.search(rest) and number > 20):
            raise InputError(
                N_("'{text}' cannot be used: say how many points may be lost, for example 'lose at most 1 point'."),
                text=clause.strip()[:80])
        found.append(Limit(figure="points", bound=number))
    rest = _LOSS.sub(" ", rest)
    if _NOTHING.search(rest):
        found.append(Limit(figure="points", bound=0.0))
    return found, rest


def _by_share(number: float, what: str, clause: str) -> float:
    if re.match(_FASTER, what):
        return 1 + number / 100
    if number >= 100:
        raise InputError(
            N_("'{text}' would leave nothing of the file. Write for example '80% smaller' or '5 times smaller'."),
            text=clause.strip()[:80])
    return 100 / (100 - number)


def _packed(clause: str) -> Figure:
    if "zst" in clause:
        return "zstd"
    if re.search(r"\bfile\b|\bfichier\b|\bdisk\b|\bdisque\b|unpacked|uncompressed|\bflash\b|\btflite\b", clause):
        return "file"
    return SIZES[0]


def _positive(value: float, clause: str) -> float:
    if value <= 0:
        raise InputError(N_("'{text}' allows nothing. Write a bound above zero."), text=clause.strip()[:80])
    return value


def _normal(text: str) -> str:
    """Return the text in lower case without accents, with points in numbers and digits for number words."""
    folded = unicodedata.normalize("NFKD", text.casefold().replace("µ", "u").replace("μ", "u").replace("×", "x"))
    plain = "".join(c for c in folded if not unicodedata.combining(c)).replace("’", "'")
    plain = re.sub(r"(?<=\d)[\s\u202f](?=\d{3}\b)", "", plain)
    plain = re.sub(r"(?<=\d),(?=\d)", ".", plain)
    plain = re.sub(r"\btwice\b|\bdouble\b", "2 times", plain)
    plain = re.sub(r"\bhalf (?:the |of the )?size\b|\bmoitie(?: de la taille)?\b", "2 times smaller", plain)
    for word in sorted(_WORDS, key=len, reverse=True):
        plain = re.sub(rf"\b{word}[\s-]+(?=(?:{_UNIT})(?!\w))", _WORDS[word] + " ", plain)
    return " ".join(plain.split())


def _unclear(text: str) -> InputError:
    return InputError(
        N_("'{text}' cannot be understood as a wish. Say what may be lost, how small or how fast, and what should be "
           "best, for example: '{first}'; '{second}'; '{third}'."),
        text=text.strip()[:80], first=Phrase(EXAMPLES[0]), second=Phrase(EXAMPLES[1]), third=Phrase(EXAMPLES[2]))
