"""``evaluate``: how often a model is right on labelled photos."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.output import Json, emit, say
from core.locales import translator

if TYPE_CHECKING:
    from core.measurement.accuracy import Accuracy
    from core.settings import Settings

SEED, BATCH = 0, 32


def register(app: typer.Typer) -> None:
    """Add this topic's command."""
    app.command()(evaluate)


def score(model: str, data: str, limit: int | None, settings: Settings) -> Accuracy:
    """Run the file of ``model`` over the labelled images of ``data``.

    Of a set with parts, the test part counts (else validation). ``limit`` draws that many images at
    random with seed 0, since folders come sorted by class.

    Raises
    ------
    SecateurError
        If the model is not there, an image cannot be read, or a class folder matches no label.
    """
    import numpy as np

    from core.cli.serving import served as find
    from core.datasets import batches, match_labels, open_for_evaluation
    from core.inference import classifier
    from core.measurement.accuracy import accuracy
    from core.zoo import Library

    library = Library(settings)
    images = open_for_evaluation(data, settings)
    name = model.partition(":")[0]
    card = library.resolve(model).card if model.endswith(".tflite") else library.card(name)
    targets = match_labels(images, library.labels(card), library.aliases(card))
    served = find(library, model, settings)
    chosen = np.arange(len(images))
    if limit is not None and limit < len(chosen):
        chosen = np.sort(np.random.default_rng(SEED).permutation(chosen)[:limit])
    network = classifier(served.path, settings.models.threads)
    rows = [network.predict(b) for b in batches(images, chosen, card.preprocessing, BATCH)]
    probabilities = np.concatenate(rows) if rows else np.empty((0, card.classes), np.float32)
    return accuracy(probabilities, targets[chosen])


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name, name:form, or .tflite file.")],
    data: Annotated[
        str, typer.Option("--data", help="A built-in name, or a folder or .zip of class folders.")
    ],
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Use this many images at random.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure accuracy on labelled photos, with 95 % intervals."""
    from core.settings import settings

    start = time.perf_counter()
    result = score(model, data, limit, settings())
    document = {
        "model": model, "data": data, "n": result.n, "top1": result.top1.model_dump(),
        "top5": result.top5.model_dump(), "ece": result.ece,
        "seconds": round(time.perf_counter() - start, 3),
    }
    if as_json:
        emit(document)
        return
    _ = translator(settings().language)
    for title, value in ((_("Top 1"), result.top1), (_("Top 5"), result.top5)):
        say(f"{title}: {value.value:.1%} ({value.low:.1%} - {value.high:.1%}, n = {result.n})")
    say(f"{_('Calibration error')}: {result.ece:.3f}")
