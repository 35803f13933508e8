"""Errors keep their parameters on the way through a process, a database and a translation."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from core.errors import InputError, Phrase, PromiseError
from core.experiments.runs import Failure
from core.locales import N_, translator
from core.recipes import read_step


def test_numbers_are_still_numbers_after_a_process():
    error = PromiseError("{same:.1%} kept their class, off by {largest:.4f} at '{layer}' ({n})",
                         same=np.float32(0.5), largest=np.float64(0.25), layer=b"x", n=3)
    failure = Failure(message=error.message, parameters=json.loads(json.dumps(error.plain())))
    assert str(failure) == "50.0% kept their class, off by 0.2500 at 'b'x'' (3)"


def test_errors_survive_pickling_with_their_phrases():
    error = pickle.loads(pickle.dumps(InputError("no: {why}", why=Phrase("at least {limit}", limit=2))))
    assert str(error) == "no: at least 2"


def test_a_phrase_is_translated_with_its_sentence():
    with pytest.raises(InputError) as refused:
        read_step({"step": "magnitude", "sparsity": "much"})
    french = translator("fr")
    assert french(N_("a number")) != "a number"
    assert french("a number") in refused.value.render(french)
    assert "a number" in str(refused.value)
