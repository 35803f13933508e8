"""What one browser session remembers, typed; pages never spell a session-state key of their own."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

import streamlit as st

T = TypeVar("T")


class Entry(Generic[T]):
    """An attribute kept in ``st.session_state`` under ``secateur.<attribute>``."""

    def __init__(self, default: T) -> None:
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = f"secateur.{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> Entry[T]: ...
    @overload
    def __get__(self, instance: State, owner: type) -> T: ...
    def __get__(self, instance: State | None, owner: type) -> T | Entry[T]:
        """Return the value, or the default while none was set."""
        if instance is None:
            return self
        return st.session_state.get(self.key, self.default)

    def __set__(self, instance: State, value: T) -> None:
        st.session_state[self.key] = value


class State:
    """The session's entries; defaults are immutable, so sessions never share one."""

    language: Entry[str | None] = Entry(None)
    """What the person chose in the sidebar, over the browser's and the account's."""
    account_language: Entry[str | None] = Entry(None)
    """The language of the account that is signed in, as of this run."""
    token: Entry[str | None] = Entry(None)
    """The session token, from signing in until the page is loaded again and the browser's cookie has it."""
    page: Entry[str] = Entry("")
    """The path of the page that is being shown."""
    notice: Entry[str | None] = Entry(None)
    """One sentence to show once on the next page, already translated."""
    secret: Entry[str | None] = Entry(None)
    """A link to show once, such as an invitation."""
    answers: Entry[dict[Any, Any] | None] = Entry(None)
    """What the classify page has answered already, by photo, model and language."""
    steps: Entry[tuple[dict[str, Any], ...] | None] = Entry(None)
    """The steps of the lab's recipe: plain fields, the kind under ``step``, and a number of their own under ``uid``."""
    recipe_name: Entry[str] = Entry("")
    """What the lab's recipe is called; empty for one that was built here."""
    serial: Entry[int] = Entry(0)
    """Counts up, so that a widget whose content is replaced is a new widget."""
    forked: Entry[str] = Entry("")
    """The run whose recipe was last taken into the lab by its address."""
    fork_steps: Entry[tuple[dict[str, Any], ...] | None] = Entry(None)
    """Its steps, every field written out; None where it could not be taken."""
    chosen: Entry[tuple[str, ...]] = Entry(())
    """The runs that are ticked in the list, also those that another page or filter hides."""
    first_ticks: Entry[tuple[str, tuple[str, ...]]] = Entry(("", ()))
    """The key of the table of runs and those of its runs that were ticked when it was first drawn."""
    pressed: Entry[bool] = Entry(False)
    """Whether Compare was pressed and not yet answered."""
    presses: Entry[int] = Entry(0)
    """How many presses were answered."""
    gathered: Entry[bool] = Entry(False)
    """Whether every tick before the press has arrived."""
    few: Entry[bool] = Entry(False)
    """Whether the last press found too few runs ticked, or too many."""
    comparing: Entry[bool] = Entry(False)
    """Whether the experiments page shows a comparison."""
    archived: Entry[tuple[str, ...]] = Entry(())
    """The runs that were archived last, which can be taken back."""


state = State()
