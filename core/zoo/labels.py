"""Class names in several languages: ``labels.csv`` with the columns ``index``, a language code each, ``alias``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from core.locales import N_

MAX_LABEL = 200


@dataclass(frozen=True)
class Labels:
    """The names of a model's classes, in the order of its outputs."""

    names: dict[str, list[str]]
    aliases: list[str] | None

    def in_language(self, language: str) -> list[str]:
        """Return the names in ``language``; a class without one keeps its English (else first) name."""
        fallback = self.names.get("en") or next(iter(self.names.values()))
        chosen = self.names.get(language, fallback)
        return [name or other for name, other in zip(chosen, fallback, strict=True)]


def read_labels(path: Path, classes: int) -> Labels:
    """Read ``path`` and check that it names exactly ``classes`` classes in order.

    A ``.txt`` file is one English name per line.

    Raises
    ------
    InputError
        If the file is missing, not UTF-8, or its rows are not 0 to ``classes`` - 1 with a name each.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            N_("The labels file {file} is missing or not UTF-8 text. Put it beside the model's card."),
            file=path.name,
        ) from error
    if path.suffix == ".txt":
        labels = Labels({"en": [line.strip() for line in text.splitlines() if line.strip()]}, None)
    else:
        rows = list(csv.DictReader(text.splitlines(), strict=True))
        languages = [c for c in (rows[0] if rows else {}) if c not in ("index", "alias")]
        if not languages or [row.get("index") for row in rows] != [str(i) for i in range(len(rows))]:
            raise InputError(
                N_("The labels file {file} needs the columns index and en, with rows in order from 0."),
                file=path.name,
            )
        labels = Labels(
            {language: [(row[language] or "").strip() for row in rows] for language in languages},
            [(row["alias"] or "").strip() for row in rows] if "alias" in rows[0] else None,
        )
    english = labels.in_language("en")
    if len(english) != classes or not all(0 < len(name) <= MAX_LABEL for name in english):
        raise InputError(
            N_("The labels file {file} names {found} classes, but the model has {expected}. "
               "Give each class one name, in the order of the model's outputs."),
            file=path.name, found=sum(bool(name) for name in english), expected=classes,
        )
    return labels


def write_labels(path: Path, names: dict[str, Sequence[str]], aliases: Sequence[str] | None = None) -> None:
    """Write ``labels.csv`` with one column per language of ``names``."""
    columns: dict[str, Sequence[str]] = {**names, **({"alias": aliases} if aliases else {})}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["index", *columns])
        for index, row in enumerate(zip(*columns.values(), strict=True)):
            writer.writerow([index, *row])
