"""The shelf: which models there are, in which state, and where their files lie. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from core.errors import BusyError, InputError, NotFoundError
from core.locales import N_
from core.settings import Settings
from core.zoo.cards import ModelCard, read_card, write_card
from core.zoo.child import Child
from core.zoo.fingerprint import fingerprint, weights_path
from core.zoo.labels import Labels, read_labels, write_labels
from core.zoo.progress import Progress, is_locked, read_progress

Status = Literal["ready", "preparing", "failed", "waiting"]


@dataclass(frozen=True)
class ServedModel:
    """A ``.tflite`` file together with the card that says how to feed it and what its outputs mean."""

    card: ModelCard
    path: Path
    form: str


@lru_cache(maxsize=256)
def _card(path: Path, mtime_ns: int) -> ModelCard:
    del mtime_ns
    return read_card(path)


@lru_cache(maxsize=256)
def _labels(path: Path, mtime_ns: int, classes: int) -> Labels:
    del mtime_ns
    return read_labels(path, classes)


class Library:
    """All models of an installation: those in ``models_folder`` and those added to the data folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = settings.home / "models"

    def folder(self, name: str) -> Path:
        """Return the folder of the model's card and labels. Raises NotFoundError."""
        for parent in (self._settings.models_folder, self._home):
            folder = parent / name
            if folder.parent == parent and name and (folder / "card.yaml").is_file():
                return folder
        raise self._missing(name)

    def _missing(self, name: str) -> NotFoundError:
        return NotFoundError(
            N_("There is no model named {name}. The library has: {known}."),
            name=name, known=", ".join(card.name for card in self.cards_of(None)),
        )

    def prepared_folder(self, name: str) -> Path:
        """Return the folder that holds the model's prepared files; it may not exist yet."""
        return self._home / name

    def names(self) -> list[str]:
        """Return the names of all models, those that ship first."""
        names: dict[str, None] = {}
        for parent in (self._settings.models_folder, self._home):
            names.update(dict.fromkeys(sorted(path.parent.name for path in parent.glob("*/card.yaml"))))
        default = self._settings.models.default
        return sorted(names, key=lambda name: name != default)

    def cards(self) -> list[ModelCard]:
        """Return every card, the default model's first. Raises InputError if a card is malformed."""
        return [self.card(name) for name in self.names()]

    def cards_of(self, user_id: str | None) -> list[ModelCard]:
        """Return the cards that a person finds: those that belong to nobody, and their own. As :meth:`cards`."""
        return [card for card in self.cards() if card.owner in (None, user_id)]

    def card(self, name: str) -> ModelCard:
        """Return one card. Raises NotFoundError, or InputError if the card is malformed."""
        path = self.folder(name) / "card.yaml"
        card = _card(path, path.stat().st_mtime_ns)
        if card.name != name:
            raise InputError(
                N_("The card in the folder {folder} calls itself {name}. Give both the same name."),
                folder=name, name=card.name,
            )
        return card

    def labels(self, card: ModelCard, language: str = "en") -> list[str]:
        """Return the class names in ``language``, in the order of the outputs; English where it lacks one."""
        return self._labels(card).in_language(language)

    def names_of_classes(self, card: ModelCard) -> dict[str, list[str]]:
        """Return the class names by language code, each in the order of the outputs."""
        return self._labels(card).names

    def aliases(self, card: ModelCard) -> list[str] | None:
        """Return a second name for each class (ImageNet's WordNet id), or None if the model has none."""
        return self._labels(card).aliases

    def _labels(self, card: ModelCard) -> Labels:
        path = self.folder(card.name) / card.labels
        return _labels(path, path.stat().st_mtime_ns if path.exists() else 0, card.classes)

    def weights(self, card: ModelCard) -> Path | None:
        """Return the file of the card's weights (it may be missing), or None for a finished ``.tflite``."""
        return weights_path(card, self.folder(card.name), self.prepared_folder(card.name))

    def fingerprint(self, card: ModelCard) -> str:
        """Return the content address of what preparing ``card`` produces."""
        return fingerprint(card, self.folder(card.name), self.prepared_folder(card.name))

    def path_of(self, card: ModelCard, form: str) -> Path:
        """Return where the ``.tflite`` of ``form`` belongs, whether or not it is there. NotFoundError."""
        if form not in card.forms:
            raise NotFoundError(
                N_("The model {name} has no form {form}. It has: {forms}."),
                name=card.name, form=form, forms=", ".join(card.forms),
            )
        if card.weights.kind == "none":
            return self.folder(card.name) / card.files[form]
        return self.prepared_folder(card.name) / f"{form}-{self.fingerprint(card)}.tflite"

    def status(self, name: str) -> Status:
        """Return "ready" (every form has its file), "waiting" (a person must add the weights), "failed", or
        "preparing" (the files are being made, or will be by the next :meth:`prepare`)."""
        card = self.card(name)
        if all(self.path_of(card, form).is_file() for form in card.forms):
            return "ready"
        if is_locked(self.prepared_folder(name)):
            return "preparing"
        weights = self.weights(card)
        if card.weights.kind == "user" and weights is not None and not weights.is_file():
            return "waiting"
        progress = self.progress(name)
        return "failed" if progress is not None and progress.state == "failed" else "preparing"

    def progress(self, name: str) -> Progress | None:
        """Return how far the preparation of the model's present inputs is, or why it failed."""
        progress = read_progress(self.prepared_folder(name))
        if progress is None or progress.fingerprint != self.fingerprint(self.card(name)):
            return None
        return progress

    def artifact(self, name: str, form: str = "float32") -> Path:
        """Return the ``.tflite`` file of one form.

        Raises
        ------
        NotFoundError
            If there is no such model or form, its weights are not there, or its preparation failed.
        BusyError
            If it is not prepared yet.
        """
        path = self.path_of(self.card(name), form)
        if path.is_file():
            return path
        status = self.status(name)
        if status == "waiting":
            raise NotFoundError(
                N_("The model {name} is waiting for its weights. The page Models says how to add them."),
                name=name,
            )
        if status == "failed":
            raise NotFoundError(
                N_("The model {name} could not be prepared. The page Models says why."), name=name
            )
        raise BusyError(N_("The model {name} is being prepared. Try again in a minute."), name=name)

    def pending(self) -> list[str]:
        """Return the models that :meth:`prepare` would build now: not ready, and not waiting for a person."""
        return [name for name in self.names() if self.status(name) in ("preparing", "failed")]

    def start(self, names: Sequence[str] | None = None) -> Child | None:
        """Start the child process that prepares ``names`` (by default all pending) and return at once."""
        wanted = [name for name in (self.pending() if names is None else names)
                  if self.status(name) != "ready"]
        return Child.start(self._settings, wanted) if wanted else None

    def prepare(
        self,
        progress: Callable[[Progress], None] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        """Prepare what is missing in a child process, and wait for it.

        Two callers at once do the work once: the second waits for the first.

        Raises
        ------
        InputError
            If a model could not be prepared; the sentence is that of the first failure.
        """
        child = self.start(names)
        if child is not None:
            child.wait(progress)

    def resolve_for(self, user_id: str, model: str) -> ServedModel:
        """Return what :meth:`resolve` does; someone else's variant looks exactly like one that does not exist."""
        if not model.endswith(".tflite"):
            name = model.partition(":")[0]
            if self.card(name).owner not in (None, user_id):
                raise self._missing(name)
        return self.resolve(model)

    def resolve(self, model: str) -> ServedModel:
        """Return the file and card for a name, ``name:form``, or a path to a ``.tflite``.

        Raises
        ------
        NotFoundError, BusyError
            As :meth:`artifact`.
        InputError
            If it is a file, but no card tells how to feed it.
        """
        if model.endswith(".tflite"):
            return self._resolve_file(Path(model))
        name, _, form = model.partition(":")
        card = self.card(name)
        form = form or card.forms[0]
        return ServedModel(card, self.artifact(name, form), form)

    def _resolve_file(self, path: Path) -> ServedModel:
        from core.zoo.beside import card_beside

        if not path.is_file():
            raise NotFoundError(N_("There is no file {file}."), file=str(path))
        return ServedModel(card_beside(path, self.cards()), path.resolve(), path.stem)

    def add(
        self,
        card: ModelCard,
        names: Mapping[str, Sequence[str]],
        files: Mapping[str, bytes | Path],
        aliases: Sequence[str] | None = None,
    ) -> Path:
        """Put a new model into the data folder and return its folder.

        Parameters
        ----------
        card
            Its card; ``card.files`` and ``card.weights.file`` name what ``files`` holds.
        names
            The class names, one list per language code.
        files
            The content of each file, by its name in the folder.
        aliases
            A second name for each class.

        Raises
        ------
        InputError
            If the name is taken, or the labels do not fit the card.
        """
        if card.name in self.names():
            raise InputError(N_("There is already a model named {name}. Choose another name."),
                             name=card.name)
        folder = self._home / card.name
        folder.mkdir(parents=True, exist_ok=True)
        write_labels(folder / card.labels, dict(names), aliases)
        read_labels(folder / card.labels, card.classes)
        for name, content in files.items():
            partial = folder / f".{name}.partial"
            partial.write_bytes(content.read_bytes() if isinstance(content, Path) else content)
            partial.replace(folder / name)
        write_card(card, folder / "card.yaml")
        return folder
