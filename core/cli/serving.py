"""From the MODEL of a command to a file that can answer."""

from __future__ import annotations

from core.cli.output import follow
from core.settings import Settings
from core.zoo import Library, ServedModel


def served(library: Library, model: str, settings: Settings) -> ServedModel:
    """Return the model, preparing it first if need be, with progress on stderr.

    Raises what :meth:`core.zoo.Library.resolve` and :meth:`core.zoo.Library.prepare` raise.
    """
    name = model.partition(":")[0]
    if not model.endswith(".tflite") and library.status(name) in ("preparing", "failed"):
        library.prepare(follow(settings.language), [name])
    return library.resolve(model)
