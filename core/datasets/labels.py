"""Which class of a model a folder means."""

from __future__ import annotations

import difflib
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from core.datasets.base import Dataset, Indices
from core.errors import InputError
from core.locales import N_


def match_labels(
    dataset: Dataset, labels: Sequence[str], aliases: Sequence[str] | None = None
) -> Indices:
    """Return the model's class for each image of a labelled set.

    A folder is matched, ignoring case, spaces and underscores, in this order: by alias (``n02012849``,
    also as a prefix: ``n02012849_crane``), by label where only one class bears it, by index.

    Parameters
    ----------
    dataset
        With classes.
    labels
        The model's label of each class.
    aliases
        An unambiguous name of each class, such as its WordNet id.

    Returns
    -------
    numpy.ndarray
        int64 ``[n]``: indices into ``labels``.

    Raises
    ------
    InputError
        If the set has no classes, or a folder that holds images matches nothing (the message names it
        and the nearest label) or the label of several classes.
    """
    classes, targets = dataset.classes, dataset.targets
    if classes is None or targets is None:
        raise InputError(
            N_("The data '{data}' has no classes. Put its photos into one folder for each class."),
            data=dataset.name,
        )
    matcher = _Matcher(labels, aliases)
    table = np.full(len(classes), -1, np.int64)
    for position in np.unique(targets):
        table[position] = matcher.index(classes[position])
    return table[targets]


class _Matcher:
    def __init__(self, labels: Sequence[str], aliases: Sequence[str] | None) -> None:
        self.labels = labels
        self.aliases = {_plain(alias): i for i, alias in enumerate(aliases or ()) if alias}
        self.whole: dict[str, list[int]] = defaultdict(list)
        self.synonyms: dict[str, list[int]] = defaultdict(list)
        for index, label in enumerate(labels):
            self.whole[_plain(label)].append(index)
            for name in {_plain(part) for part in label.split(",")}:
                self.synonyms[name].append(index)

    def index(self, folder: str) -> int:
        name = _plain(folder)
        for alias in (name, _plain(folder.replace(" ", "_").lstrip("_").split("_")[0])):
            if alias in self.aliases:
                return self.aliases[alias]
        found = self.whole.get(name) or self.synonyms.get(name) or []
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                N_("The folder '{folder}' is the label of several classes of the model ({indices}). "
                   "Name it by the class's index or identifier."),
                folder=folder, indices=", ".join(map(str, found)),
            )
        if name.isdecimal() and int(name) < len(self.labels):
            return int(name)
        raise InputError(
            N_("The folder '{folder}' matches no class of the model; the nearest is '{nearest}'. "
               "Name folders by label, identifier or index."),
            folder=folder, nearest=self._nearest(name),
        )

    def _nearest(self, name: str) -> str:
        plain = [_plain(label) for label in self.labels]
        close = difflib.get_close_matches(name, plain, n=1, cutoff=0)
        return self.labels[plain.index(close[0])] if close else ""


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFC", text).casefold()
    return "".join(folded.replace("_", " ").split())
