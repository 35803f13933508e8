"""Where the time goes: every operator of a file run alone.

LiteRT's Python package does not give out its operator profiler, so each operator is cut out into a
one-operator ``.tflite`` with its own constants and timed as that. What is lost: neighbours that
LiteRT fuses, and caches that the previous operator left warm. The shares are therefore of the sum
of the parts, and the sum itself is reported beside the time of the whole file, to be compared.

Run as ``python -m core.measurement.layer_time`` it reads one JSON request and answers with JSON.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from pydantic import BaseModel, ConfigDict

from core.measurement.child import ask
from core.measurement.graph import TfliteModel
from core.measurement.stopwatch import Run, runner_of
from core.measurement.tflite_file import read_tflite

_KEPT_TOGETHER = frozenset({"DENSIFY", "DEQUANTIZE"})


class OperatorTime(BaseModel):
    """Milliseconds (median) of one operator alone, and its share of the sum of all."""

    model_config = ConfigDict(frozen=True)

    layer: str
    kind: str
    milliseconds: float
    share: float


class TimeProfile(BaseModel):
    """The operators in the order of the graph; ``whole_milliseconds`` is the uncut file.

    ``skipped`` names operators that do not run alone, such as custom ones.
    """

    model_config = ConfigDict(frozen=True)

    operators: list[OperatorTime]
    sum_milliseconds: float
    whole_milliseconds: float
    skipped: list[str]


def cut(content: bytes, model: TfliteModel, index: int) -> bytes:
    """Return a ``.tflite`` with operator ``index`` of ``model`` alone.

    ``content`` is the file. DENSIFY and DEQUANTIZE of constants come along with the operator that
    reads them, since LiteRT runs them once and not at every image.
    """
    whole = schema.ModelT.InitFromPackedBuf(content)
    graph = whole.subgraphs[0]
    wanted = [index]
    for i in model.operators[index].inputs:
        maker = model.producers.get(i)
        if maker is not None and maker.name in _KEPT_TOGETHER and model.constant_behind(i):
            wanted.insert(0, maker.index)
    operators = [copy.copy(graph.operators[i]) for i in wanted]
    used = sorted({int(t) for o in operators for t in (*o.inputs, *o.outputs) if t >= 0})
    place = {old: new for new, old in enumerate(used)} | {-1: -1}
    buffers, tensors = [schema.BufferT()], []
    for old in used:
        tensor = copy.copy(graph.tensors[old])
        buffer = whole.buffers[tensor.buffer]
        tensor.buffer = 0
        if buffer.data is not None and len(buffer.data):
            tensor.buffer = len(buffers)
            buffers.append(buffer)
        tensors.append(tensor)
    for operator in operators:
        operator.inputs = [place[int(t)] for t in operator.inputs]
        operator.outputs = [place[int(t)] for t in operator.outputs]
    made = {t for o in operators for t in o.outputs}
    part = schema.SubGraphT()
    part.tensors, part.operators = tensors, operators
    part.inputs = [
        place[t] for t in dict.fromkeys(model.operators[index].inputs)
        if t >= 0 and not model.tensors[t].constant and place[t] not in made
    ]
    part.outputs = operators[-1].outputs
    result = schema.ModelT()
    result.version, result.operatorCodes = whole.version, whole.operatorCodes
    result.subgraphs, result.buffers = [part], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(result.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def profile_time(path: Path, threads: int = 1, budget_s: float = 5.0) -> TimeProfile:
    """Time every operator of the ``.tflite`` at ``path`` alone, in one fresh child process.

    Raises
    ------
    InputError
        If the file cannot be read or does not run.
    """
    request = {"path": str(path.resolve()), "threads": threads, "budget_s": budget_s}
    answer = ask("core.measurement.layer_time", request, timeout_s=60 + 10 * budget_s)
    return TimeProfile.model_validate(answer)


def _median_ms(run: Run, budget_s: float) -> float:
    run()
    times: list[int] = []
    start = time.perf_counter_ns()
    while len(times) < 5 or (time.perf_counter_ns() - start < budget_s * 1e9 and len(times) < 200):
        before = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - before)
    return float(np.median(times)) / 1e6


def _profile(path: Path, threads: int, budget_s: float) -> dict[str, Any]:
    content, model = path.read_bytes(), read_tflite(path)
    alone = [
        o for o in model.operators
        if not (o.name in _KEPT_TOGETHER and model.constant_behind(o.outputs[0]))
    ]
    each = budget_s / (len(alone) + 1)
    layer_of = {w.operator.index: w.layer for w in model.weights}
    timed, skipped = [], []
    for operator in alone:
        name = layer_of.get(operator.index, model.tensors[operator.outputs[0]].name)
        try:
            run = runner_of({"model_content": cut(content, model, operator.index)}, threads, 0)
            timed.append((name, operator.name, _median_ms(run, each)))
        except (RuntimeError, ValueError):
            skipped.append(name)
    total = sum(t for *_, t in timed) or 1.0
    operators = [
        OperatorTime(layer=n, kind=k, milliseconds=t, share=t / total) for n, k, t in timed
    ]
    whole = _median_ms(runner_of({"model_path": str(path)}, threads, 0), each)
    found = TimeProfile(operators=operators, sum_milliseconds=total, whole_milliseconds=whole,
                        skipped=skipped)
    return found.model_dump()


def main() -> None:
    """Answer one request ``{path, threads, budget_s}`` from stdin as JSON on stdout."""
    request = json.load(sys.stdin)
    found = _profile(Path(request["path"]), request["threads"], request["budget_s"])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
