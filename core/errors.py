"""The one family of errors: each says what happened and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real


class Phrase:
    """Part of a sentence that is translated when the sentence is.

    Parameters
    ----------
    message
        An English template, marked with ``core.locales.N_``.
    parameters
        Values for its placeholders.
    """

    def __init__(self, message: str, **parameters: object) -> None:
        self.message = message
        self.parameters = parameters

    def render(self, translate: Callable[[str], str]) -> str:
        """Return the phrase in the language of ``translate``."""
        return translate(self.message).format(**self.parameters)

    def __str__(self) -> str:
        return self.message.format(**self.parameters)


class SecateurError(Exception):
    """An error that a person can act on.

    Parameters
    ----------
    message
        An English template, marked for translation with ``core.locales.N_``. It names what happened and
        what to do, with ``{placeholders}`` for the parameters.
    parameters
        Values for the placeholders; a :class:`Phrase` is translated too.
    """

    def __init__(self, message: str, **parameters: object) -> None:
        super().__init__(message, parameters)
        self.message = message
        self.parameters = parameters

    def render(self, translate: Callable[[str], str]) -> str:
        """Return the sentence in the language of ``translate``."""
        return translate(self.message).format(**{
            name: value.render(translate) if isinstance(value, Phrase) else value
            for name, value in self.parameters.items()
        })

    def __str__(self) -> str:
        return self.message.format(**self.parameters)

    def plain(self) -> dict[str, int | float | str]:
        """Return the parameters as JSON holds them; numbers stay numbers, since templates may format them."""
        return {
            name: value if isinstance(value, int) else float(value) if isinstance(value, Real) else str(value)
            for name, value in self.parameters.items()
        }

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.parameters)


def _rebuild(cls: type[SecateurError], message: str, parameters: dict[str, object]) -> SecateurError:
    error = cls.__new__(cls)
    SecateurError.__init__(error, message, **parameters)
    return error


class InputError(SecateurError):
    """What a person gave (a photo, a recipe, an address, a form) cannot be used."""


class NotFoundError(SecateurError):
    """There is nothing of that name for this person; someone else's looks exactly the same."""


class AccessError(SecateurError):
    """The session has ended, or the role does not allow it."""


class BusyError(SecateurError):
    """A resource is taken or a limit is reached for now; the same request may work later."""


class StorageError(SecateurError):
    """The disk, the database or the object store refused."""


class PromiseError(SecateurError):
    """A compression step did not do to the artifact what it promised."""
