"""The Keras model behind a card: float32, batch normalization still a layer of its own."""

from __future__ import annotations

import tf_keras

from core.engine import canonical, digits, efficientnet
from core.engine.weights import read_weights
from core.errors import InputError, NotFoundError
from core.locales import N_
from core.settings import Settings
from core.zoo import Library, ModelCard


def load_base(card: ModelCard, settings: Settings) -> tf_keras.Model:
    """Return the model of ``card``: float32 ``[n, h, w, c]`` to probabilities ``[n, classes]``.

    Raises
    ------
    NotFoundError
        If the card has no weights to read, a person must still add them, or they are not prepared.
    InputError
        If the weights are damaged or do not fit the card.
    """
    library = Library(settings)
    path = library.weights(card)
    if path is None:
        raise NotFoundError(
            N_("The model {name} has a finished file only and cannot be compressed further. Choose "
               "the model that it came from."),
            name=card.name,
        )
    if card.weights.kind == "canonical":
        model = canonical.read_model(path.with_suffix(""))
    elif card.architecture == "keras-h5":
        stem = library.prepared_folder(card.name) / f"base-{library.fingerprint(card)}"
        if not stem.with_name(stem.name + ".json").is_file():
            raise NotFoundError(
                N_("The model {name} is not prepared. Add its file and run python -m core prepare."),
                name=card.name,
            )
        model = canonical.read_model(stem)
    elif card.architecture == "efficientnet-lite0":
        model = efficientnet.build(read_weights(path, card.weights.sha256))
    elif card.architecture == "digits":
        model = digits.architecture()
        canonical.read_arrays(model, path)
    else:
        raise NotFoundError(
            N_("The architecture {architecture} of the model {name} is unknown. Correct its card."),
            architecture=card.architecture or "?", name=card.name,
        )
    check_interface(model, card)
    return model


def check_interface(model: tf_keras.Model, card: ModelCard) -> None:
    """Raise InputError unless the model's input and output are those that its card states."""
    given = tuple(model.input_shape[1:]) if isinstance(model.input_shape, tuple) else None
    answer = tuple(model.output_shape[1:]) if isinstance(model.output_shape, tuple) else None
    if given != card.input.shape or answer != (card.classes,):
        raise InputError(
            N_("The model {name} takes {given} and gives {answer}, but its card says {shape} and "
               "{classes} classes. Give the file that fits, or correct the card."),
            name=card.name, given=str(given), answer=str(answer),
            shape=str(card.input.shape), classes=card.classes,
        )
