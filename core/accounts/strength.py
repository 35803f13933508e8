"""How strong a password is, by zxcvbn (Wheeler, USENIX Security 2016), with advice for a meter."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from zxcvbn import matching, scoring, time_estimates

from core.locales import N_

_WINDOW = 72  # zxcvbn's own limit on length
_SUBSTITUTIONS = 64  # its time grows with the number of ways to read "l33t" characters as letters
_NEUTRAL = "~"  # a symbol that is no reading of any letter

_LEET = frozenset(character for readings in matching.L33T_TABLE.values() for character in readings)

_WARNINGS = {
    "dictionary": N_("It is close to a well-known word, name or password."),
    "own": N_("It contains your name or address."),
    "spatial": N_("Neighbouring keys are easy to guess."),
    "repeat": N_("The same characters come again and again."),
    "sequence": N_("It follows a sequence such as abcd or 6543."),
    "regex": N_("A year is easy to guess."),
    "date": N_("A date is easy to guess."),
}
_LONGER = N_("Add a few more words that have nothing to do with each other.")
_NO_TRICKS = N_("Capitals at the start and digits instead of letters help little; length helps much.")


@dataclass(frozen=True)
class Strength:
    """The verdict on a password.

    ``score`` runs from 0 (guessed at once) to 4 (very strong); 3 is the least that is accepted. ``warning`` is
    empty or one sentence, ``advice`` holds further ones; all are marked for translation.
    """

    score: int
    warning: str
    advice: tuple[str, ...]


def strength(password: str, inputs: tuple[str, ...] = ()) -> Strength:
    """Judge ``password``, where ``inputs`` are the person's own names, which count as dictionary words.

    zxcvbn reads at most 72 characters. A longer password is judged by its first and its last 72: guessing
    the whole is at least as hard as guessing either part, so the better verdict holds. Its running time is
    bounded: beyond 64 ways to read symbols as letters ("@" for "a"), further symbols are taken literally.
    """
    if not password:
        return Strength(0, "", (_LONGER,))
    windows = {password[:_WINDOW], password[-_WINDOW:]}
    results = [_judge(window, inputs) for window in windows]
    score, sequence = max(results, key=lambda result: result[0])
    if score >= 3:
        return Strength(score, "", ())
    worst = max(sequence, key=lambda match: len(match["token"]), default=None)
    advice = (_LONGER, _NO_TRICKS) if worst and worst["pattern"] == "dictionary" else (_LONGER,)
    return Strength(score, _warning(worst), advice)


def is_common(password: str) -> bool:
    """Say whether the password, ignoring case, is on zxcvbn's bundled list of 30,000 leaked ones."""
    return password.casefold() in matching.RANKED_DICTIONARIES["passwords"]


def _judge(password: str, inputs: tuple[str, ...]) -> tuple[int, list[dict[str, Any]]]:
    # zxcvbn() itself keeps the inputs in a module global, which two sessions would share; these calls do not.
    words = {word.lower(): rank for rank, word in enumerate(inputs, 1) if word}
    dictionaries = {**matching.RANKED_DICTIONARIES, "user_inputs": words}
    literal = (
        matching.dictionary_match, matching.reverse_dictionary_match, matching.spatial_match,
        matching.sequence_match, matching.regex_match, matching.date_match,
    )
    matches = [match for find in literal for match in find(password, _ranked_dictionaries=dictionaries)]
    # These two try every reading; repeat_match looks at what is repeated with all matchers.
    for find in (matching.l33t_match, matching.repeat_match):
        matches += find(_bounded(password), _ranked_dictionaries=dictionaries)
    matches.sort(key=lambda match: (match["i"], match["j"]))
    result = scoring.most_guessable_match_sequence(password, matches)
    sequence: list[Any] = list(result["sequence"])
    return time_estimates.guesses_to_score(Decimal(result["guesses"])), sequence


def _bounded(password: str) -> str:
    """Return ``password`` with l33t symbols made neutral once there would be too many ways to read them."""
    kept = set[str]()
    for character in sorted(_LEET.intersection(password), key=lambda c: (not c.isdigit(), password.index(c))):
        if _ways(kept | {character}) <= _SUBSTITUTIONS:
            kept.add(character)
    return "".join(_NEUTRAL if c in _LEET and c not in kept else c for c in password)


def _ways(characters: set[str]) -> int:
    ways, seen = 1, set[str]()
    for readings in matching.L33T_TABLE.values():
        present = characters.intersection(readings)
        ways *= max(1, len(present)) * 2 ** len(present & seen)
        seen |= present
    return ways


def _warning(match: dict[str, Any] | None) -> str:
    if match is None:
        return ""
    if match.get("dictionary_name") == "user_inputs":
        return _WARNINGS["own"]
    return _WARNINGS.get(match["pattern"], "")
