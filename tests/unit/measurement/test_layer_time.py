"""Operators cut out of real files run, compute the same, and add up to one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from core.errors import InputError
from core.measurement.layer_time import cut, profile_time
from core.measurement.tflite_file import read_tflite


@pytest.mark.parametrize("form", ["float", "int8", "sparse", "float16"])
def test_the_parts_run_one_after_the_other_give_the_whole(forms: Path, form: str) -> None:
    path = forms / f"{form}.tflite"
    content, model = path.read_bytes(), read_tflite(path)
    whole = Interpreter(model_path=str(path))
    whole.allocate_tensors()
    detail = whole.get_input_details()[0]
    rng = np.random.default_rng(0)
    value = (rng.normal(size=detail["shape"]) * (30 if form == "int8" else 1)).astype(detail["dtype"])
    whole.set_tensor(detail["index"], value)
    whole.invoke()
    expected = whole.get_tensor(whole.get_output_details()[0]["index"])

    values = {model.inputs[0]: value}
    for operator in model.operators:
        if model.constant_behind(operator.outputs[0]) is not None:
            continue
        part = Interpreter(model_content=cut(content, model, operator.index))
        part.allocate_tensors()
        given = [i for i in dict.fromkeys(operator.inputs) if i in values]
        for entry, index in zip(part.get_input_details(), given, strict=True):
            part.set_tensor(entry["index"], values[index])
        part.invoke()
        values[operator.outputs[0]] = part.get_tensor(part.get_output_details()[0]["index"])
    found = values[model.outputs[0]]
    if form == "int8":
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1
    else:
        assert np.abs(found - expected).max() < 1e-5


def test_shares_of_time_add_up_to_one(forms: Path) -> None:
    found = profile_time(forms / "sparse.tflite", budget_s=0.2)
    assert sum(row.share for row in found.operators) == pytest.approx(1)
    assert found.skipped == []
    assert {"stem", "depth", "point", "hidden", "top"} <= {row.layer for row in found.operators}
    assert "DENSIFY" not in {row.kind for row in found.operators}
    assert found.whole_milliseconds > 0


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tflite"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError):
        profile_time(path)
