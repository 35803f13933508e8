"""``python -m core.locales``: bring every catalogue up to date with the text that the program shows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from core.locales import DEFAULT, LANGUAGES

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("core", "pages")
KEYWORDS: dict[str, tuple[int, ...] | None] = {"_": None, "N_": None}
HEADER = "# Sécateur: what the program shows. Brought up to date by `python -m core.locales`."
# The history of a catalogue is the repository's; a date that changes at each run would only make noise there.
FIRST = datetime(2026, 11, 24, tzinfo=UTC)
METHODS = [("**.py", "python"), ("**.j2", "jinja2.ext:babel_extract")]


def extract() -> Catalog:
    """Return the catalogue of every sentence marked in the source, with where it stands."""
    catalog = Catalog(charset="utf-8")
    for folder in FOLDERS:
        found = extract_from_dir(
            ROOT / folder, METHODS, keywords=KEYWORDS, strip_comment_tags=True,
            directory_filter=lambda path: not path.endswith("__pycache__"),  # the default skips pages/_ui
        )
        for file, _line, message, _comments, _context in found:
            catalog.add(message, locations=[(f"{folder}/{file}", 0)])
    return catalog


def update(language: str, template: Catalog) -> Catalog:
    """Return the catalogue of ``language`` with the template's sentences; what is gone from it is dropped."""
    path = Path(__file__).parent / f"{language}.po"
    catalog = Catalog(
        locale=language, header_comment=HEADER, fuzzy=False, project="secateur", version="1", creation_date=FIRST,
        revision_date=FIRST, last_translator="secateur", language_team=language, msgid_bugs_address="secateur",
    )
    if path.exists():
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                if message.id:
                    catalog.add(message.id, message.string)
    catalog.update(template, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    catalog.creation_date = FIRST
    return catalog


def missing(catalog: Catalog) -> Iterator[str]:
    """Yield the sentences that have no translation."""
    for message in catalog:
        if message.id and not message.string:
            yield str(message.id)


def main() -> int:
    """Write every catalogue and name what still lacks a translation; return 1 if anything does."""
    template, left = extract(), 0
    for language in LANGUAGES:
        if language == DEFAULT:
            continue
        catalog = update(language, template)
        with (Path(__file__).parent / f"{language}.po").open("wb") as file:
            write_po(file, catalog, width=110, no_location=True, sort_output=True)
        for sentence in missing(catalog):
            left += 1
            sys.stderr.write(f"{language}: {sentence}\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
