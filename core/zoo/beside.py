"""Find the card for a bare ``.tflite`` file: what lies beside it, or the one model that it fits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from core.errors import InputError
from core.locales import N_
from core.zoo.cards import ModelCard, read_card


def card_beside(path: Path, cards: Sequence[ModelCard]) -> ModelCard:
    """Return the card that tells how to feed ``path``.

    In this order: the model that ``run.json`` or ``card.yaml`` in the same folder names, then the only base
    model with the file's input shape and number of classes.

    Raises
    ------
    InputError
        If nothing tells, or the file is no readable image classifier.
    """
    known = {card.name: card for card in cards}
    record = path.parent / "run.json"
    if record.is_file():
        try:
            name = str(json.loads(record.read_text("utf-8")).get("model", "")).partition(":")[0]
        except (ValueError, AttributeError, OSError):
            name = ""
        if name in known:
            return known[name]
    if (path.parent / "card.yaml").is_file():
        card = read_card(path.parent / "card.yaml")
        return known.get(card.name, card)
    shape, classes = _interface(path)
    fitting = [card for card in cards
               if card.input.shape == shape and card.classes == classes and card.kind == "base"]
    if len(fitting) != 1:
        raise InputError(
            N_("Nothing tells which labels and preprocessing belong to {file}. Put the run.json of its run "
               "beside it."),
            file=path.name,
        )
    return fitting[0]


def _interface(path: Path) -> tuple[tuple[int, ...], int]:
    from ai_edge_litert.interpreter import Interpreter

    try:
        if path.read_bytes()[4:8] != b"TFL3":
            raise ValueError("not a TFLite file")
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        given, answer = interpreter.get_input_details(), interpreter.get_output_details()
    except (ValueError, RuntimeError, OSError) as error:
        raise InputError(
            N_("{file} is not a readable TFLite model. Export it again."), file=path.name
        ) from error
    return tuple(int(n) for n in given[0]["shape"][1:]), int(answer[0]["shape"][-1])
