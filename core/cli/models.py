"""``models`` and ``prepare``: what is on the shelf, and making it ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.output import Json, emit, follow, table
from core.locales import translator

if TYPE_CHECKING:
    from core.settings import Settings
    from core.zoo import Library, ModelCard


def register(app: typer.Typer) -> None:
    """Add this topic's commands."""
    app.command()(models)
    app.command()(prepare)


def _entry(library: Library, card: ModelCard, settings: Settings) -> dict[str, Any]:
    sizes = {
        form: path.stat().st_size
        for form in card.forms
        if (path := library.path_of(card, form)).is_file()
    }
    return {
        "name": card.name,
        "title": card.text(settings.language).title,
        "parameters": card.parameters,
        "tflite_bytes": sizes.get(card.forms[0]),
        "input": list(card.input.shape),
        "labels": library.labels(card, settings.language),
        "source": card.source.model_dump(),
        "status": library.status(card.name),
        "forms": sizes,
        "licence": card.licence,
    }


def models(as_json: Json = False) -> None:
    """List the models with their size, input and labels."""
    from core.settings import settings
    from core.zoo import Library

    configuration = settings()
    library = Library(configuration)
    entries = [_entry(library, card, configuration) for card in library.cards()]
    if as_json:
        emit(entries)
        return
    _ = translator(configuration.language)
    table(
        [_("Name"), _("Title"), _("State"), _("Classes"), _("Input"), _("Megabytes")],
        [
            [
                entry["name"], entry["title"], entry["status"], str(len(entry["labels"])),
                " x ".join(map(str, entry["input"])),
                ", ".join(f"{form} {size / 1e6:.2f}" for form, size in entry["forms"].items()) or "-",
            ]
            for entry in entries
        ],
    )


def prepare(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="By default, all.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Build the files of the models ahead of their first use."""
    from core.errors import InputError
    from core.settings import settings
    from core.zoo import Library

    configuration = settings()
    library = Library(configuration)
    failed = False
    for name in names or library.pending():
        if names and library.status(name) == "waiting":
            library.artifact(name, library.card(name).forms[0])  # says what is missing
        try:
            library.prepare(follow(configuration.language), [name])
        except InputError:
            failed = True  # the reason has been shown as progress; the other models go on
    chosen = [library.card(name) for name in names or library.names()]
    entries = [_entry(library, card, configuration) for card in chosen]
    rows = [{key: entry[key] for key in ("name", "status", "forms")} for entry in entries]
    if as_json:
        emit(rows)
    else:
        _ = translator(configuration.language)
        table([_("Name"), _("State")], [[row["name"], row["status"]] for row in rows])
    return 2 if failed else 0
