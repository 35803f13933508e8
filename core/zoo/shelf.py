"""What pages show of the library, looked up on the disk at most once a second for all sessions together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from core.zoo.cards import ModelCard
from core.zoo.library import Library, Status

T = TypeVar("T")
_FRESH_S = 1.0


class Shelf:
    """Answers of a :class:`Library` that may be a second old.

    A page asks for every card, state and file size in every run; what it does with a model then goes to the
    library itself, so an old answer can mislead nobody for longer than it takes to look again. A state other
    than "ready" is never old, because somebody is watching it.

    Parameters
    ----------
    library
        Where to look.
    clock
        Seconds that only grow.
    """

    def __init__(self, library: Library, clock: Callable[[], float] = time.monotonic) -> None:
        self._library = library
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[Hashable, Any] = {}
        self._until = -1.0

    def cards_of(self, user_id: str, wanted: str | None = None) -> dict[str, ModelCard]:
        """Return the cards that a person finds, by name, the default model's first.

        ``wanted`` is a name that should be among them: if it is not, it may be new, and the disk is asked.
        """
        cards = self._cards(user_id)
        if wanted is not None and wanted not in cards:
            self.forget()
            cards = self._cards(user_id)
        return cards

    def status(self, name: str) -> Status:
        """Return what :meth:`Library.status` says."""
        key = ("status", name)
        status: Status = self._look(key, lambda: self._library.status(name))
        if status != "ready":
            with self._lock:
                self._kept.pop(key, None)
        return status

    def size(self, card: ModelCard, form: str) -> int | None:
        """Return the bytes of the ``.tflite`` of a form, or None while it is not prepared. NotFoundError."""
        return self._look(("size", card.name, form), lambda: self._measure(card, form))

    def labels(self, card: ModelCard, language: str) -> list[str]:
        """Return what :meth:`Library.labels` says."""
        return self._look(("labels", card.name, language), lambda: self._library.labels(card, language))

    def forget(self) -> None:
        """Look again at the next question, as after a model was added or removed."""
        with self._lock:
            self._kept.clear()

    def _cards(self, user_id: str) -> dict[str, ModelCard]:
        cards = self._look("cards", self._library.cards)
        return {card.name: card for card in cards if card.owner in (None, user_id)}

    def _measure(self, card: ModelCard, form: str) -> int | None:
        path = self._library.path_of(card, form)
        return path.stat().st_size if path.is_file() else None

    def _look(self, key: Hashable, find: Callable[[], T]) -> T:
        with self._lock:
            at = self._clock()
            if at >= self._until:
                self._kept.clear()
                self._until = at + _FRESH_S
            if key in self._kept:
                return cast(T, self._kept[key])
        found = find()  # outside the lock: a slow disk holds up only those who ask the same
        with self._lock:
            self._kept[key] = found
        return found
