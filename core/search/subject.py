"""What a search is about: its model's layers and its images, read once without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from core.datasets import match_labels
from core.datasets.planning import plan
from core.errors import InputError
from core.experiments.profiles import ModelProfile, profile
from core.experiments.subjects import open_subject
from core.locales import N_
from core.recipes import LayerFacts, ModelFacts
from core.search.space import Conditions
from core.settings import Settings
from core.zoo import Library

FEWEST = 8
_KINDS = {4: "conv2d", 2: "dense"}


@dataclass(frozen=True)
class Subject:
    """A model and images that a search can use.

    ``validation`` and ``test`` are numbers of images; ``profile`` is of the float file.
    """

    conditions: Conditions
    profile: ModelProfile
    validation: int
    test: int


def facts(found: ModelProfile, name: str) -> ModelFacts:
    """Return what recipes are checked against, as far as the float file tells."""
    layers = tuple(
        LayerFacts(
            name=layer.name, kind=_KINDS.get(len(layer.shape), "dense") if layer.prunable else "depthwise_conv2d",
            shape=layer.shape, parameters=layer.weights)
        for layer in found.layers)
    return ModelFacts(name=name, layers=layers, has_batch_norm=True, parameters=sum(x.weights for x in found.layers))


def read_subject(
    model: str, data: str, calibration: str | None, minutes: float, seed: int, configured: Settings
) -> Subject:
    """Read what a search needs to know.

    Raises
    ------
    SecateurError
        If the model is not there, the data cannot be used, or there are too few images to choose and to test by.
    """
    library = Library(configured)
    name, _, form = model.partition(":")
    card = library.card(name)
    images = open_subject(data, configured)
    other = None if calibration is None else open_subject(calibration, configured)
    if images.classes is not None:
        match_labels(images, library.labels(card), library.aliases(card))
    try:
        divided = plan(images, seed, trains=True, calibration=other, validates=True)
    except InputError:
        divided = plan(images, seed, trains=False, calibration=other, validates=True)
    validation = 0 if divided.validation is None else len(divided.validation)
    if min(validation, len(divided.test)) < FEWEST:
        raise InputError(
            N_("A search needs at least {fewest} images to choose by and as many to test on; '{data}' leaves "
               "{validation} and {test}. Add images."),
            fewest=FEWEST, data=images.name, validation=validation, test=len(divided.test))
    found = profile(library.artifact(name, form or card.forms[0]), configured.home / "cache")
    return Subject(
        Conditions(
            labelled=images.classes is not None, images=0 if divided.recovery is None else len(divided.recovery),
            minutes=minutes, image_macs=found.macs, facts=facts(found, name)),
        found, validation, len(divided.test),
    )
