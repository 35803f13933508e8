"""``classify``: what is on the photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.output import Json, emit, say
from core.errors import InputError, SecateurError
from core.locales import N_, translator

if TYPE_CHECKING:
    from core.inference import Classifier
    from core.settings import Settings
    from core.zoo import ServedModel


def register(app: typer.Typer) -> None:
    """Add this topic's command."""
    app.command()(classify)


def read(file: str, settings: Settings) -> bytes:
    """Return the bytes of a photo of at most ``limits.photo_mb``. Raises InputError."""
    path = Path(file)
    try:
        if path.stat().st_size > settings.limits.photo_mb * 1e6:
            raise InputError(
                N_("The photo has more than {limit} megabytes, the most that is read. Save it smaller "
                   "and try again."),
                limit=f"{settings.limits.photo_mb:g}",
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(
            N_("The file cannot be read: {reason}. Check the path."),
            reason=getattr(error, "strerror", None) or str(error),
        ) from error


def answer(file: str, served: ServedModel, network: Classifier, labels: list[str], top: int,
           settings: Settings) -> dict[str, Any]:
    """Classify one file; times are medians of a few runs in milliseconds. Raises SecateurError."""
    from core.images import prepare, read_photo
    from core.inference import median_ms, rank, timed_predict

    content = read(file, settings)
    prepared, preprocess_ms = median_ms(
        lambda: prepare(read_photo(content, settings.limits), served.card.preprocessing)
    )
    probabilities, inference_ms = timed_predict(network, prepared[None])
    return {
        "file": file,
        "model": served.card.name,
        "predictions": [p.model_dump() for p in rank(probabilities[0], labels, top)],
        "preprocess_ms": round(preprocess_ms, 3),
        "inference_ms": round(inference_ms, 3),
        "model_bytes": network.bytes,
        "form": served.form,
    }


def classify(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO...", help="Image files.")],
    model: Annotated[
        str, typer.Option("--model", help="A model's name, name:form, or a .tflite file.")
    ] = "",
    top: Annotated[int, typer.Option("--top", min=1, help="How many classes to show.")] = 5,
    as_json: Json = False,
) -> int:
    """Say what is on each photo; files that cannot be read do not stop the others."""
    from core.cli.serving import served as find
    from core.images import display_name
    from core.inference import classifier
    from core.settings import settings
    from core.zoo import Library

    configuration = settings()
    _ = translator(configuration.language)
    library = Library(configuration)
    served = find(library, model or configuration.models.default, configuration)
    network = classifier(served.path, configuration.models.threads)
    labels = library.labels(served.card, configuration.language)
    results: list[dict[str, Any]] = []
    for file in photos:
        try:
            results.append(answer(file, served, network, labels, top, configuration))
        except SecateurError as error:
            results.append({"file": file, "error": error.render(_)})
        if as_json:
            continue
        result = results[-1]
        say(f"{display_name(file)}: {result['error']}" if "error" in result else display_name(file))
        for prediction in result.get("predictions", ()):
            say(f"  {prediction['probability']:6.1%}  {prediction['label']}")
    if as_json:
        emit(results)
    return 2 if any("error" in result for result in results) else 0
